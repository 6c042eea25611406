"""Boosted trees on evidence columns, on top of the relation's own regression.

The trees start from the regression's log-odds (their base margin) and correct it, so what they add
is what a smooth model per relation cannot say. Missing values are left to the trees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xgboost
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32


SETTINGS: Final[Mapping[str, Any]] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.05,
    "min_child_weight": 20,
    "subsample": 0.7,
    "colsample_bytree": 0.5,
    "reg_lambda": 5,
    "base_score": 0.5,
    "nthread": 1,
}
"""Chosen by cross-validation on VSR statements, by image."""

MOST_TREES: Final = 64
PATIENCE: Final = 16
"""Trees that may be added without the log-loss of the stopping rows falling."""

MARGIN: Final = "relation_logit"
"""The regression's log-odds, which trees also see as a column."""


@dataclass(frozen=True)
class Boosted:
    """Fitted trees.

    Attributes
    ----------
    features: names of the columns they read, beside ``MARGIN``, which comes first.
    model: the booster in xgboost's own JSON form.
    """

    features: tuple[str, ...]
    model: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        columns: Float32,
        margin: Float32,
        label: NDArray[Any],
        stopping: tuple[Float32, Float32, NDArray[Any]],
        *,
        features: Sequence[str],
        rising: Sequence[str],
        seed: int = 0,
    ) -> Self:
        """Fit trees; columns that are unknown throughout are left out.

        Parameters
        ----------
        columns: (features, N), NaN: unknown.
        margin: (N,) the regression's log-odds, of rows that it was not fitted on.
        label: (N,) 1: true, 0: false.
        stopping: the same three of the rows that say when to stop.
        features: names of the rows of ``columns``.
        rising: features of which the probability may only rise.
        """
        import xgboost

        varies = np.fmin.reduce(columns, axis=1) < np.fmax.reduce(columns, axis=1)
        told = [place for place, told in enumerate(varies) if told]
        names = [MARGIN, *(features[place] for place in told)]
        data, held = (
            xgboost.DMatrix(
                _matrix(given[told], logit), label=truth, base_margin=logit, feature_names=names
            )
            for given, logit, truth in ((columns, margin, label), stopping)
        )
        constraints = [int(name in rising) for name in names]
        settings = {**SETTINGS, "seed": seed, "monotone_constraints": tuple(constraints)}
        booster = xgboost.train(
            settings,
            data,
            MOST_TREES,
            evals=[(held, "stopping")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        kept = booster[: booster.best_iteration + 1]
        return cls(tuple(names[1:]), json.loads(bytes(kept.save_raw("json"))))

    def logit(self, columns: Float32, margin: Float32) -> Float32:
        """(N,) log-odds from (features, N) and the regression's log-odds; thread-safe."""
        matrix = _matrix(columns, margin)
        found = self._booster.inplace_predict(
            matrix, predict_type="margin", base_margin=margin, validate_features=False
        )
        return np.asarray(found, dtype=np.float32)

    def contributions(self, columns: Float32, margin: Float32) -> Float32:
        """(1 + features, N): what each column adds to the trees' log-odds (tree SHAP).

        What the trees add on average goes to the first, ``MARGIN``.
        """
        import xgboost

        data = xgboost.DMatrix(
            _matrix(columns, margin), base_margin=margin, feature_names=[MARGIN, *self.features]
        )
        found = np.asarray(self._booster.predict(data, pred_contribs=True).T, dtype=np.float32)
        found[0] += found[-1] - margin
        return found[:-1]

    def gains(self) -> dict[str, float]:
        """Share of the total gain by column; columns that no split uses are left out."""
        found = self._booster.get_score(importance_type="total_gain")
        gain = {name: float(np.sum(value)) for name, value in found.items()}
        total = sum(gain.values())
        return {name: gain[name] / total for name in sorted(gain, key=lambda name: -gain[name])}

    @property
    def trees(self) -> int:
        """How many."""
        return int(self._booster.num_boosted_rounds())

    @property
    def depth(self) -> int:
        """Most splits on the way to a leaf."""
        return int(SETTINGS["max_depth"])

    @cached_property
    def _booster(self) -> xgboost.Booster:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(json.dumps(self.model), "utf-8"))
        booster.set_param({"nthread": 1})
        return booster

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "model": self.model}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"features": list(self.features), "xgboost": self.model}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(values["features"]), values["xgboost"])


def _matrix(columns: Float32, margin: Float32) -> Float32:
    """(N, 1 + features), without a copy beyond this one: xgboost reads either memory order."""
    return np.concatenate([margin[None], columns]).T
