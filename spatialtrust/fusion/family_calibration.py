"""From log-odds to probabilities, by family of relations, shrunk towards what is known before.

``logit P = (s + s_f) x + b + b_f`` for a claim of family f. All four have normal priors: few rows
move them little, so a family with fifty labelled claims is calibrated nearly as all claims are, and
a model that is fitted to two hundred labels stays near the one it starts from.

>>> calibration = FamilyCalibration()
>>> calibration.transform(np.array([0.0, np.nan]), np.array([0, 0])).tolist()
[0.5, nan]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.fusion.calibration import shrunk_logistic, sigmoid
from spatialtrust.relations import FAMILIES, NAMES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Integers

_FAMILY: Final = np.array([list(FAMILIES).index(RELATIONS[name].family) for name in NAMES])
"""Place in ``FAMILIES`` of each relation's family."""

_OVERALL: Final = (0.25, 0.5)
_OWN: Final = (0.1, 0.1)
"""Prior standard deviations of slope and intercept, of all claims and of a family's own; chosen by
cross-validation on VSR statements, by image."""


def _by_relation(overall: float, own: Float64) -> Float64:
    """What counts for each of ``relations.NAMES``, and, last, for one that is unknown: -1."""
    return overall + np.append(own[_FAMILY], 0.0)


def _none() -> Float64:
    return np.zeros(len(FAMILIES))


@dataclass(frozen=True, slots=True)
class FamilyCalibration:
    """Slope and intercept of all claims, and what each family adds to them.

    Attributes
    ----------
    slope, intercept: s and b.
    own_slope, own_intercept: float64 (families,), s_f and b_f, in the order of ``FAMILIES``.
    """

    slope: float = 1.0
    intercept: float = 0.0
    own_slope: Float64 = field(default_factory=_none)
    own_intercept: Float64 = field(default_factory=_none)

    @classmethod
    def fit(
        cls, logit: Float64, relation: Integers, label: NDArray[Any], near: Self | None = None
    ) -> Self:
        """The most probable calibration.

        Parameters
        ----------
        logit: (N,) finite log-odds, of models that have not seen these rows.
        relation: (N,) place in ``relations.NAMES``.
        label: (N,) 1: true, 0: false.
        near: what the prior expects; None: that the log-odds are right as they are.

        Source: this package; the model is that of Gelman and Hill 2007, chapter 13.
        """
        expected = cls() if near is None else near
        count = len(FAMILIES)
        x = np.asarray(logit, dtype=np.float64)[:, None]
        shared_and_own = np.column_stack([np.ones(len(x)), np.eye(count)[_FAMILY[relation]]])
        features = np.concatenate([x * shared_and_own, shared_and_own], axis=1)
        mean = np.concatenate([[expected.slope], expected.own_slope, [expected.intercept],
                               expected.own_intercept])  # fmt: skip
        spread = np.concatenate([[_OVERALL[k], *np.full(count, _OWN[k])] for k in (0, 1)])
        found = shrunk_logistic(features, label, mean, spread)
        return cls(
            float(found[0]), float(found[count + 1]), found[1 : count + 1], found[count + 2 :]
        )

    def logit(self, logit: Float64, relation: Integers) -> Float64:
        """(N,) calibrated log-odds; NaN where the given ones are.

        Parameters
        ----------
        logit: (N,) log-odds.
        relation: (N,) place in ``relations.NAMES``; -1, unknown, is calibrated as all claims are.
        """
        slope = _by_relation(self.slope, self.own_slope).take(relation)
        intercept = _by_relation(self.intercept, self.own_intercept).take(relation)
        return np.asarray(slope * logit + intercept, dtype=np.float64)

    def transform(self, logit: Float64, relation: Integers) -> Float64:
        """(N,) probabilities; see :meth:`logit`."""
        return sigmoid(self.logit(logit, relation))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, families by name."""
        own = zip(FAMILIES, self.own_slope, self.own_intercept, strict=True)
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "families": {name: [float(slope), float(added)] for name, slope, added in own},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; a family that the file does not name adds nothing."""
        own = np.array([values["families"].get(name, (0.0, 0.0)) for name in FAMILIES])
        return cls(values["slope"], values["intercept"], own[:, 0].copy(), own[:, 1].copy())
