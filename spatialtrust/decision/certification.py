"""Thresholds with a guarantee: found on labelled rows, by a fixed sequence of exact tests.

What is guaranteed holds for data like the certifying rows, and only if these were drawn at random
from it and share no image with the rows that fitted the model, its calibrator, or the grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from spatialtrust.decision.rule import DecisionRule, answer_codes, asserted_right, confidences
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.metrics import coverage_ceiling
from spatialtrust.metrics.ranking import checked_flags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from spatialtrust.decision.rule import Kind, Unit


@dataclass(frozen=True)
class Grid:
    """Thresholds fixed before any certifying label is seen, from strict to loose.

    Attributes
    ----------
    thresholds
        Strictly descending confidences.
    share, risk
        Predictions at each threshold, from earlier, disjoint rows or from the model's own
        probabilities: the share of units (claims, or images with a claim) accepted, and the error
        rate among them. Empty without predictions; certification then starts at the strictest
        threshold it can test.
    """

    thresholds: tuple[float, ...]
    share: tuple[float, ...] = ()
    risk: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        steps = np.asarray(self.thresholds, dtype=np.float32)
        if not steps.size or not (np.diff(steps) < 0).all() or np.isnan(steps).any():
            raise InputError(
                f"grid has {steps.size} thresholds that are not strictly descending in float32; "
                "give at least one, from strict to loose"
            )
        if not len(self.share) == len(self.risk) <= len(self.thresholds) or (
            self.share and len(self.share) != len(self.thresholds)
        ):
            raise InputError("grid predictions must be empty or have one entry per threshold")

    @classmethod
    def fit(
        cls,
        confidence: ArrayLike,
        is_correct: ArrayLike,
        *,
        unit: Unit = "claim",
        groups: ArrayLike | None = None,
        steps: int = 50,
        seed: int = 0,
    ) -> Self:
        """Thresholds at equal steps of coverage, with the risk seen there.

        The rows must be disjoint by image from those that certify later: calibration rows, or
        out-of-fold scores of the training rows.

        >>> Grid.fit([0.9, 0.8, 0.7, 0.6], [True, True, True, False], steps=2).thresholds
        (0.800000011920929, 0.6000000238418579)
        """
        scores = confidences(confidence)
        thresholds = _equal_steps(scores, steps)
        units, accepted, wrong = _counts(scores, is_correct, thresholds, unit, groups, seed)
        return cls(
            tuple(thresholds.tolist()),
            tuple((accepted / units).tolist()),
            tuple(((wrong + 0.5) / (accepted + 1)).tolist()),
        )

    @classmethod
    def predicted(
        cls,
        confidence: ArrayLike,
        *,
        unit: Unit = "claim",
        groups: ArrayLike | None = None,
        steps: int = 50,
        seed: int = 0,
    ) -> Self:
        """Thresholds at equal steps of coverage, with the risk that the confidences state.

        This uses no label, so the certifying rows may fix their own grid: the start depends on the
        model's predictions, not on the truth. Confidences must be probabilities of being
        right. If they are wrong, fewer thresholds are found, but the guarantee holds.

        >>> grid = Grid.predicted([0.9, 0.8, 0.7, 0.6], steps=2)
        >>> [round(risk, 2) for risk in grid.risk]
        [0.15, 0.25]
        """
        scores = confidences(confidence)
        thresholds = _equal_steps(scores, steps)
        nothing_wrong = np.ones(scores.size, dtype=np.bool_)
        units, accepted, _ = _counts(scores, nothing_wrong, thresholds, unit, groups, seed)
        known = np.sort(scores[~np.isnan(scores)].astype(np.float64))[::-1]
        risk = np.cumsum(1 - known) / np.arange(1, known.size + 1)
        last = np.searchsorted(-known, -thresholds.astype(np.float64), side="right") - 1
        return cls(
            tuple(thresholds.tolist()),
            tuple((accepted / units).tolist()),
            tuple(np.clip(risk[last], 0, 1).tolist()),
        )

    def start(self, alpha: float, delta: float, units: int) -> int:
        """Position of the loosest threshold whose test is most likely to pass, as predicted.

        Thresholds before it cannot stop the walk, and little room is left after it.
        """
        from scipy.stats import binom

        if not self.share:
            return 0
        n = np.round(np.multiply(self.share, units))
        power = np.asarray(binom.cdf(most_errors(n, alpha, delta), n, self.risk))
        return int(power.size - 1 - power[::-1].argmax())


def certify(
    confidence: ArrayLike,
    is_correct: ArrayLike,
    *,
    alpha: float,
    delta: float,
    grid: Grid,
    calibrated_on: str,
    unit: Unit = "claim",
    groups: ArrayLike | None = None,
    reserve: float = 0.0,
    seed: int = 0,
) -> DecisionRule:
    """The loosest threshold at which accepting is wrong at most ``alpha``, by a fixed sequence.

    Thresholds are tested from strict to loose, from the grid's start on and not before at least
    ``ceil(ln delta / ln(1 - alpha))`` units are accepted, with the Clopper-Pearson bound
    ``U = Beta^-1(1 - delta; errors + 1, n - errors)``. The walk stops at the first ``U > alpha``;
    the last that passed is the threshold. As only the first threshold whose true risk exceeds
    alpha can be passed wrongly, no correction for the number of thresholds is paid.

    ``unit="image"`` draws one accepted claim per image (seeded, the same whatever the order of
    rows), so that units are independent and the bound stays exact.

    Parameters
    ----------
    confidence, is_correct
        (rows,) any score, higher = surer, NaN: never accepted; and whether the answer is right.
        Drawn at random from what will be judged, disjoint by image from all that was fitted on.
    groups
        (rows,) image of each row; needed for ``unit="image"``.
    reserve
        Share of ``alpha`` to hold back: thresholds are tested at ``alpha * (1 - reserve)``.
        For out-of-fold confidences, which describe the procedure and not the final model; the
        certificate is then approximate.

    Raises
    ------
    InputError
        Columns that do not pair, or alpha or delta outside (0, 1).
    GuaranteeError
        No rows to certify on, or the image unit without images.

    Source: Angelopoulos et al. 2022, Learn then Test, arXiv 2110.01052, section 3.2; Clopper and
    Pearson 1934, Biometrika 26.

    >>> import numpy as np
    >>> grid = Grid((0.9, 0.5, 0.1))
    >>> rule = certify(np.repeat([0.95, 0.6, 0.2], 50), np.repeat([True, True, False], 50),
    ...                alpha=0.1, delta=0.1, grid=grid, calibrated_on="this example")
    >>> print(rule)  # doctest: +NORMALIZE_WHITESPACE
    at most 10.0% wrong per claim with probability 90% on data like this example (accept):
    threshold 0.5, 0 of 100 wrong, bound 0.023, coverage 66.7% (accepting alone: at most 74.1%)
    """
    _check_shares(alpha, delta)
    if not 0 <= reserve < 1:
        raise InputError(f"reserve is {reserve}; give a share of alpha such as 0.1, or 0")
    tested_at = alpha * (1 - reserve)
    scores = confidences(confidence)
    if not scores.size:
        raise GuaranteeError("no labelled rows to certify on; label some of your own")
    steps = np.asarray(grid.thresholds, dtype=np.float32)
    units, n, errors = _counts(scores, is_correct, steps, unit, groups, seed)
    bound = upper_bound(errors, n, delta)
    enough = np.flatnonzero(n >= least_units(tested_at, delta))
    tested = enough[enough >= grid.start(tested_at, delta, units)]
    failed = np.flatnonzero(bound[tested] > tested_at)
    passed = tested[: failed[0]] if failed.size else tested
    found = bool(passed.size)
    if found:
        reported = passed[-1]
    elif tested.size:
        reported = tested[0]  # the first that was tested, and failed
    else:
        reported = len(n) - 1  # too few rows for any test: all of them
    return DecisionRule(
        rule="accept",
        threshold=grid.thresholds[reported] if found else None,
        alpha=alpha,
        delta=delta,
        n=int(n[reported]),
        errors=int(errors[reported]),
        bound=float(bound[reported]),
        coverage=float((scores >= steps[reported]).mean()) if found else 0.0,
        ceiling=coverage_ceiling(float(checked_flags(is_correct).mean()), 1 - alpha),
        unit=unit,
        calibrated_on=calibrated_on,
        grid=grid.thresholds,
        started_at=grid.thresholds[tested[0]] if tested.size else None,
        reserve=reserve,
    )


def certify_verdicts(
    p_true: ArrayLike,
    asserted: ArrayLike,
    label: ArrayLike,
    *,
    alpha: float,
    delta: float,
    grids: Mapping[Kind, Grid],
    calibrated_on: str,
    unit: Unit = "claim",
    groups: ArrayLike | None = None,
    reserve: float = 0.0,
    seed: int = 0,
) -> DecisionRule:
    """Certify accepting, correcting as well, or both, and take the rule that covers more.

    ``accept`` ranks by P(asserted is right); ``accept+correct`` by the favoured side's probability,
    which a threshold of at least 0.5 emits. Each rule given a grid is one sequence at
    ``delta / #rules``, so both hold together and the choice between them is free.

    Parameters
    ----------
    p_true, asserted
        As `decide` takes them; the final ones, after any repair of the graph.
    label
        (rows,) whether the claim is true, no nulls.
    grids
        A grid for each rule to try, over that rule's scores (`rule_scores`).

    Raises
    ------
    InputError, GuaranteeError
        As `certify`; or an ``accept+correct`` grid below 0.5, where both sides would qualify.
    """
    _check_shares(alpha, delta)
    if not grids:
        raise InputError('grids is empty; give one for "accept", "accept+correct" or both')
    lowest = grids["accept+correct"].thresholds[-1] if "accept+correct" in grids else 0.5
    if lowest < 0.5:
        raise InputError(
            f"the grid of accept+correct goes down to {lowest:g}; below 0.5 both sides of a claim "
            "qualify: end it at 0.5"
        )
    rules = []
    for kind, grid in grids.items():
        scores, is_correct = rule_scores(p_true, asserted, label, kind)
        found = certify(
            scores,
            is_correct,
            alpha=alpha,
            delta=delta / len(grids),
            grid=grid,
            calibrated_on=calibrated_on,
            unit=unit,
            groups=groups,
            reserve=reserve,
            seed=seed,
        )
        rules.append(replace(found, rule=kind, delta=delta, sequences=len(grids)))
    asserted_is_right = rule_scores(p_true, asserted, label, "accept")[1]
    ceiling = coverage_ceiling(float(asserted_is_right.mean()), 1 - alpha)
    return replace(max(rules, key=lambda rule: rule.coverage or 0.0), ceiling=ceiling)


def least_units(alpha: float, delta: float) -> int:
    """Units that have to be accepted before a test can pass, without a single error.

    >>> least_units(0.05, 0.1)
    45
    """
    return ceil(log(delta) / log(1 - alpha))


def upper_bound(errors: ArrayLike, n: ArrayLike, delta: float) -> NDArray[np.float64]:
    """Clopper and Pearson's upper bound on the share wrong, at confidence 1 - ``delta``.

    With no error among n it is the least risk that n units can certify at all.

    >>> upper_bound([0, 1], 24, 0.1).round(2).tolist()
    [0.09, 0.15]
    """
    from scipy.stats import beta

    wrong, units = np.asarray(errors), np.asarray(n)
    bound = beta.ppf(1 - delta, wrong + 1, np.maximum(units - wrong, 1))
    return np.asarray(np.where(wrong < units, bound, 1.0))


def most_errors(n: ArrayLike, alpha: float, delta: float) -> NDArray[np.float64]:
    """The most errors among n units with which :func:`upper_bound` stays within alpha.

    -1: not even without an error.

    >>> most_errors([24, 45, 20], 0.1, 0.1).tolist()
    [0.0, 1.0, -1.0]
    """
    from scipy.stats import binom

    units = np.asarray(n, dtype=np.int64)
    quantile = binom.ppf(delta, units, alpha)
    return np.asarray(
        np.where(binom.cdf(quantile, units, alpha) <= delta, quantile, quantile - 1),
        dtype=np.float64,
    )


def rule_confidence(p_true: ArrayLike, asserted: ArrayLike, kind: Kind) -> NDArray[np.float32]:
    """(rows,) confidence by which a rule ranks: of what is asserted, or of the favoured side.

    >>> rule_confidence([0.75, 0.25], [1, 1], "accept+correct")
    array([0.75, 0.75], dtype=float32)
    """
    right = asserted_right(p_true, asserted)
    return right if kind == "accept" else np.maximum(right, 1 - right)


def rule_scores(
    p_true: ArrayLike, asserted: ArrayLike, label: ArrayLike, kind: Kind
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(rows,) confidence by which a rule ranks, and whether what it would emit is right."""
    answers, truth = answer_codes(asserted), checked_flags(label)
    is_correct = ((answers == 1) == truth) & (answers >= 0)
    if kind != "accept":
        is_correct = np.where(asserted_right(p_true, answers) < 0.5, ~is_correct, is_correct)
    return rule_confidence(p_true, answers, kind), is_correct


