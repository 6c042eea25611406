"""What goes into a stream, and what comes out: frames, and graphs that stay steady."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.errors import InputError
from spatialtrust.io.names import plain_name
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from spatialtrust.graph import SceneGraph
    from spatialtrust.tracking.steadiness import Event

DEFAULT_RATE: Final = 30.0
"""Frames a second that are assumed of frames without stamps."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stream, with what came with it.

    Attributes
    ----------
    image: uint8 (H, W, 3) RGB, or a file; None where nothing looks at pixels.
    stamp: seconds, on any clock that all frames share; None: one thirtieth after the last.
    detections: boxes that were found elsewhere; None: the stream's detector looks.
    claims: rows as in a file of claims, with answers or not; None: pairs are enumerated.
    frame_id: what it is called; empty: by its number.
    size: width and height in pixels; needed only without an image.
    """

    image: NDArray[np.uint8] | str | Path | None = None
    stamp: float | None = None
    detections: Detections | Sequence[Mapping[str, Any]] | None = None
    claims: Sequence[Mapping[str, Any]] | None = None
    frame_id: str = ""
    size: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True)
class SteadyFrame:
    """What is believed after a frame.

    Attributes
    ----------
    frame_id, index, stamp: of the frame; seconds.
    graph: objects by the ids that they keep, those that are hidden among them (``status``
        ``hidden``); ``p_true`` is what was believed over time.
    hidden: ids of objects that this frame does not show.
    events: edges that began and ended with this frame.
    ended: ids of objects that ended with it.
    dropped: boxes and claims that were not used, counted by reason.
    jumped: whether the clock went back, so that everything began anew.
    """

    frame_id: str
    index: int
    stamp: float
    graph: SceneGraph
    hidden: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    ended: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    jumped: bool = False


def as_frame(given: Any) -> Frame:
    """A frame from what a caller has: a frame, an image, a file, or a stamp and an image.

    Raises
    ------
    InputError: it is none of these.

    >>> as_frame((1.5, "kitchen.jpg")).stamp
    1.5
    """
    if isinstance(given, Frame):
        return given
    if isinstance(given, str | np.ndarray) or hasattr(given, "__fspath__"):
        return Frame(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], int | float):
        return Frame(given[1], float(given[0]))
    raise InputError(
        f"a frame is {type(given).__name__}; give a Frame, an RGB array (height, width, 3), a "
        "file, or a pair of stamp in seconds and image"
    )


def pixels_of(frame: Frame) -> NDArray[np.uint8] | None:
    """The pixels of a frame; None where it has none.

    Raises
    ------
    InputError: the array is no RGB image.
    FileError: the file cannot be read.
    """
    if frame.image is None:
        return None
    if not isinstance(frame.image, np.ndarray):
        from spatialtrust.io.images import read_image

        return read_image(str(frame.image))
    image = frame.image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(
            f"image is {image.dtype.name} {image.shape}; give uint8 (height, width, 3) RGB"
        )
    return image


def boxes_of(given: Detections | Sequence[Mapping[str, Any]], frame_id: str) -> Detections:
    """Detections that came with a frame, under its id; rows may lack ``object_id``.

    Rows give ``phrase`` and ``x1, y1, x2, y2`` in pixels, and ``score`` where there is one.

    Raises
    ------
    InputError: rows lack a column, or hold values of another type.
    """
    if isinstance(given, Detections):
        named = pa.array([frame_id] * len(given), pa.string())
        return given.with_columns({"image_id": named})
    rows = []
    for place, row in enumerate(given):
        missing = [name for name in ("phrase", "x1", "y1", "x2", "y2") if name not in row]
        if missing:
            raise InputError(
                f"detection {place} of {frame_id} lacks {', '.join(missing)}; give phrase, and "
                "x1, y1, x2, y2 in pixels"
            )
        rows.append(
            {
                "image_id": frame_id,
                "object_id": str(place),
                "phrase": plain_name(str(row["phrase"])),
                **{side: _number(row[side], side) for side in ("x1", "y1", "x2", "y2")},
                "score": _number(row.get("score"), "score"),
            }
        )
    return Detections.from_rows(rows) if rows else Detections.empty()


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{name} of a detection is {value!r}; give a number")
    return float(value)
