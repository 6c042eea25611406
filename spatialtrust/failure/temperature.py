"""Temperature scaling: one number that makes softmax probabilities honest on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor
from spatialtrust.failure.checks import as_labels, as_logits, softmax
from spatialtrust.failure.confidence import mcm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64


@dataclass
class TemperatureScaling(FailurePredictor):
    """MCM of ``softmax(z / T)``, with T > 0 minimising the negative log-likelihood of a split.

    Uses: labels of the calibration split. Scores lie in [1/K, 1]; higher = safer.

    Source: Guo et al. 2017, arXiv 1706.04599, section 4.2.

    >>> import numpy as np
    >>> logits = np.array([[8.0, 0.0], [8.0, 0.0], [0.0, 8.0], [0.0, 8.0]])
    >>> scaling = TemperatureScaling().fit(logits, [0, 0, 1, 0])  # right 3 times out of 4
    >>> round(scaling.temperature, 3), scaling.score([[8.0, 0.0]]).round(3)
    (7.282, array([0.75]))
    """

    labelled_split: ClassVar[str] = "calibration"

    def fit(self, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Find the temperature by bounded search over log T in [log 1e-3, log 1e3].

        Raises
        ------
        InputError: the likelihood has no minimum: every prediction is right (T falls to 0), or the
            logits tell nothing about the labels (T grows without end).
        """
        from scipy.optimize import minimize_scalar

        z = as_logits(logits).astype(np.float64)
        y = as_labels(labels, *z.shape)
        of_label = np.take_along_axis(z, y[:, None], axis=1)[:, 0]
        top = z.max(axis=1)

        def negative_log_likelihood(log_temperature: float) -> float:
            scaled = (z - top[:, None]) / np.exp(log_temperature)
            normaliser = np.log(np.exp(scaled).sum(axis=1))
            return float(np.mean(normaliser - (of_label - top) / np.exp(log_temperature)))

        low, high = np.log(1e-3), np.log(1e3)
        found = minimize_scalar(
            negative_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-10}
        )
        if found.x - low < 1e-3 or (of_label == top).all():
            raise InputError(
                "calibration split: every prediction is right, so no temperature fits it best; "
                "give a split that holds some errors"
            )
        if high - found.x < 1e-3:
            raise InputError(
                "calibration split: the logits tell nothing about the labels, so the temperature "
                "grows without end; check that labels and classes are in the same order"
            )
        return self._store({}, labelled_rows=len(y), temperature=float(np.exp(found.x)))

    @property
    def temperature(self) -> float:
        """The fitted temperature."""
        return float(self._fitted()["temperature"])

    def probabilities(self, logits: ArrayLike) -> Float64:
        """Calibrated class probabilities (N, K)."""
        return softmax(as_logits(logits), self.temperature)

    def score(self, logits: ArrayLike) -> Float64:
        """Calibrated probability of the predicted class, (N,)."""
        return mcm(logits, temperature=self.temperature)
