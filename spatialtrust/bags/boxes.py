"""Detections from ``vision_msgs/Detection2DArray``, whichever of its versions a bag holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spatialtrust.errors import InputError
from spatialtrust.io.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping


def boxes_of(message: Any, names: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Rows of phrase, corners in pixels and score, one for each detection.

    A turned box becomes the upright one around it; of several hypotheses the surest counts. What
    makes no sense is left as it is: degenerate boxes are counted where they are used.

    Parameters
    ----------
    names: class id to phrase, for detectors that give numbers.

    Raises
    ------
    InputError: the message is no Detection2DArray.
    """
    if not hasattr(message, "detections"):
        raise InputError("the message holds no detections; give a vision_msgs/Detection2DArray")
    try:
        return [_row(found, names or {}) for found in message.detections]
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"the detections are of no version of vision_msgs that is known ({error})"
        ) from error


def _row(found: Any, names: Mapping[str, str]) -> dict[str, Any]:
    phrase, score = _hypothesis(found)
    return {
        "phrase": plain_name(names.get(phrase, phrase)) or "object",
        **dict(zip(("x1", "y1", "x2", "y2"), _corners(found.bbox), strict=True)),
        "score": score if score is None or 0 <= score <= 1 else None,
    }


def stamp_of(message: Any) -> int | None:
    """Nanoseconds of a message's header; None where it has none, or it was never set."""
    header = getattr(message, "header", None)
    stamp = getattr(header, "stamp", None)
    if stamp is None:
        return None
    seconds = getattr(stamp, "sec", getattr(stamp, "secs", 0))
    rest = getattr(stamp, "nanosec", getattr(stamp, "nsec", getattr(stamp, "nsecs", 0)))
    total = int(seconds) * 1_000_000_000 + int(rest)
    return total if total > 0 else None


def frame_of(message: Any) -> str:
    """Coordinate frame of a message; empty where it has none."""
    return plain_name(str(getattr(getattr(message, "header", None), "frame_id", "")))


def _hypothesis(found: Any) -> tuple[str, float | None]:
    """Class and score of the surest hypothesis, by either version's names."""
    best: tuple[str, float | None] = ("", None)
    for result in found.results:
        said = getattr(result, "hypothesis", result)
        name = getattr(said, "class_id", getattr(said, "id", ""))
        score = float(said.score)
        score_known = score if math.isfinite(score) else None
        if best[1] is None or (score_known or 0) > best[1]:
            best = (str(name), score_known)
    return best


def _corners(box: Any) -> tuple[float, float, float, float]:
    centre = getattr(box.center, "position", box.center)
    turn = float(box.center.theta)
    across, down = float(box.size_x) / 2, float(box.size_y) / 2
    if turn:
        across, down = (
            abs(across * math.cos(turn)) + abs(down * math.sin(turn)),
            abs(across * math.sin(turn)) + abs(down * math.cos(turn)),
        )
    x, y = float(centre.x), float(centre.y)
    return x - across, y - down, x + across, y + down
