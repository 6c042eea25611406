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
from spatialtrust.metrics.ranking import before, check_share, computed_by, evaluate, rank, ratio
from spatialtrust.numbers import as_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spatialtrust.arrays import Bool, Float64, Int64
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
    right, wrong = ranking.right, ranking.wrong
    rights = right - before(right)
    # Twice the number of (right, wrong) pairs in the right order, a tie counting one half: integer.
    ordered = (rights * (2 * wrong[..., -1:] - wrong - before(wrong))).sum(axis=-1)
    return ratio(ordered, 2 * right[..., -1] * wrong[..., -1])


@computed_by(_auroc)
def auroc(confidence: ArrayLike, is_correct: ArrayLike) -> float:
    """Probability that a right row is surer than a wrong one, a tie counting one half.

    ``(#{right surer than wrong} + #{ties} / 2) / (#right #wrong)``. NaN unless there are right and
    wrong rows.

    Source: Hanley and McNeil 1982, Radiology 143(1).

    >>> auroc([0.9, 0.8, 0.8, 0.1], [True, True, False, False])
    0.875
    """
    return evaluate(_auroc, rank(confidence, is_correct))


def _harmonic(largest: int) -> Float64:
    """H_0 .. H_largest, the sums of 1/k."""
    table = np.zeros(largest + 1)
    np.cumsum(1 / np.arange(1, largest + 1), out=table[1:])
    return table


def _aurc(ranking: Ranking) -> Float64:
    accepted, wrong = ranking.accepted, ranking.wrong
    above, wrong_above = before(accepted), before(wrong)
    errors = wrong - wrong_above
    # Rank k of a tie group that follows `above` rows has the expected cumulative errors
    # wrong_above + share * (k - above); summed over the group, errors / k needs only H.
    share = errors / np.maximum(accepted - above, 1)
    harmonic = _harmonic(int(accepted.max()))
    area = (wrong_above - share * above) * (harmonic[accepted] - harmonic[above]) + errors
    return ratio(area.sum(axis=-1), accepted[..., -1])


@computed_by(_aurc)
def aurc(confidence: ArrayLike, is_correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean over ranks of the risk so far.

    ``1/N sum_k E_k / k`` with ``E_k`` the errors among the k surest rows, taken in expectation over
    the order of tied rows. NaN without rows.

    Source: Geifman et al. 2019, arXiv 1805.08206; ties as the expectation over their orders.

    >>> aurc([0.9, 0.5, 0.5, 0.1], [True, True, False, True])
    0.2083333333333333
    """
    return evaluate(_aurc, rank(confidence, is_correct))


def _eaurc(ranking: Ranking) -> Float64:
    area = _aurc(ranking)
    total, right = ranking.accepted[..., -1], ranking.right[..., -1]
    harmonic = _harmonic(int(total.max()))
    optimum = ratio(total - right - right * (harmonic[total] - harmonic[right]), total)
    excess: Float64 = np.maximum(area - optimum, 0)
    return excess


@computed_by(_eaurc)
def eaurc(confidence: ArrayLike, is_correct: ArrayLike) -> float:
    """AURC above that of the best ranking of the same rows; 0 for a perfect ranking.

    ``aurc - 1/N sum_{k > C} (k - C) / k`` with C right rows: the exact optimum of N rows, not its
    limit ``r + (1 - r) ln(1 - r)``, which leaves a remainder. NaN without rows.

    Source: Geifman et al. 2019, arXiv 1805.08206, with the discrete optimum.

    >>> eaurc([0.9, 0.8, 0.7, 0.1], [True, True, True, False])
    0.0
    """
    return evaluate(_eaurc, rank(confidence, is_correct))


def _augrc(ranking: Ranking) -> Float64:
    accepted, wrong = ranking.accepted, ranking.wrong
    twice = ((accepted - before(accepted)) * (wrong + before(wrong))).sum(axis=-1)
    return ratio(twice, 2 * accepted[..., -1] ** 2)


@computed_by(_augrc)
def augrc(confidence: ArrayLike, is_correct: ArrayLike) -> float:
    """Area under the generalised risk: share of all rows that is accepted and wrong.

    The trapezoid of ``errors / N`` over coverage on tie groups, which equals
    ``(1 - AUROC) acc err + err^2 / 2``. NaN without rows.

    Source: Traub et al. 2024, arXiv 2407.01032, equation 6.

    >>> augrc([0.9, 0.8, 0.7, 0.1], [True, True, True, False])
    0.03125
    """
    return evaluate(_augrc, rank(confidence, is_correct))


def _fpr_at_tpr(ranking: Ranking, tpr: float = 0.95, positive: Positive = "correct") -> Float64:
    positives, negatives = ranking.right, ranking.wrong
    if positive == "error":  # walk from the least sure row up
        positives, negatives = (
            (cumulative[..., -1:] - before(cumulative))[..., ::-1]
            for cumulative in (negatives, positives)
        )
    reached = ratio(positives, positives[..., -1:]) >= tpr
    first = reached.argmax(axis=-1)[..., None]
    rate = ratio(np.take_along_axis(negatives, first, axis=-1), negatives[..., -1:])[..., 0]
    return np.where(positives[..., -1] == 0, np.nan, rate)


@computed_by(_fpr_at_tpr)
def fpr_at_tpr(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    tpr: float = 0.95,
    positive: Positive = "correct",
) -> float:
    """False positive rate at the first threshold whose true positive rate reaches ``tpr``.

    With ``positive="correct"``: share of the wrong rows accepted when ``tpr`` of the right ones
    are. With ``positive="error"``: share of the right rows flagged when ``tpr`` of the wrong ones
    are. The two are different numbers, so say which. NaN unless there are right and wrong rows.

    Raises
    ------
    InputError
        ``tpr`` outside (0, 1], or another ``positive``.

    Source: Hendrycks and Gimpel 2017, arXiv 1610.02136, on the ROC with ties merged.

    >>> confidence, is_correct = [0.9, 0.8, 0.7, 0.6, 0.5], [True, True, False, True, False]
    >>> fpr_at_tpr(confidence, is_correct), fpr_at_tpr(confidence, is_correct, positive="error")
    (0.5, 0.3333333333333333)
    """
    tpr = check_share("tpr", tpr)
    if positive not in ("correct", "error"):
        raise InputError(f'positive is "{positive}"; valid: "correct", "error"')
    return evaluate(_fpr_at_tpr, rank(confidence, is_correct), tpr, positive)


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


def _first_accuracy(ranking: Ranking, reached: Bool) -> Float64:
    """Accuracy of what is accepted at the strictest level that ``reached`` something."""
    first = reached.argmax(axis=-1)[..., None]
    right, accepted = (
        np.take_along_axis(counts, first, axis=-1)[..., 0]
        for counts in (ranking.right, ranking.accepted)
    )
    return ratio(right, accepted)


def _accuracy_at_coverage(ranking: Ranking, coverage: float) -> Float64:
    return _first_accuracy(ranking, ratio(ranking.accepted, ranking.accepted[..., -1:]) >= coverage)


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
    precision = _first_accuracy(ranking, ratio(ranking.right, ranking.right[..., -1:]) >= recall)
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
    return min(1.0, base / target)
