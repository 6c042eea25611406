"""How good stated confidences are: calibration, ranking, and whether they fall with the picture.

Beside them stand the VLM's own ``p_yes``, as it is and after Platt scaling on the same labels:
calibrating afterwards is cheap and beats prompting (arXiv 2604.02543), so whatever is trained has
to beat that.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import metrics
from spatialtrust.fusion.calibration import Platt
from spatialtrust.fusion.folds import deal

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Bool, Float64, Floats
    from spatialtrust.csp.observing import Observed

FOLDS: Final = 5
BINS: Final = 20
"""Of a reliability diagram: the width of a step of the percent scale."""


def judge(observed: Observed, *, resamples: int = 500, seed: int = 0) -> dict[str, Any]:
    """Figures of the clean pictures, of all levels together, and of how confidence falls.

    Parameters
    ----------
    resamples: of the bootstrap by image, for 95 % intervals; 0: none.

    Returns
    -------
    ``clean`` and ``all_levels``: accuracy and F1 (of yes), and for ``stated``, ``p_yes`` and
    ``p_yes Platt`` ECE, Brier and AUROC against whether the answer is right; ``mass``: the
    probability that a confidence is stated at all. ``noise``: accuracy and mean stated confidence
    of each level, and the rank correlation per question.
    """
    everything = np.arange(len(observed.levels))
    found: dict[str, Any] = {
        "questions": len(observed),
        "images": int(np.unique(observed.image).size),
        "clean": _figures(observed, everything[:1], resamples, seed),
    }
    if len(everything) > 1:
        found["all_levels"] = _figures(observed, everything, resamples, seed)
        found["noise"] = _noise(observed, resamples, seed)
    return found


def ways(observed: Observed, columns: Any) -> dict[str, Float64]:
    """P(the answer is right) as each way tells it, (rows,), question by question."""
    label = np.repeat(observed.label, len(columns))
    image = np.repeat(observed.image, len(columns))
    p_yes = observed.p_yes[:, columns].ravel().astype(np.float64)
    said = observed.answer[:, columns].ravel() == 1
    platt = platt_by_fold(p_yes, label, image)
    return {
        "stated": observed.stated[:, columns].ravel().astype(np.float64),
        "p_yes": np.where(said, p_yes, 1 - p_yes),
        "p_yes Platt": np.where(said, platt, 1 - platt),
    }


def platt_by_fold(p_yes: Float64, label: Bool, image: Any) -> Float64:
    """``p_yes`` calibrated by labels of other images; NaN where those have one label only."""
    bounded = np.clip(p_yes, 1e-6, 1 - 1e-6)
    logit = np.log(bounded) - np.log1p(-bounded)
    fold = deal(image, min(FOLDS, int(np.unique(image).size)))
    found = np.full(len(p_yes), np.nan)
    for number in range(FOLDS):
        rows = fold == number
        if rows.any() and np.unique(label[~rows]).size == 2:
            found[rows] = Platt.fit(logit[~rows], label[~rows]).transform(logit[rows])
    return found


def _figures(observed: Observed, columns: Any, resamples: int, seed: int) -> dict[str, Any]:
    right = observed.right[:, columns].ravel()
    image = np.repeat(observed.image, len(columns))
    label = np.repeat(observed.label, len(columns))
    said = observed.answer[:, columns].ravel()

    def spread(metric: Callable[..., float], confidence: ArrayLike, correct: ArrayLike) -> Any:
        if resamples == 0:
            return {"value": float(metric(confidence, correct))}
        found = asdict(
            metrics.bootstrap(metric, confidence, correct, groups=image, n=resamples, seed=seed)
        )
        return {name: found[name] for name in ("value", "low", "high")}

    given = {name: way for name, way in ways(observed, columns).items() if np.isfinite(way).all()}
    return {
        "accuracy": spread(share_right, said, right),
        "f1": spread(f1, said, label),
        "mass": float(observed.mass[:, columns].mean()),
        **{
            name: {
                "ece": spread(metrics.ece, way, right),
                "brier": spread(metrics.brier, way, right),
                "auroc": spread(metrics.auroc, way, right),
            }
            for name, way in given.items()
        },
    }


def reliability_of(observed: Observed, way: str = "stated") -> dict[str, list[float]]:
    """The reliability bins that hold answers, over all levels, as plain lists.

    Parameters
    ----------
    way: see :func:`ways`.
    """
    told = ways(observed, np.arange(len(observed.levels)))[way]
    table = metrics.reliability(told, observed.right.ravel(), BINS)
    held = table.rows > 0
    return {
        "confidence": table.confidence[held].tolist(),
        "accuracy": table.accuracy[held].tolist(),
        "count": table.rows[held].tolist(),
    }


def share_right(_: ArrayLike, is_correct: ArrayLike) -> float:
    """Accuracy, in the form of a metric; NaN without rows."""
    right = np.asarray(is_correct, dtype=bool)
    return float(right.mean()) if right.size else float("nan")


def f1(answer: ArrayLike, label: ArrayLike) -> float:
    """F1 of yes; NaN where nothing is yes and nothing was called so.

    >>> f1([1, 1, 0], [1, 0, 0])
    0.6666666666666666
    """
    said, true = np.asarray(answer) > 0.5, np.asarray(label, dtype=bool)
    both = said.sum() + true.sum()
    return float(2 * (said & true).sum() / both) if both else float("nan")


def _noise(observed: Observed, resamples: int, seed: int) -> dict[str, Any]:
    correlation = rank_correlation(observed.levels, observed.stated)
    known = np.isfinite(correlation)
    step = np.diff(observed.stated, axis=1)
    interval = _mean_interval(correlation[known], observed.image[known], resamples, seed)
    return {
        "levels": observed.levels.tolist(),
        "accuracy": observed.right.mean(axis=0).tolist(),
        "stated": observed.stated.mean(axis=0, dtype=np.float64).tolist(),
        "rank_correlation": interval,
        "never_changes": float((~known).mean()),
        "steps_that_fall": float((step < 0).mean()),
        "falls_at_every_step": float((step < 0).all(axis=1).mean()),
        "lower_at_most_noise": float((observed.stated[:, -1] < observed.stated[:, 0]).mean()),
    }


def rank_correlation(levels: ArrayLike, stated: Floats) -> Float64:
    """Spearman's correlation of level and confidence, of each row (Q,); NaN where all are equal.

    >>> rank_correlation([0, 50, 100], np.array([[0.9, 0.7, 0.5], [0.5, 0.5, 0.5]])).tolist()
    [-1.0, nan]
    """
    from scipy.stats import rankdata

    level = rankdata(np.asarray(levels))
    ranks = rankdata(np.asarray(stated, dtype=np.float64), axis=1)
    level = level - level.mean()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    scale = np.sqrt((ranks**2).sum(axis=1) * (level**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(scale > 0, ranks @ level / scale, np.nan))


def _mean_interval(values: Float64, image: Any, resamples: int, seed: int) -> dict[str, float]:
    """Mean with its 95 % interval by image."""
    if not values.size:
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    code = np.unique(image, return_inverse=True)[1]
    total, count = np.bincount(code, values), np.bincount(code)
    found = {"value": float(values.mean())}
    if resamples:
        generator = np.random.default_rng(seed)
        drawn = generator.integers(len(count), size=(resamples, len(count)))
        means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
        found["low"], found["high"] = np.quantile(means, (0.025, 0.975)).tolist()
    return found
