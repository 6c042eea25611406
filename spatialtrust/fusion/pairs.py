"""What a model of written claims is worth on pairs that were enumerated of a scene.

People write what strikes them, and half of VSR's statements are true; of all pairs of boxes far
fewer are, and which depends on what their reading stands on, see
:mod:`spatialtrust.evidence.readings`.
``logit P = s_c (x - 1) + b_c``, where ``x`` is what that model says and ``c`` is how the relation
is read, with its cue. Slopes and intercepts have normal priors around common ones, so a cue with
five judged pairs is calibrated nearly as all are. Rendered scenes teach too, as a neighbouring
population whose intercepts may differ. Fitted by ``pipelines/fit_pairs.py``.

>>> calibration = PairCalibration({"on/rests": (1.0, 2.0)}, (1.0, 0.0))
>>> calibration.logit(np.ones(2), np.array(["on/rests", "/"])).tolist()
[2.0, 0.0]
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.evidence.columns import relation_places
from spatialtrust.evidence.readings import RULES, read
from spatialtrust.fusion.calibration import shrunk_logistic, sigmoid
from spatialtrust.tables import Fused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Integers
    from spatialtrust.evidence.readings import Readings
    from spatialtrust.tables import Claims, Grounding

CALIBRATED: Final = "vsr-boxes"
"""The model whose probabilities the shipped calibration is for."""

_SLOPE: Final = (0.1, 0.8)
"""Prior standard deviations of the common slope, and of a cell's around it."""
_INTERCEPT: Final = (0.5, 1.0)
"""The same of the intercepts."""
_RENDERED: Final = 0.5
"""Prior standard deviation of how a cell's intercept differs in rendered scenes."""
_COUNTED: Final = 40
"""Rendered rows of a cell count as so many at most."""
_UNKNOWN: Final = -1.0
"""What not knowing whether a thing supports or contains is expected to cost, in log-odds."""


def cells_of(relation: Integers, readings: Readings) -> NDArray[np.str_]:
    """(N,) cells that are calibrated alike: how the relation is read, and on which cue."""
    return np.char.add(np.char.add(RULES[relation], "/"), readings.cue)


@dataclass(frozen=True)
class Judged:
    """Pairs that were judged, or are known, to be physically true or not.

    Attributes
    ----------
    logit: (N,) finite log-odds of a model that has not seen these rows.
    cell: (N,), see :func:`cells_of`.
    label: (N,) 1: physically true, 0: not, or debatable.
    weight: (N,) 1 over how often the same was judged.
    """

    logit: Float64
    cell: NDArray[np.str_]
    label: NDArray[Any]
    weight: Float64

    def select(self, rows: NDArray[np.bool_]) -> Self:
        """Some of them."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """Slope and intercept of each cell.

    Attributes
    ----------
    cells: ``(s_c, b_c)`` by cell.
    common: those of a cell that is not named; where a thing was not known its intercept is 1 lower.
    """

    cells: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    common: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def fit(cls, photos: Judged, rendered: Judged | None = None) -> Self:
        """The most probable calibration of photos.

        Parameters
        ----------
        photos: what is calibrated.
        rendered: what teaches besides.
        """
        parts = [photos] if rendered is None else [photos, _at_most(rendered)]
        cell = np.concatenate([part.cell for part in parts])
        names, row = np.unique(cell, return_inverse=True)
        own, n = np.eye(len(names))[row], len(names)
        besides = np.repeat(np.arange(len(parts)), [len(part.label) for part in parts])
        away = (np.concatenate([part.logit for part in parts]) - 1)[:, None]
        features = np.hstack([away, own * away, np.ones_like(away), own, own * besides[:, None]])
        mean = np.concatenate([[1.0], np.zeros(n), [1.0], _expected(names), np.zeros(n)])
        spread = np.repeat([*_SLOPE, *_INTERCEPT, _RENDERED], [1, n, 1, n, n])
        label = np.concatenate([part.label for part in parts])
        weight = np.concatenate([part.weight for part in parts])
        found = shrunk_logistic(features, label, mean, spread, weight)
        slopes, intercepts = found[1 : n + 1] + found[0], found[n + 2 : 2 * n + 2] + found[n + 1]
        cells = zip(names.tolist(), slopes.tolist(), intercepts.tolist(), strict=True)
        return cls({name: (s, b) for name, s, b in cells}, (float(found[0]), float(found[n + 1])))

    def logit(self, logit: Float64, cell: NDArray[np.str_]) -> Float64:
        """(N,) calibrated log-odds; NaN where the given ones are."""
        names, row = np.unique(cell, return_inverse=True)
        slope, intercept = self.common
        others = [(slope, intercept + e) for e in _expected(names)]
        own = [self.cells.get(str(n), o) for n, o in zip(names, others, strict=True)]
        chosen = np.array(own, dtype=np.float64).reshape(-1, 2)[row]
        return np.asarray(chosen[:, 0] * (logit - 1) + chosen[:, 1], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded to what labels can tell."""
        return {
            "common": [round(value, 4) for value in self.common],
            "cells": {
                name: [round(value, 4) for value in own] for name, own in sorted(self.cells.items())
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        cells = {name: (own[0], own[1]) for name, own in values["cells"].items()}
        return cls(cells, (values["common"][0], values["common"][1]))


def _at_most(rows: Judged) -> Judged:
    """The same, no cell counting as more than ``_COUNTED`` rows."""
    names, row = np.unique(rows.cell, return_inverse=True)
    share = np.minimum(1, _COUNTED / np.bincount(row, rows.weight, len(names)))
    return replace(rows, weight=rows.weight * share[row])


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


def read_enumerated(
    fused: Fused, claims: Claims, grounding: Callable[[], Grounding]
) -> tuple[Fused, pa.Array]:
    """What ``CALIBRATED`` says of (N,) claims, enumerated ones as pairs; and of which reading.

    Parameters
    ----------
    fused: what it says of them as if all were written.
    grounding: their boxes; not called where no claim was enumerated.
    """
    enumerated = pc.fill_null(pc.equal(claims.column("source"), "enumerated"), False)
    pairs = np.asarray(enumerated.to_numpy(), dtype=np.bool_)
    if not pairs.any():
        return fused, pa.nulls(len(claims), pa.string())
    readings = read(claims, grounding()).only(pairs)
    return of_pairs(fused, relation_places(claims.column("relation")), readings), readings.meaning


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
