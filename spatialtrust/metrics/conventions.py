"""What published codes make of the same columns: for whoever must reproduce a table.

None of these is a default. Each is named after the code whose numbers it gives, is held against
them in the parity tests, and is asked for by ``convention=``. What a code prints times 100 or 1000
is a share here. Where a code sorts ties by arrival, so does its convention: its value then depends
on the order of rows.
"""

from __future__ import annotations

import warnings
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.errors import InputError, suggest
from spatialtrust.metrics.ranking import checked, rank, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.arrays import Bool, Float64

    Rule = Callable[..., float]


def published(
    confidence: ArrayLike, is_correct: ArrayLike, convention: str, metric: str | None = None
) -> dict[str, float]:
    """The metrics of a published code, by its own rules, as shares.

    Parameters
    ----------
    convention: "vilu", "trustvlm", "fd-shifts" or "torch-uncertainty" (0.13).
    metric: only this one, such as "aurc"; default: all that the code has.

    Returns
    -------
    name to value; where a class is missing, what the code has there, which may be 0.

    Raises
    ------
    InputError: for another convention, a metric that the code does not have, or columns that no
        metric takes.

    >>> published([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 1], "trustvlm", "aurc")
    {'aurc': 0.14583333333333331}
    >>> published([0.9, 0.5, 0.5, 0.1], [1, 0, 1, 1], "trustvlm", "aurc")  # the same, reordered
    {'aurc': 0.2708333333333333}
    """
    if convention not in CONVENTIONS:
        raise InputError(
            f'convention "{convention}" is not known; {suggest(str(convention), CONVENTIONS)}'
            f"valid: {', '.join(CONVENTIONS)}"
        )
    rules = CONVENTIONS[convention]
    if metric is not None and metric not in rules:
        raise InputError(
            f"{convention} has no {metric} of its own; it has {', '.join(rules)} (leave convention "
            "out for the metric as this package defines it)"
        )
    scores, correct = checked(confidence, is_correct)
    wanted = rules if metric is None else {metric: rules[metric]}
    return {
        name: float(rule(scores, correct)) if scores.size else np.nan
        for name, rule in wanted.items()
    }


def aurc_trustvlm(confidence: Float64, correct: Bool) -> float:
    """Mean of the cumulative risks, ties in order of arrival."""
    order = np.argsort(-confidence, kind="stable")
    wrong = 1 - np.asarray(correct)[order]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, wrong.size + 1)))


def aurc_torch_uncertainty(confidence: Float64, correct: Bool) -> float:
    """Trapezoid over coverage 1/N .. 1, rescaled to unit width, ties in order of arrival."""
    return _over_ranks(confidence, correct, lambda errors, ranks: errors / ranks)


def augrc_torch_uncertainty(confidence: Float64, correct: Bool) -> float:
    """The same of errors / N."""
    return _over_ranks(confidence, correct, lambda errors, ranks: errors / ranks.size)


def aurc_relu(confidence: Float64, correct: Bool) -> float:
    """Trapezoid between distinct thresholds, nothing below the lowest coverage."""
    coverage, risk = _curve(confidence, correct)
    return float(np.trapezoid(risk, coverage))


def aurc_fd_shifts(confidence: Float64, correct: Bool) -> float:
    """The same, and flat from the lowest coverage to 0."""
    coverage, risk = _curve(confidence, correct)
    return float(np.trapezoid(risk, coverage) + coverage[0] * risk[0])


def augrc_fd_shifts(confidence: Float64, correct: Bool) -> float:
    """Trapezoid of errors / N between distinct thresholds, from coverage 0 on."""
    coverage, risk = _curve(confidence, correct)
    generalised = np.append(0.0, risk * coverage)
    return float(np.trapezoid(generalised, np.append(0.0, coverage)))


def eaurc_analytic(aurc: Rule, confidence: Float64, correct: Bool, *, all_wrong: float) -> float:
    """A code's AURC less ``r + (1 - r) ln(1 - r)``; its own value where every row is wrong."""
    error = 1 - float(np.mean(correct))
    if error == 1:
        return aurc(confidence, correct) - all_wrong
    return aurc(confidence, correct) - (error + (1 - error) * float(np.log1p(-error)))


def fpr95_vilu(confidence: Float64, correct: Bool) -> float:
    """Interpolated between the points of the ROC; correct is positive."""
    fpr, tpr = _roc(confidence, correct)
    return float(np.interp(0.95, tpr, fpr))


def fpr95_trustvlm(confidence: Float64, correct: Bool) -> float:
    """At the point whose TPR is nearest to 0.95, be it below; correct is positive."""
    fpr, tpr = _roc(confidence, correct)
    return float(fpr[np.argmin(np.abs(tpr - 0.95))])


def fpr95_first(confidence: Float64, correct: Bool, tpr: float = 0.95) -> float:
    """At the first threshold whose TPR reaches ``tpr``; correct is positive.

    torch-uncertainty 0.13 takes 0.95; fd-shifts 0.9495, the first that rounds to 95.0 %.
    """
    ranking = rank(confidence, correct)
    reached = ratio(ranking.right, ranking.right[-1]) >= tpr
    if not reached.any():
        return float("nan")
    return float(ratio(ranking.wrong[reached.argmax()], ranking.wrong[-1]))


