"""How much a VLM's answer counts beside the boxes.

``logit p_true = s logit(p_boxes) + w vote + b`` with s, w >= 0, fitted on labelled rows. Where
there are no boxes the vote stands alone, where there is no vote the boxes do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.fusion.calibration import Platt, least_log_loss, sigmoid, smoothed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64
    from spatialtrust.evidence.columns import Features


SUREST: Final = 0.999
"""A VLM is never taken to be surer than this: its own figures know no doubt."""

LEAST_ROWS: Final = 30
"""Labelled rows below which a part of the model is not fitted."""


def vote(features: Features) -> Float64:
    """The VLM's log-odds of yes, (N,): from ``p_yes``, else +1 or -1 by its answer; NaN without.

    >>> from spatialtrust.evidence.columns import FULL, Features
    >>> blank = np.full((len(FULL), 2), np.nan, dtype=np.float32)
    >>> vote(Features(blank, np.zeros(2, np.int16), np.array([1, -1], np.int8),
    ...               np.zeros(2, np.uint32))).tolist()
    [1.0, nan]
    """
    p_yes = np.clip(features.column("p_yes").astype(np.float64), 1 - SUREST, SUREST)
    said = np.array([-1.0, 1.0, np.nan])[features.answer]
    return np.where(np.isfinite(p_yes), np.log(p_yes / (1 - p_yes)), said)


@dataclass(frozen=True, slots=True)
class AnswerWeights:
    """Weights of boxes and vote together, and of each alone.

    Attributes
    ----------
    boxes, weight, constant: s, w and b.
    alone: of the vote where there are no boxes.
    """

    boxes: float
    weight: float
    constant: float
    alone: Platt

    @classmethod
    def fit(cls, boxes: Float64, votes: Float64, label: NDArray[Any]) -> Self | None:
        """Fit on (N,) log-odds of both, NaN where unknown; None with too few votes to go by.

        The vote of a claim with boxes is taken to be as good as that of one without.
        """
        both = np.isfinite(boxes) & np.isfinite(votes)
        if both.sum() < LEAST_ROWS or np.unique(label[both]).size < 2:
            return None
        design = np.stack([boxes[both], votes[both], np.ones(both.sum())], axis=1)
        bounds = [(0.0, None), (0.0, None), (None, None)]
        scale, weight, constant = least_log_loss(design, smoothed(label[both]), bounds)
        heard = np.isfinite(votes)
        return cls(scale, weight, constant, Platt.fit(votes[heard], label[heard]))

    def apply(self, boxes: Float64, votes: Float64, p_boxes: Float64) -> Float64:
        """(N,) probabilities; ``p_boxes`` where there is no vote, NaN where there is neither."""
        together = sigmoid(self.boxes * boxes + self.weight * votes + self.constant)
        heard = np.where(np.isfinite(boxes), together, self.alone.transform(votes))
        return np.where(np.isfinite(votes), heard, p_boxes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**values, "alone": Platt(**values["alone"])})
