"""How well a confidence ranks right answers above wrong ones, and what accepting it costs.

Confidences may be any finite or infinite numbers, higher = surer. Ties are exact: rows of equal
confidence are accepted together, or enter with their expected value where a metric needs ranks.
NaN confidences are refused; a metric that is undefined on the rows given (no row, or one class
missing) is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.metrics.conventions import published
from spatialtrust.metrics.ranking import (
    before,
    check_share,
    computed_by,
    evaluate,
    first_reaching,
    harmonic,
    rank,
    ratio,
)
from spatialtrust.numbers import as_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Float64, Int64
    from spatialtrust.metrics.ranking import Ranking

Positive = Literal["correct", "error"]


class RiskCoverageCurve(NamedTuple):
    """What is risked at each distinct threshold, from the strictest to the loosest.

    All columns are float64 (levels,): accept where confidence >= ``threshold``, which emits a
    share ``coverage`` of the rows, of which a share ``risk`` is wrong.
    """

    threshold: Float64
    coverage: Float64
    risk: Float64


def _auroc(ranking: Ranking) -> Float64:
    wrong, right = ranking.wrong, ranking.right
    # Twice the number of (right, wrong) pairs in the wrong order, a tie counting one half: integer.
    if ranking.pure is not None:
        misplaced = 2 * np.einsum("...i,...i,i->...", ranking.rows, wrong, 1 - ranking.pure)
    else:
        rights = ranking.rows - ranking.errors
        misplaced = np.einsum("...i,...i->...", rights, 2 * wrong - ranking.errors)
    pairs = 2 * right[..., -1] * wrong[..., -1]
    return ratio(pairs - misplaced, pairs)


@computed_by(_auroc)
def auroc(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    convention: str | None = None,
) -> float:
    """Probability that a right row is surer than a wrong one, a tie counting one half.

    ``(#{right surer than wrong} + #{ties} / 2) / (#right #wrong)``. NaN unless there are right and
    wrong rows.

    ``convention`` gives a published code's number instead (`published`).

    Source: Hanley and McNeil 1982, Radiology 143(1).

    >>> auroc([0.9, 0.8, 0.8, 0.1], [True, True, False, False])
    0.875
    """
    if convention is not None:
        return published(confidence, is_correct, convention, "auroc")["auroc"]
    return evaluate(_auroc, rank(confidence, is_correct))


def _aurc(ranking: Ranking) -> Float64:
    return ratio(ranking.risk_area, ranking.accepted[..., -1])


@computed_by(_aurc)
def aurc(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    convention: str | None = None,
) -> float:
    """Area under the risk-coverage curve: the mean over ranks of the risk so far.

    ``1/N sum_k E_k / k`` with ``E_k`` the errors among the k surest rows, taken in expectation over
    the order of tied rows. NaN without rows.

    ``convention`` gives a published code's number instead (`published`).

    Source: Geifman et al. 2019, arXiv 1805.08206; ties as the expectation over their orders.

    >>> aurc([0.9, 0.5, 0.5, 0.1], [True, True, False, True])
    0.2083333333333333
    """
    if convention is not None:
        return published(confidence, is_correct, convention, "aurc")["aurc"]
    return evaluate(_aurc, rank(confidence, is_correct))


def _eaurc(ranking: Ranking) -> Float64:
    area = _aurc(ranking)
    total, right = ranking.accepted[..., -1], ranking.right[..., -1]
    sums = harmonic(int(total.max()))
    optimum = ratio(total - right - right * (sums[total] - sums[right]), total)
    excess: Float64 = np.maximum(area - optimum, 0)
    return excess


@computed_by(_eaurc)
def eaurc(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    convention: str | None = None,
) -> float:
    """AURC above that of the best ranking of the same rows; 0 for a perfect ranking.

    ``aurc - 1/N sum_{k > C} (k - C) / k`` with C right rows: the exact optimum of N rows, not its
    limit ``r + (1 - r) ln(1 - r)``, which leaves a remainder. NaN without rows.

    ``convention`` gives a published code's number instead (`published`).

    Source: Geifman et al. 2019, arXiv 1805.08206, with the discrete optimum.

    >>> eaurc([0.9, 0.8, 0.7, 0.1], [True, True, True, False])
    0.0
    """
    if convention is not None:
        return published(confidence, is_correct, convention, "eaurc")["eaurc"]
    return evaluate(_eaurc, rank(confidence, is_correct))


def _augrc(ranking: Ranking) -> Float64:
    twice = np.einsum("...i,...i->...", ranking.rows, 2 * ranking.wrong - ranking.errors)
    return ratio(twice, 2 * ranking.accepted[..., -1] ** 2)


@computed_by(_augrc)
def augrc(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    convention: str | None = None,
) -> float:
    """Area under the generalised risk: share of all rows that is accepted and wrong.

    The trapezoid of ``errors / N`` over coverage on tie groups, which equals
    ``(1 - AUROC) acc err + err^2 / 2``. NaN without rows.

    ``convention`` gives a published code's number instead (`published`).

    Source: Traub et al. 2024, arXiv 2407.01032, equation 6.

    >>> augrc([0.9, 0.8, 0.7, 0.1], [True, True, True, False])
    0.03125
    """
    if convention is not None:
        return published(confidence, is_correct, convention, "augrc")["augrc"]
    return evaluate(_augrc, rank(confidence, is_correct))


def _fpr_at_tpr(ranking: Ranking, tpr: float = 0.95, positive: Positive = "correct") -> Float64:
    positives, negatives = ranking.right, ranking.wrong
    if positive == "error":  # walk from the least sure row up
        positives, negatives = (
            (cumulative[..., -1:] - before(cumulative))[..., ::-1]
            for cumulative in (negatives, positives)
        )
    first = first_reaching(positives, tpr)
    rate = ratio(np.take_along_axis(negatives, first, axis=-1), negatives[..., -1:])[..., 0]
    return np.where(positives[..., -1] == 0, np.nan, rate)


@computed_by(_fpr_at_tpr)
def fpr_at_tpr(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    tpr: float = 0.95,
    positive: Positive = "correct",
    convention: str | None = None,
) -> float:
    """False positive rate at the first threshold whose true positive rate reaches ``tpr``.

    With ``positive="correct"``: share of the wrong rows accepted when ``tpr`` of the right ones
    are. With ``positive="error"``: share of the right rows flagged when ``tpr`` of the wrong ones
    are. The two are different numbers, so say which. NaN unless there are right and wrong rows.

    Raises
    ------
    InputError
        ``tpr`` outside (0, 1], or another ``positive``.

    ``convention`` gives a published code's number instead (`published`).

    Source: Hendrycks and Gimpel 2017, arXiv 1610.02136, on the ROC with ties merged.

    >>> confidence, is_correct = [0.9, 0.8, 0.7, 0.6, 0.5], [True, True, False, True, False]
    >>> fpr_at_tpr(confidence, is_correct), fpr_at_tpr(confidence, is_correct, positive="error")
    (0.5, 0.3333333333333333)
    """
    if convention is not None:
        if (tpr, positive) != (0.95, "correct"):
            raise InputError("a convention fixes tpr and positive; leave them out")
        return published(confidence, is_correct, convention, "fpr95")["fpr95"]
    tpr = check_share("tpr", tpr)
    if positive not in ("correct", "error"):
        raise InputError(f'positive is "{positive}"; valid: "correct", "error"')
    return evaluate(_fpr_at_tpr, rank(confidence, is_correct), tpr, positive)


def _average_precision(ranking: Ranking, positive: Positive = "correct") -> Float64:
    if positive == "correct":
        hits, found, accepted = ranking.rows - ranking.errors, ranking.right, ranking.accepted
        total = ranking.right[..., -1]
    else:  # walk from the least sure row up
        hits = ranking.errors
        total, above = ranking.wrong[..., -1], ranking.accepted - ranking.rows
        found = total[..., None] - (ranking.wrong - hits)
        accepted = ranking.accepted[..., -1:] - above
    precision = found / np.maximum(accepted, 1)
    return ratio((hits * precision).sum(axis=-1), total)


@computed_by(_average_precision)
def average_precision(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    positive: Positive = "correct",
    convention: str | None = None,
) -> float:
    """Area under the precision-recall curve, as average precision (AP, AUPR).

    ``sum_l (recall_l - recall_{l-1}) precision_l`` over distinct thresholds, tied rows together.
    With ``positive="correct"`` from the surest row down ("AUPR-success"), with "error" from the
    least sure up ("AUPR-error"): two different numbers, so say which. NaN without a positive row.
    ``convention`` gives a published code's number instead (`published`).

    Raises
    ------
    InputError
        Another ``positive`` or ``convention``.

    Source: scikit-learn's ``average_precision_score``.

    >>> average_precision([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    0.9166666666666666
    >>> average_precision([0.9, 0.8, 0.7, 0.6], [True, True, False, True], positive="error")
    0.5
    """
    if positive not in ("correct", "error"):
        raise InputError(f'positive is "{positive}"; valid: "correct", "error"')
    if convention is not None:
        name = f"aupr_{positive}"
        return published(confidence, is_correct, convention, name)[name]
    return evaluate(_average_precision, rank(confidence, is_correct), positive)


def _coverage_at_accuracy(ranking: Ranking, accuracy: float) -> Float64:
    enough = ratio(ranking.right, ranking.accepted) >= accuracy
    most: Int64 = np.where(enough, ranking.accepted, 0).max(axis=-1)
    return ratio(most, ranking.accepted[..., -1])


@computed_by(_coverage_at_accuracy)
def coverage_at_accuracy(confidence: ArrayLike, is_correct: ArrayLike, accuracy: float) -> float:
    """Largest share of rows that one threshold accepts with at least this accuracy.

    Tied rows are accepted together. 0 where no threshold reaches the accuracy, NaN without rows.
    This picks the threshold on the rows it is judged on; `spatialtrust.decision.rule` gives one
    that holds on new rows.

    Raises
    ------
    InputError
        ``accuracy`` outside (0, 1].

    Source: Geifman and El-Yaniv 2017, arXiv 1705.08500.

    >>> coverage_at_accuracy([0.9, 0.8, 0.7, 0.6], [True, False, True, True], accuracy=0.75)
    1.0
    """
    accuracy = check_share("accuracy", accuracy)
    return evaluate(_coverage_at_accuracy, rank(confidence, is_correct), accuracy)


def _accuracy_at(ranking: Ranking, first: Int64) -> Float64:
    """Accuracy of what is accepted at a level."""
    right, accepted = (
        np.take_along_axis(counts, first, axis=-1)[..., 0]
        for counts in (ranking.right, ranking.accepted)
    )
    return ratio(right, accepted)


def _accuracy_at_coverage(ranking: Ranking, coverage: float) -> Float64:
    return _accuracy_at(ranking, first_reaching(ranking.accepted, coverage))


@computed_by(_accuracy_at_coverage)
def accuracy_at_coverage(confidence: ArrayLike, is_correct: ArrayLike, coverage: float) -> float:
    """Accuracy at the strictest threshold that accepts at least this share of rows.

    Tied rows are accepted together, so more than the share may be accepted. NaN without rows.

    Raises
    ------
    InputError
        ``coverage`` outside (0, 1].

    Source: Geifman and El-Yaniv 2017, arXiv 1705.08500.

    >>> accuracy_at_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, True], coverage=0.5)
    0.5
    """
    coverage = check_share("coverage", coverage)
    return evaluate(_accuracy_at_coverage, rank(confidence, is_correct), coverage)


def _precision_at_recall(ranking: Ranking, recall: float) -> Float64:
    precision = _accuracy_at(ranking, first_reaching(ranking.right, recall))
    return np.where(ranking.right[..., -1] == 0, np.nan, precision)


@computed_by(_precision_at_recall)
def precision_at_recall(confidence: ArrayLike, is_correct: ArrayLike, recall: float) -> float:
    """Share of right rows among those accepted, where ``recall`` of all right rows are.

    The strictest threshold that accepts at least that share of the right rows; tied rows are
    accepted together. Of a scene graph whose candidate edges are the rows this is the precision of
    what is kept. NaN without a right row.

    Raises
    ------
    InputError
        ``recall`` outside (0, 1].

    Source: arXiv 2601.11644 reports scene graphs at a recall of 0.682.

    >>> precision_at_recall([0.9, 0.8, 0.7, 0.6], [True, True, False, True], recall=1.0)
    0.75
    """
    recall = check_share("recall", recall)
    return evaluate(_precision_at_recall, rank(confidence, is_correct), recall)


def risk_coverage_curve(confidence: ArrayLike, is_correct: ArrayLike) -> RiskCoverageCurve:
    """Risk and coverage at every distinct threshold, from the strictest to the loosest.

    Empty columns without rows.

    Source: El-Yaniv and Wiener 2010, JMLR 11.

    >>> curve = risk_coverage_curve([0.9, 0.5, 0.5, 0.1], [True, True, False, True])
    >>> curve.coverage, curve.risk.round(3)
    (array([0.25, 0.75, 1.  ]), array([0.   , 0.333, 0.25 ]))
    """
    ranking = rank(confidence, is_correct)
    accepted = ranking.accepted
    return RiskCoverageCurve(
        ranking.levels, ratio(accepted, accepted[-1:]), ratio(ranking.wrong, accepted)
    )


def coverage_ceiling(base_accuracy: float, target: float) -> float:
    """Most that any accept-or-abstain rule can cover at accuracy ``target``.

    ``min(1, base_accuracy / target)``: of N answers only ``base_accuracy * N`` are right, and they
    may make up no less than ``target`` of what is accepted. Correcting wrong answers gets past it.
    NaN where ``base_accuracy`` is.

    Raises
    ------
    InputError
        ``base_accuracy`` outside [0, 1] or ``target`` outside (0, 1].

    >>> round(coverage_ceiling(0.54, target=0.8), 3)
    0.675
    """
    target = check_share("target", target)
    base = as_number(base_accuracy, "base_accuracy", "a share in [0, 1]")
    if not (0 <= base <= 1 or np.isnan(base)):
        raise InputError(f"base_accuracy is {base}; give a share in [0, 1]")
    return float(np.minimum(1.0, base / target))
