"""Recorded boxes for a stream: looked up by frame, without going through all of them each time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from spatialtrust.io.matching import resolve, with_sizes
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from spatialtrust.io.detections import Recorded


@dataclass
class Recording:
    """Recorded boxes by the frame they belong to.

    Attributes
    ----------
    recorded: as read.
    reference: what the detections name as their model.
    """

    recorded: Recorded
    reference: str
    _rows: dict[str, list[int]] = field(init=False)
    _short: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(self.recorded.boxes["name"].to_pylist()):
            rows[name].append(row)
        short: dict[str, list[str]] = defaultdict(list)
        for name in rows:
            short[PurePosixPath(name).stem].append(name)
        self._rows, self._short = dict(rows), dict(short)

    def of(self, frame_id: str, size: tuple[int | None, int | None]) -> Detections:
        """The boxes of a frame, in pixels: by its name, else by a base name that is unique."""
        names = self._short.get(PurePosixPath(frame_id).stem, [])
        name = frame_id if frame_id in self._rows else names[0] if len(names) == 1 else None
        if name is None:
            return Detections.empty()
        boxes = self.recorded.boxes.take(pa.array(self._rows[name]))
        sizes = {name: self.recorded.sizes[name]} if name in self.recorded.sizes else {}
        return resolve(with_sizes(boxes, sizes), {frame_id: size}, self.reference, {name: frame_id})
