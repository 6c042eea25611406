"""From scores to probabilities: Platt, beta, temperature and isotonic calibration.

Every calibrator takes logits (a booster's margin, a log-odds) and gives P(label is 1). Fit it on
rows that share no image with those that fitted the score.

>>> import numpy as np
>>> calibrator = Platt.fit(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
>>> from_dict(calibrator.to_dict()) == calibrator
True
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.numbers import as_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64


class Calibrator(Protocol):
    """What all calibrators share."""

    kind: ClassVar[str]

    @classmethod
    def fit(cls, logit: ArrayLike, label: ArrayLike) -> Self:
        """Fit on (N,) logits and 0/1 labels."""
        ...

    def transform(self, logit: ArrayLike) -> Float64:
        """(N,) probabilities; NaN where the logit is."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the kind."""
        ...


@dataclass(frozen=True, slots=True)
class Platt:
    """``sigmoid(slope * logit + intercept)``.

    Source: Platt 1999, Probabilistic outputs for support vector machines, with his smoothed targets
    ``(positives + 1) / (positives + 2)`` and ``1 / (negatives + 2)``.

    >>> Platt(1.0, 0.0).transform([0.0]).tolist()
    [0.5]
    """

    slope: float
    intercept: float

    kind: ClassVar[str] = "platt"

    @classmethod
    def fit(cls, logit: ArrayLike, label: ArrayLike) -> Self:
        """Least log-loss; the slope is kept from turning negative.

        Raises
        ------
        InputError: columns of different length, not finite, or of one label only.
        """
        scores, labels = _checked(logit, label)
        features = np.stack([scores, np.ones_like(scores)], axis=1)
        bounds = [(0.0, None), (None, None)]
        slope, intercept = least_log_loss(features, smoothed(labels), bounds)
        return cls(slope, intercept)

    def transform(self, logit: ArrayLike) -> Float64:
        """(N,) probabilities; NaN where the logit is."""
        return sigmoid(self.slope * np.asarray(logit, dtype=np.float64) + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the kind."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Temperature:
    """``sigmoid(logit / temperature)``: sureness changes, which side of 1/2 does not.

    Source: Guo et al. 2017, On calibration of modern neural networks, for two classes.
    """

    temperature: float

    kind: ClassVar[str] = "temperature"

    @classmethod
    def fit(cls, logit: ArrayLike, label: ArrayLike) -> Self:
        """Least log-loss.

        Raises
        ------
        InputError: columns of different length, not finite, or of one label only.
        """
        scores, labels = _checked(logit, label)
        (inverse,) = least_log_loss(scores[:, None], labels, [(1e-6, None)])
        return cls(1 / inverse)

    def transform(self, logit: ArrayLike) -> Float64:
        """(N,) probabilities; NaN where the logit is."""
        return sigmoid(np.asarray(logit, dtype=np.float64) / self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the kind."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Beta:
    """``sigmoid(a ln p - b ln(1 - p) + intercept)`` with ``p = sigmoid(logit)``, ``a, b >= 0``.

    Source: Kull, Silva Filho and Flach 2017, Beta calibration.
    """

    a: float
    b: float
    intercept: float

    kind: ClassVar[str] = "beta"

    @classmethod
    def fit(cls, logit: ArrayLike, label: ArrayLike) -> Self:
        """Least log-loss.

        Raises
        ------
        InputError: columns of different length, not finite, or of one label only.
        """
        scores, labels = _checked(logit, label)
        bounds: list[tuple[float | None, float | None]] = [(0.0, None), (0.0, None), (None, None)]
        return cls(*least_log_loss(_beta_features(scores), labels, bounds))

    def transform(self, logit: ArrayLike) -> Float64:
        """(N,) probabilities; NaN where the logit is."""
        features = _beta_features(np.asarray(logit, dtype=np.float64))
        return sigmoid(features @ np.array([self.a, self.b, self.intercept]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the kind."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising step function, linear between its knots and flat outside them.

    Source: Zadrozny and Elkan 2002, Transforming classifier scores into probability estimates.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    kind: ClassVar[str] = "isotonic"

    @classmethod
    def fit(cls, logit: ArrayLike, label: ArrayLike) -> Self:
        """Least squares among rising functions (pool adjacent violators).

        Raises
        ------
        InputError: columns of different length, not finite, or of one label only.
        """
        from sklearn.isotonic import IsotonicRegression

        scores, labels = _checked(logit, label)
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels)
        return cls(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))

    def transform(self, logit: ArrayLike) -> Float64:
        """(N,) probabilities; NaN where the logit is."""
        return np.interp(np.asarray(logit, dtype=np.float64), self.knots, self.values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the kind."""
        return {"kind": self.kind, "knots": list(self.knots), "values": list(self.values)}


CALIBRATORS: dict[str, type[Platt | Temperature | Beta | Isotonic]] = {
    calibrator.kind: calibrator for calibrator in (Platt, Temperature, Beta, Isotonic)
}
"""Kind to calibrator."""


def from_dict(values: Mapping[str, Any]) -> Platt | Temperature | Beta | Isotonic:
    """Inverse of ``to_dict`` of any calibrator.

    Raises
    ------
    InputError: the kind is not known, or fields are missing.
    """
    given = dict(values)
    kind = given.pop("kind", None)
    if kind not in CALIBRATORS:
        raise InputError(f'calibrator "{kind}" is not known; valid: {", ".join(CALIBRATORS)}')
    fields: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in given.items()
    }
    try:
        return CALIBRATORS[kind](**fields)
    except TypeError as error:
        raise InputError(f'calibrator "{kind}" has other fields: {error}') from error


def _checked(logit: ArrayLike, label: ArrayLike) -> tuple[Float64, Float64]:
    scores = np.asarray(as_numbers(logit, "logit"), dtype=np.float64)
    labels = np.asarray(as_numbers(label, "label"), dtype=np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise InputError(f"logits {scores.shape} and labels {labels.shape}; give one label a logit")
    if not np.isfinite(scores).all():
        raise InputError("a logit is not finite; leave out rows whose score is unknown")
    if set(np.unique(labels)) != {0.0, 1.0}:
        raise InputError("labels must be 0 and 1, and both must occur; label more rows")
    return scores, labels


def smoothed(label: Float64) -> Float64:
    """Platt's targets, which keep a few rows that are easily told apart from looking certain.

    >>> smoothed(np.array([1.0, 1.0, 0.0])).round(2).tolist()
    [0.75, 0.75, 0.33]
    """
    positives = label.sum()
    negatives = len(label) - positives
    target: Float64 = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    return target


def least_log_loss(
    features: Float64,
    target: Float64,
    bounds: Sequence[tuple[float | None, float | None]],
) -> list[float]:
    """Weights of a logistic regression by L-BFGS-B, from all ones."""
    from scipy.optimize import minimize

    def loss(weights: Float64) -> tuple[float, Float64]:
        logit = features @ weights
        value = _softplus(logit) - target * logit
        gradient = features.T @ (sigmoid(logit) - target) / len(target)
        return float(value.mean()), gradient

    start = np.ones(features.shape[1])
    start[-1] = 0.0 if features.shape[1] > 1 else 1.0
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    return [float(weight) for weight in found.x]


def shrunk_logistic(
    features: Float64,
    label: NDArray[Any],
    mean: Float64,
    spread: Float64,
    weight: Float64 | None = None,
) -> Float64:
    """Most probable weights (k,) of a logistic regression under normal priors.

    Parameters
    ----------
    features: (N, k).
    label: (N,) 1: true, 0: false.
    mean, spread: (k,) means and standard deviations of the priors.
    weight: (N,) how often each row counts; None: once.

    >>> shrunk_logistic(np.ones((2, 1)), np.array([1, 1]), np.zeros(1), np.full(1, 1e-3)).round(3)
    array([0.])
    """
    from scipy.optimize import minimize

    truth = np.asarray(label, dtype=np.float64)
    counted = np.ones(len(truth)) if weight is None else weight

    def loss(weights: Float64) -> tuple[float, Float64]:
        logit = features @ weights
        away = (weights - mean) / spread
        value = counted @ (np.logaddexp(0, logit) - truth * logit) + (away**2).sum() / 2
        slope = features.T @ (counted * (sigmoid(logit) - truth))
        return float(value), slope + away / spread

    return np.asarray(minimize(loss, mean, jac=True, method="L-BFGS-B").x, dtype=np.float64)


def _beta_features(logit: Float64) -> Float64:
    """``ln p``, ``-ln(1 - p)`` and 1, from the logit of p without cancellation."""
    return np.stack([-_softplus(-logit), _softplus(logit), np.ones_like(logit)], axis=-1)


def _softplus(logit: Float64) -> Float64:
    """``ln(1 + e^z)``, stable for large |z|."""
    return np.asarray(np.maximum(logit, 0) + np.log1p(np.exp(-np.abs(logit))))


def sigmoid(logit: Float64) -> Float64:
    """``1 / (1 + e^-z)``, stable for large |z|."""
    from scipy.special import expit

    return np.asarray(expit(logit), dtype=np.float64)
