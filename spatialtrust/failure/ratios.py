"""Likelihood ratios: is the image more like those that were right, or those that were wrong?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.failure.base import FailurePredictor, LabelledData
from spatialtrust.failure.checks import (
    as_labels,
    as_logits,
    blocks,
    expect_both_outcomes,
    expect_choice,
    expect_count,
    expect_positive,
    expect_rows,
    unit_rows,
)
from spatialtrust.failure.confidence import margin as logit_margin
from spatialtrust.failure.probes import class_means, pooled_covariance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Float64, Floats, Int64

_TINY = 1e-6


@dataclass
class LikelihoodRatio(FailurePredictor):
    """Density among the right training images against that among the wrong ones.

    "knn" (Delta-KNN): the mean of ``-log(squared distance + 1e-6)`` to the nearest right images
    minus that to the nearest wrong ones. "mds" (Delta-MDS): ``max_c -(v - m_c)' P (v - m_c)`` with
    class means and pooled precision of the right images, minus the same of the wrong ones; a class
    without rows of a kind is left out of that kind's maximum.

    With ``margin`` the logit margin (RLog, largest logit minus second) joins: both are standardised
    on a second labelled split and weighted by the least log-loss there. That weighting is *ours*.

    Parameters
    ----------
    density: "mds" or "knn".
    neighbours: k of "knn"; all, where there are fewer.
    margin: whether the logit margin joins.
    ridge: share of its mean variance that is added to the covariance of "mds", *ours*: wrong
        images are few, and their covariance has no inverse.

    Uses: every labelled image given to `fit`; it can only learn where some predictions are wrong.

    Source: arXiv 2505.15008 (ICLR 2026), and its released code.

    >>> rng = np.random.default_rng(0)
    >>> images, logits = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    >>> model = LikelihoodRatio("knn").fit(images, logits, rng.integers(0, 3, 60))
    >>> model.score(logits, images).shape
    (60,)
    """

    labelled_split: ClassVar[str] = "train"

    density: Literal["mds", "knn"] = "mds"
    neighbours: int = 25
    margin: bool = False
    ridge: float = 0.01

    def check(self) -> None:
        """Refuse parameters out of range."""
        expect_choice(self.density, "density", ("mds", "knn"))
        expect_count(self.neighbours, "neighbours", 1)
        expect_positive(self.ridge, "ridge")

    def fit(
        self,
        images: ArrayLike,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        weighing: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Learn from embeddings (N, d), the model's logits (N, K) and labels (N,).

        Parameters
        ----------
        weighing: the same three of other images, for ``margin``.

        Raises
        ------
        InputError: no prediction is wrong, or none is right.
        """
        self.check()
        v, z, y, right = _labelled(images, logits, labels, "train split")
        tensors: dict[str, NDArray[Any]] = {}
        for kind, rows in (("right", right), ("wrong", ~right)):
            if self.density == "knn":
                tensors[kind] = v[rows]
            else:
                tensors |= _gaussians(v[rows], y[rows], z.shape[1], self.ridge, kind)
        self._store(tensors, labelled_rows=len(v), dimension=v.shape[1], weighed_on=0)
        if self.margin:
            if weighing is None:
                raise InputError(
                    "margin: needs a second labelled split to weigh the two by; give "
                    "weighing=(images, logits, labels) of images that fit does not see otherwise"
                )
            self._weigh(*weighing)
        return self

    @property
    def labelled_data(self) -> LabelledData:
        """The labelled images `fit` has used, those that weigh the margin among them."""
        known, weighed = super().labelled_data, int(self.facts_["weighed_on"])
        if not weighed:
            return known
        return LabelledData("train, calibration", known.rows + weighed)

    def ratio(self, images: ArrayLike) -> Float64:
        """Difference (N,) of the two log-densities; above 0 = more like the right ones."""
        v = unit_rows(images, "images", int(self._fitted()["dimension"])).astype(np.float64)
        out = np.empty(len(v))
        name = "right" if self.density == "knn" else "right_means"
        for part in blocks(len(v), len(self.tensors_[name])):
            found = [self._log_density(v[part], kind) for kind in ("right", "wrong")]
            out[part] = found[0] - found[1]
        return out

    def score(self, logits: ArrayLike, images: ArrayLike) -> Float64:
        """Confidence (N,), higher = safer; logits (N, K), embeddings (N, d)."""
        found = self.ratio(images)
        z = as_logits(logits)
        expect_rows(z, "logits", len(found))
        if not self.margin:
            return found
        columns = np.column_stack([found, logit_margin(z)])
        standard = (columns - self.tensors_["centres"]) / self.tensors_["scales"]
        return np.asarray(standard @ self.tensors_["mixture"])

    def _weigh(self, images: ArrayLike, logits: ArrayLike, labels: ArrayLike) -> None:
        from sklearn.linear_model import LogisticRegression

        v, z, _, right = _labelled(images, logits, labels, "calibration split")
        columns = np.column_stack([self.ratio(v), logit_margin(z)])
        centres, scales = columns.mean(axis=0), columns.std(axis=0)
        scales = np.where(scales > 0, scales, 1.0)
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit((columns - centres) / scales, right)
        weights = np.maximum(np.asarray(fitted.coef_[0]), 0.0)
        mixture = weights / weights.sum() if weights.any() else np.array([0.5, 0.5])
        self.tensors_ |= {"centres": centres, "scales": scales, "mixture": mixture}
        self.facts_["weighed_on"] = len(v)

    def _log_density(self, v: Float64, kind: str) -> Float64:
        if self.density == "knn":
            known = self.tensors_[kind]
            distance = np.maximum(2 - 2 * (v @ known.T), 0.0)
            k = min(self.neighbours, len(known))
            nearest = np.partition(distance, k - 1, axis=1)[:, :k]
            return np.asarray(-np.log(nearest + _TINY).mean(axis=1))
        means, whitening = self.tensors_[f"{kind}_means"], self.tensors_[f"{kind}_whitening"]
        white, centres = v @ whitening.T, means @ whitening.T
        distance = np.square(white).sum(axis=1)[:, None] - 2 * white @ centres.T
        return np.asarray(-(distance + np.square(centres).sum(axis=1)).min(axis=1))


def _labelled(
    images: ArrayLike, logits: ArrayLike, labels: ArrayLike, split: str
) -> tuple[Floats, Floats, Int64, NDArray[np.bool_]]:
    v, z = unit_rows(images, "images"), as_logits(logits)
    expect_rows(v, "images", len(z))
    y = as_labels(labels, *z.shape)
    right = z.argmax(axis=1) == y
    expect_both_outcomes(right, split)
    return v, z, y, right


def _gaussians(
    rows: Floats, labels: Int64, classes: int, ridge: float, kind: str
) -> dict[str, NDArray[Any]]:
    """Means of the classes that have rows, and what makes their pooled covariance the identity."""
    means = class_means(rows, labels, classes)
    covariance = pooled_covariance(rows.astype(np.float64), means, labels, ridge)
    whitening = np.linalg.solve(np.linalg.cholesky(covariance), np.eye(len(covariance)))
    seen = ~np.isnan(means).any(axis=1)
    return {f"{kind}_means": means[seen], f"{kind}_whitening": whitening}
