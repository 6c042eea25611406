"""Boosted trees on evidence columns, on top of the relation's own regression.

The trees start from the regression's log-odds (their base margin) and correct it, so what they add
is what a smooth model per relation cannot say. Missing values are left to the trees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from spatialtrust.documents import loads
from spatialtrust.fusion.forest import Forest
from spatialtrust.fusion.stored_trees import checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xgboost
    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32, Integers


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
"""At most; how many, the folds decide."""

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
        fold: Integers,
        *,
        features: Sequence[str],
        rising: Sequence[str],
        seed: int = 0,
    ) -> tuple[Self, Float32]:
        """Fit trees, as many as trees fitted without a fold need to be best on that fold.

        Columns that are unknown throughout are left out.

        Parameters
        ----------
        columns: (features, N), NaN: unknown.
        margin: (N,) the regression's log-odds, of rows that it was not fitted on.
        label: (N,) 1: true, 0: false.
        fold: (N,) rows of one fold are judged by trees fitted on the others.
        features: names of the rows of ``columns``.
        rising: features of which the probability may only rise.
        seed: of the rows and columns that are drawn for each tree.

        Returns
        -------
        The trees, and the log-odds (N,) of each row by as many trees that have not seen its fold.
        """
        varies = np.fmin.reduce(columns, axis=1) < np.fmax.reduce(columns, axis=1)
        told = [place for place, varied in enumerate(varies) if varied]
        names = (MARGIN, *(features[place] for place in told))
        rows = _Rows(_matrix(columns[told], margin), margin, label, names)
        constraints = tuple(int(name in rising) for name in names)
        settings = {**SETTINGS, "seed": seed, "monotone_constraints": constraints}
        after = np.empty((MOST_TREES, len(label)), dtype=np.float32)
        for number in range(int(fold.max()) + 1):
            out = fold == number
            booster = rows.take(~out).grown(settings, MOST_TREES)
            after[:, out] = rows.take(out).stages(booster)
        best = int((np.logaddexp(0, after) - label * after).mean(axis=1).argmin())
        booster = rows.grown(settings, best + 1)
        return cls(names[1:], loads(bytes(booster.save_raw("json")))), after[best]

    def logit(self, columns: Sequence[Float32] | Float32, margin: Float32) -> Float32:
        """(N,) log-odds from the features' columns (N,) and the regression's log-odds."""
        return self._forest.add([margin, *columns], margin)

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
        return len(self._forest.trees)

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

    @cached_property
    def _forest(self) -> Forest:
        trees = self.model["learner"]["gradient_booster"]["model"]["trees"]
        return Forest.of(trees, 1 + len(self.features))

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "model": self.model}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"features": list(self.features), "xgboost": self.model}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError: the trees are damaged.
        """
        features = tuple(values["features"])
        made = cls(features, checked(values["xgboost"], 1 + len(features)))
        _ = made._forest  # now, not at the first claim, is the time to find them damaged
        return made


class _Rows(NamedTuple):
    """Rows to grow trees on: matrix (N, 1 + features), margin and label (N,), column names."""

    matrix: Float32
    margin: Float32
    label: NDArray[Any]
    names: tuple[str, ...]

    def take(self, rows: NDArray[np.bool_]) -> _Rows:
        return self._replace(
            matrix=self.matrix[rows], margin=self.margin[rows], label=self.label[rows]
        )

    def grown(self, settings: Mapping[str, Any], trees: int) -> xgboost.Booster:
        import xgboost

        data = xgboost.DMatrix(
            self.matrix, label=self.label, base_margin=self.margin, feature_names=self.names
        )
        return xgboost.train(dict(settings), data, trees)

    def stages(self, booster: xgboost.Booster) -> Float32:
        """(trees, N): log-odds after the first tree, after two, and so on."""
        return np.stack(
            [
                booster.inplace_predict(
                    self.matrix,
                    iteration_range=(0, trees),
                    predict_type="margin",
                    base_margin=self.margin,
                    validate_features=False,
                )
                for trees in range(1, booster.num_boosted_rounds() + 1)
            ]
        )


def _matrix(columns: Float32, margin: Float32) -> Float32:
    """(N, 1 + features), without a copy beyond this one: xgboost reads either memory order."""
    return np.concatenate([margin[None], columns]).T
