"""Whole models, fitted without the images they are judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialtrust.fusion.folds import deal
from spatialtrust.fusion.model import TrustModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float32
    from spatialtrust.evidence.columns import Features


def out_of_fold(
    score: Callable[[NDArray[np.int64], NDArray[np.int64]], Float32],
    groups: NDArray[Any],
    folds: int = 5,
    seed: int = 0,
) -> Float32:
    """(N, ...) scores of each row by something that was fitted on the other folds.

    Parameters
    ----------
    score: from positions to fit on and positions to score to the scores of the latter, (rows, ...).
    groups: (N,) image of each row; an image is in one fold.

    >>> out_of_fold(lambda fit, rows: np.full(len(rows), len(fit), np.float32), np.arange(4), 2)
    array([2., 2., 2., 2.], dtype=float32)
    """
    fold = deal(groups, folds, seed)
    order = [np.flatnonzero(fold == number) for number in range(folds)]
    scores = [score(np.flatnonzero(fold != number), rows) for number, rows in enumerate(order)]
    result = np.empty((len(fold), *scores[0].shape[1:]), dtype=np.float32)
    result[np.concatenate(order)] = np.concatenate(scores)
    return result


def cross_validate(
    features: Features,
    label: NDArray[Any],
    groups: NDArray[Any],
    *,
    disturbed: Features | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Float32:
    """(N,) ``p_true`` of each claim by a model fitted from nothing on the other folds' images.

    Everything is fitted inside the folds: regressions, trees, when to stop, calibrators.
    """

    def score(fitting: NDArray[np.int64], rows: NDArray[np.int64]) -> Float32:
        model = TrustModel.fit(
            features.select(fitting),
            label[fitting],
            groups[fitting],
            calibrated_on="folds",
            disturbed=None if disturbed is None else disturbed.select(fitting),
            seed=seed,
        )
        return model.predict(features.select(rows)).p_true

    return out_of_fold(score, groups, folds, seed)
