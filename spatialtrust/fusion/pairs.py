"""What a model of written claims is worth on pairs that were enumerated of a scene.

People write what strikes them, and half of VSR's statements are true; of all pairs of boxes far
fewer are, and which depends on what their reading stands on, see
:mod:`spatialtrust.evidence.readings`.
``logit P = s x + b + b_c``, where ``c`` is how the relation is read, with that cue. All have normal
priors, so a cue with five judged pairs is calibrated nearly as all are. Fitted by
``pipelines/fit_pairs.py``.

>>> calibration = PairCalibration(intercept=-1.0, cells={"on/rests": 2.0})
>>> calibration.logit(np.zeros(2), np.array(["on/rests", "/"])).tolist()
[1.0, -1.0]
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from spatialtrust.evidence.readings import RULES
from spatialtrust.fusion.calibration import shrunk_logistic, sigmoid
from spatialtrust.tables import Fused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Integers
    from spatialtrust.evidence.readings import Readings

CALIBRATED: Final = "vsr-boxes"
"""The model whose probabilities the shipped calibration is for."""

_SPREAD: Final = (0.25, 0.75, 1.0)
"""Prior standard deviations of slope, intercept and a cell's own intercept."""
_UNKNOWN: Final = -1.0
"""What not knowing whether a thing supports or contains is expected to cost, in log-odds."""


def cells_of(relation: Integers, readings: Readings) -> NDArray[np.str_]:
    """(N,) cells that are calibrated alike: how the relation is read, and on which cue."""
    return np.char.add(np.char.add(RULES[relation], "/"), readings.cue)


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """Slope and intercept of all pairs, and what each cell adds.

    Attributes
    ----------
    slope, intercept: s and b.
    cells: b_c by cell; a cell that is not named adds 0, or ``-1`` where a thing was not known.
    """

    slope: float = 1.0
    intercept: float = 0.0
    cells: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, logit: Float64, cell: NDArray[np.str_], label: NDArray[Any]) -> Self:
        """The most probable calibration.

        Parameters
        ----------
        logit: (N,) finite log-odds of a model that has not seen these rows.
        cell: (N,), see :func:`cells_of`.
        label: (N,) 1: physically true, 0: not, or debatable.
        """
        names, row = np.unique(cell, return_inverse=True)
        features = np.column_stack([logit, np.ones(len(row)), np.eye(len(names))[row]])
        mean = np.concatenate([[1.0, 0.0], _expected(names)])
        spread = np.concatenate([_SPREAD[:2], np.full(len(names), _SPREAD[2])])
        found = shrunk_logistic(features, label, mean, spread)
        cells = dict(zip(names.tolist(), found[2:].tolist(), strict=True))
        return cls(float(found[0]), float(found[1]), cells)

    def logit(self, logit: Float64, cell: NDArray[np.str_]) -> Float64:
        """(N,) calibrated log-odds; NaN where the given ones are."""
        names, row = np.unique(cell, return_inverse=True)
        expected = _expected(names)
        own = np.array([self.cells.get(str(n), e) for n, e in zip(names, expected, strict=True)])
        return np.asarray(self.slope * logit + self.intercept + own[row], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded to what labels can tell."""
        return {
            "slope": round(self.slope, 4),
            "intercept": round(self.intercept, 4),
            "cells": {name: round(own, 4) for name, own in sorted(self.cells.items())},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(values["slope"], values["intercept"], dict(values["cells"]))


def of_pairs(fused: Fused, relation: Integers, readings: Readings) -> Fused:
    """What is said of pairs: the probability of their reading in space, NaN where there is none.

    Parameters
    ----------
    fused: (N,) what the model ``CALIBRATED`` says of them as if they were written.
    relation: (N,) place in ``relations.NAMES``; -1: unknown.
    readings: (N,); rows that were not read stay as they are.
    """
    unclear = readings.reasons > 0
    reasons = fused.reasons | readings.reasons
    parts = [np.where(unclear, np.float32(np.nan), part) for part in (fused.p_true, fused.p_boxes)]
    cell = cells_of(relation, readings)
    parts = [_calibrated(part, cell, readings) for part in parts]
    return Fused(parts[0], parts[1], reasons)


def _calibrated(
    part: NDArray[np.float32], cell: NDArray[np.str_], readings: Readings
) -> NDArray[np.float32]:
    inside = np.clip(part.astype(np.float64), 1e-6, 1 - 1e-6)
    said = sigmoid(shipped().logit(np.log(inside / (1 - inside)), cell))
    return np.where(readings.in_space, said, part).astype(np.float32)


@cache
def shipped() -> PairCalibration:
    """The calibration that ships."""
    file = resources.files("spatialtrust.fusion.models") / "pairs" / "vsr-boxes.json"
    return PairCalibration.from_dict(json.loads(file.read_text(encoding="utf-8"))["calibration"])


def _expected(cells: NDArray[np.str_]) -> Float64:
    return np.where(np.char.endswith(cells, "_unknown"), _UNKNOWN, 0.0)