def _check_shares(alpha: float, delta: float) -> None:
    for name, value in (("alpha", alpha), ("delta", delta)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}; give a share between 0 and 1, such as 0.1")


def _equal_steps(scores: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Thresholds, strictly descending, at equal steps of the known scores."""
    known = np.sort(scores[~np.isnan(scores)])[::-1]
    if not known.size:
        raise GuaranteeError("no row with a confidence to fix a grid on; give labelled rows")
    places = np.ceil(np.linspace(0, known.size, steps + 1)[1:]).astype(np.int64) - 1
    return np.unique(known[places])[::-1]


def _counts(
    scores: NDArray[np.float32],
    is_correct: ArrayLike,
    thresholds: NDArray[np.float32],
    unit: Unit,
    groups: ArrayLike | None,
    seed: int,
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Units in all, and per threshold those accepted and those of them that are wrong."""
    wrong = ~checked_flags(is_correct)
    if wrong.shape != scores.shape:
        raise InputError(f"{scores.size} confidences and {wrong.size} labels; give one per row")
    if unit == "claim":
        units = scores.size
        added, worse = np.ones(units, dtype=np.int64), wrong.astype(np.int64)
    elif unit == "image":
        if groups is None:
            raise GuaranteeError('unit="image" needs the image of each row; give groups')
        units, order, added, worse = _draws(scores, wrong, np.asarray(groups), seed)
        scores = scores[order]
    else:
        raise InputError(f'unit is "{unit}"; valid: "claim", "image"')
    order = np.argsort(-scores)  # NaN last
    place = np.searchsorted(-scores[order], -thresholds, side="right")
    accepted, errors = (
        np.concatenate([[0], np.cumsum(column[order], dtype=np.int64)])[place]
        for column in (added, worse)
    )
    return units, accepted, errors


def _draws(
    scores: NDArray[np.float32], wrong: NDArray[np.bool_], groups: NDArray[Any], seed: int
) -> tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """One accepted claim per image at every threshold at once.

    Every claim gets a random priority and the accepted one with the lowest is drawn, so going down
    in confidence an image's draw only changes where a new lowest priority comes in. Returns the
    number of images and, for these rows: position, images added, wrong draws added.
    """
    if groups.shape != scores.shape:
        raise InputError(f"{scores.size} confidences and {groups.size} groups; give one per row")
    code = np.unique(groups, return_inverse=True)[1]
    # Sorting by content first makes the draw independent of the order of rows.
    order = np.lexsort((wrong, -scores, code))
    code, wrong = code[order], wrong[order]
    priority = np.random.default_rng(seed).permutation(scores.size) - code * scores.size
    lowest = np.flatnonzero(priority == np.minimum.accumulate(priority))
    first: NDArray[np.bool_] = np.append(True, code[lowest][1:] != code[lowest][:-1])
    change = wrong[lowest].astype(np.int64)
    change[1:] -= np.where(first[1:], 0, wrong[lowest][:-1])
    return int(code[-1]) + 1, order[lowest], first.astype(np.int64), change
