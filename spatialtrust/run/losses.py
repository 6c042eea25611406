"""What became of recorded boxes that a run read and could not use as they were.

Counted from the table of detections, so that a run that was resumed says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from spatialtrust.io.frames import Fit
from spatialtrust.io.matching import CUT
from spatialtrust.io.names import SHOWN
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.stages.looking import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

_UNUSED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "degenerate_box": (
            "degenerate_box",
            "are left out: inverted, without area, in another unit, or with a number that is not "
            "finite",
        ),
        CUT: ("outside_image", "are left out: they lie outside their image"),
        Fit.OTHER: (
            "recorded_size_differs",
            "are left out: the recorded width and height are not the image's, turned or scaled",
        ),
        UNREADABLE: ("image_unreadable", "are left out: their image cannot be read"),
    }
)
_CHANGED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        CUT: ("cut_at_edge", "reach out of their image and are cut at its edge"),
        Fit.TURNED: (
            "turned",
            "are turned like their photo: the recorded width and height are those before its EXIF "
            "orientation is applied",
        ),
        Fit.SCALED: (
            "scaled",
            "are scaled: the recorded width and height are those of the image in another size",
        ),
    }
)
_OF_IMAGES: Final = (Fit.OTHER, UNREADABLE, Fit.TURNED, Fit.SCALED)
"""What befalls all boxes of an image: of these, images are named rather than boxes."""


@dataclass(slots=True)
class Loss:
    """Boxes of one kind.

    Attributes
    ----------
    code: what happened, as the summary names it.
    whole: whether the boxes are not used at all; else they were changed.
    words: the same in words.
    boxes: how many.
    examples: the first few, by image and phrase, or by image.
    """

    code: str
    whole: bool
    words: str
    boxes: int = 0
    examples: dict[str, None] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = list(self.examples)
        more = " ..." if len(shown) > SHOWN else ""
        return f"{self.boxes} boxes {self.words}: {', '.join(shown[:SHOWN])}{more}"


def losses_of_run(out: str | Path) -> list[Loss]:
    """:func:`losses` of a run folder."""
    columns = ["image_id", "phrase", "x1", "status"]
    folder = RunFolder(out)
    parts = folder.parts("detections")
    return losses(folder.read("detections", part, columns) for part in parts)


def losses(detections: Iterable[pa.Table]) -> list[Loss]:
    """What tables of detections say of boxes that were left out or changed, by kind."""
    kinds = {
        (status, whole): Loss(code, whole, words)
        for whole, listed in ((True, _UNUSED), (False, _CHANGED))
        for status, (code, words) in listed.items()
    }
    for table in detections:
        for status in pc.unique(table["status"]).to_pylist():
            for name in (status or "").split(", "):
                for whole in (True, False):
                    if (name, whole) in kinds:
                        _count(kinds[name, whole], table, status, name in _OF_IMAGES)
    return [loss for loss in kinds.values() if loss.boxes]


def _count(loss: Loss, table: pa.Table, status: str, of_images: bool) -> None:
    """Add the rows of one status, with corners or without."""
    without = pc.is_null(table["x1"])
    rows = table.filter(
        pc.and_(pc.equal(table["status"], status), without if loss.whole else pc.invert(without))
    )
    loss.boxes += rows.num_rows
    if of_images:
        names = pc.unique(rows["image_id"]).slice(0, SHOWN + 1).to_pylist()
    else:
        first = rows.slice(0, SHOWN + 1).to_pylist()
        names = [f"{row['image_id']}: {row['phrase']}" for row in first]
    for name in names[: SHOWN + 1 - len(loss.examples)]:
        loss.examples[name] = None