def auroc_everywhere(confidence: Float64, correct: Bool) -> float:
    """Trapezoid of the ROC: the same number in every code."""
    fpr, tpr = _roc(confidence, correct)
    return float(np.trapezoid(tpr, fpr))


def aupr_step(confidence: Float64, correct: Bool, positive: str) -> float:
    """Average precision, the step rule of scikit-learn."""
    from sklearn.metrics import average_precision_score

    wanted, score = (correct, confidence) if positive == "correct" else (~correct, -confidence)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(average_precision_score(wanted, score))


def aupr_trapezoid(confidence: Float64, correct: Bool) -> float:
    """Trapezoid of the precision-recall curve, correct positive: optimistic."""
    from sklearn.metrics import auc, precision_recall_curve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, _ = precision_recall_curve(correct, confidence)
    return float(auc(recall, precision))


def ece_fd_shifts(confidence: Float64, correct: Bool, bins: int = 20) -> float:
    """Left-closed bins, 1.0 in the last, confidences clipped to [0, 1]."""
    clipped = np.clip(confidence, 0, 1)
    edges = np.arange(1, bins) / bins
    return _gaps(clipped, correct, np.searchsorted(edges, clipped, side="right"), bins)


def ece_right_closed(confidence: Float64, correct: Bool, bins: int = 15) -> float:
    """Bins ``(a, b]`` as in Guo et al., edges in float32 as in their code; 0 falls in none."""
    edges = np.linspace(0, 1, bins + 1, dtype=np.float32).astype(np.float64)
    bin_of = np.searchsorted(edges, confidence, side="left")
    return _gaps(confidence, correct, bin_of, bins + 2, skip=0)


def ece_torchmetrics(confidence: Float64, correct: Bool, bins: int = 10) -> float:
    """Left-closed bins, and one of their own for confidences of exactly 1."""
    edges = np.arange(1, bins) / bins
    bin_of = np.searchsorted(edges, confidence, side="right")
    return _gaps(confidence, correct, np.where(confidence >= 1, bins, bin_of), bins + 1)


def _gaps(
    confidence: Float64,
    correct: Bool,
    bin_of: NDArray[np.int64],
    bins: int,
    skip: int | None = None,
) -> float:
    gaps = np.abs(np.bincount(bin_of, weights=confidence - correct, minlength=bins))
    if skip is not None:
        gaps[skip] = 0
    return float(gaps.sum() / confidence.size)


def _curve(confidence: Float64, correct: Bool) -> tuple[Float64, Float64]:
    """Coverage and risk at every distinct threshold, from the strictest down."""
    ranking = rank(confidence, correct)
    return ratio(ranking.accepted, ranking.accepted[-1]), ratio(ranking.wrong, ranking.accepted)


def _over_ranks(
    confidence: Float64, correct: Bool, risk: Callable[[Float64, Float64], Float64]
) -> float:
    if confidence.size < 2:
        return float("nan")
    order = np.argsort(-confidence, kind="stable")
    ranks = np.arange(1.0, confidence.size + 1)
    at_rank = risk(np.cumsum(1.0 - np.asarray(correct)[order]), ranks)
    return float(np.trapezoid(at_rank, ranks / ranks.size) / (1 - 1 / ranks.size))


def _roc(confidence: Float64, correct: Bool) -> tuple[Float64, Float64]:
    """FPR and TPR of scikit-learn, which drops collinear points; NaN of a class that is missing."""
    from sklearn.metrics import roc_curve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fpr, tpr, _ = roc_curve(correct, confidence)
    return fpr, tpr


CONVENTIONS: Final[Mapping[str, Mapping[str, Rule]]] = MappingProxyType(
    {
        "vilu": MappingProxyType(
            {
                "auroc": auroc_everywhere,
                "fpr95": fpr95_vilu,
                "aupr_error": partial(aupr_step, positive="error"),
            }
        ),
        "trustvlm": MappingProxyType(
            {
                "auroc": auroc_everywhere,
                "aurc": aurc_trustvlm,
                "eaurc": partial(eaurc_analytic, aurc_trustvlm, all_wrong=np.nan),
                "fpr95": fpr95_trustvlm,
                "aupr_correct": aupr_trapezoid,
                "aupr_error": partial(aupr_step, positive="error"),
            }
        ),
        "fd-shifts": MappingProxyType(
            {
                "auroc": auroc_everywhere,
                "aurc": aurc_fd_shifts,
                "eaurc": partial(eaurc_analytic, aurc_fd_shifts, all_wrong=1.0),
                "augrc": augrc_fd_shifts,
                "fpr95": partial(fpr95_first, tpr=0.9495),
                "ece": ece_fd_shifts,
            }
        ),
        "torch-uncertainty": MappingProxyType(
            {
                "auroc": auroc_everywhere,
                "aurc": aurc_torch_uncertainty,
                "augrc": augrc_torch_uncertainty,
                "fpr95": fpr95_first,
                "ece": ece_torchmetrics,
            }
        ),
    }
)
"""Code to its metrics: what each prints, and by which rule."""
