"""What all pictures share: colours and line styles of who answers, legends in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spatialtrust.evaluation.labelled import asserted, verifier_alone, vlm_alone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spatialtrust.evaluation.labelled import LabelledColumns

ASSERTED: Final = "what was asserted, ranked by trust"
VERIFIER: Final = "verifier alone (boxes, its own answer)"
VLM: Final = "VLM alone (its own confidence)"
CEILING: Final = "best that accepting alone can do"

LOOKS: Final[dict[str, dict[str, Any]]] = {
    ASSERTED: {"color": "#0072b2", "linestyle": "-", "marker": "o"},
    VERIFIER: {"color": "#d55e00", "linestyle": "--", "marker": "s"},
    VLM: {"color": "#009e73", "linestyle": "-.", "marker": "^"},
    CEILING: {"color": "#222222", "linestyle": ":", "marker": ""},
}
"""Okabe and Ito's colours; lines differ in style too, for print and for colour-blind readers."""


SCORES: Final = {ASSERTED: asserted, VERIFIER: verifier_alone, VLM: vlm_alone}

Known = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]


def answerers(columns: LabelledColumns) -> Iterator[tuple[str, Known]]:
    """Who answers: confidences that are known, whether each answer is right, and its image."""
    for name, score in SCORES.items():
        confidence, right = score(columns)
        known = np.isfinite(confidence)
        if known.any():
            yield name, (confidence[known], right[known], columns.image[known])


def legend(axes: Any, **options: Any) -> None:
    """A legend whose entries stand in the order of the curves, the highest first."""
    handles, labels = in_order(axes)
    if handles:
        axes.legend(handles, labels, fontsize=8, framealpha=0.85, **options)


def in_order(axes: Any) -> tuple[list[Any], list[str]]:
    """Handles and labels of an Axes' lines, sorted by how high they lie on the whole."""
    handles, labels = axes.get_legend_handles_labels()
    height = [_height(handle) for handle in handles]
    order = sorted(range(len(handles)), key=lambda place: -height[place])
    return [handles[place] for place in order], [labels[place] for place in order]


def _height(handle: Any) -> float:
    """The mean of a line over the horizontal axis; what has no line stands last."""
    if not hasattr(handle, "get_xydata"):
        return -np.inf
    x, y = np.asarray(handle.get_xydata(), dtype=np.float64).T
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return -np.inf
    x, y = x[known], y[known]
    width = x[-1] - x[0]
    return float(np.trapezoid(y, x) / width) if width > 0 else float(y.mean())


def nothing(axes: Any, why: str) -> None:
    """Say in the picture why it shows nothing."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", wrap=True)
