"""What every decision and certification must satisfy on any data."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.decision.certification import Grid, certify, certify_verdicts
from spatialtrust.decision.rule import DecisionRule, decide

PROBABILITY = st.one_of(
    st.integers(0, 10).map(lambda k: k / 10), st.floats(0, 1, width=32), st.just(np.nan)
)
ROW = st.tuples(PROBABILITY, st.sampled_from([-1, 0, 1]))
ROWS = st.lists(ROW, min_size=1, max_size=30)
THRESHOLD = st.integers(0, 20).map(lambda k: k / 20)
KIND = st.sampled_from(["accept", "accept+correct"])


def columns(rows):
    p_true, asserted = zip(*rows, strict=True)
    return np.array(p_true, dtype=np.float32), np.array(asserted, dtype=np.int8)


@given(rows=ROWS, threshold=THRESHOLD, kind=KIND)
def test_confidence_is_nan_exactly_where_unknown_and_emission_is_sure_enough(
    rows, threshold, kind
) -> None:
    p_true, asserted = columns(rows)
    decided = decide(p_true, asserted, DecisionRule.plain(threshold, kind))
    unknown = np.isnan(p_true) | (asserted < 0)
    np.testing.assert_array_equal(np.isnan(decided.confidence), unknown)
    out = decided.emitted >= 0
    np.testing.assert_array_equal(out, decided.decision > 0)
    assert not (out & unknown).any()
    assert (decided.confidence[out] >= np.float32(threshold)).all()
    np.testing.assert_array_equal(
        decided.emitted[out], np.where(decided.decision == 1, asserted, 1 - asserted)[out]
    )


@given(rows=ROWS, threshold=THRESHOLD, kind=KIND)
def test_asking_the_negation_gives_the_same_decision(rows, threshold, kind) -> None:
    p_true, asserted = columns(rows)
    # Multiples of 1/1024, so that 1 - p is exact and no rounding enters the comparison.
    p_true = np.round(p_true * 1024) / 1024
    negated = np.where(asserted < 0, asserted, 1 - asserted)
    rule = DecisionRule.plain(threshold, kind)
    one, other = decide(p_true, asserted, rule), decide(1 - p_true, negated, rule)
    np.testing.assert_array_equal(one.decision, other.decision)
    np.testing.assert_array_equal(one.confidence, other.confidence)


@given(rows=ROWS, thresholds=st.tuples(THRESHOLD, THRESHOLD), kind=KIND)
def test_a_stricter_threshold_emits_a_subset(rows, thresholds, kind) -> None:
    loose, strict = (
        decide(*columns(rows), DecisionRule.plain(t, kind)).emitted >= 0 for t in sorted(thresholds)
    )
    assert (loose | ~strict).all()


LABELLED = st.lists(
    st.tuples(PROBABILITY, st.sampled_from([-1, 0, 1]), st.booleans(), st.integers(0, 9)),
    min_size=1,
    max_size=60,
)
OPTIONS = {"alpha": 0.4, "delta": 0.3, "calibrated_on": "a property"}
GRID = Grid((0.95, 0.9, 0.8, 0.7, 0.6, 0.5))


@given(rows=LABELLED, seed=st.integers(0, 5), unit=st.sampled_from(["claim", "image"]))
@settings(max_examples=60)
def test_order_of_rows_changes_no_certificate(rows, seed, unit) -> None:
    p_true, asserted, label, image = (np.array(c) for c in zip(*rows, strict=True))
    order = np.random.default_rng(seed).permutation(len(rows))
    grids = {"accept": GRID, "accept+correct": GRID}
    one, other = (
        certify_verdicts(
            p_true[o], asserted[o], label[o], groups=image[o], grids=grids, unit=unit, **OPTIONS
        )
        for o in (slice(None), order)
    )
    assert one == other


@given(rows=LABELLED)
@settings(max_examples=60)
def test_one_claim_per_image_makes_the_units_agree(rows) -> None:
    p_true, asserted, label, _ = (np.array(c) for c in zip(*rows, strict=True))
    right = (asserted == 1) == label
    claim = certify(p_true, right, grid=GRID, **OPTIONS)
    image = certify(
        p_true, right, grid=GRID, unit="image", groups=np.arange(len(rows))[::-1], **OPTIONS
    )
    assert image.to_dict() == claim.to_dict() | {"unit": "image"}


@given(rows=LABELLED, kind=KIND)
@settings(max_examples=60)
def test_what_is_certified_is_what_is_emitted(rows, kind) -> None:
    p_true, asserted, label, _ = (np.array(c) for c in zip(*rows, strict=True))
    rule = certify_verdicts(p_true, asserted, label, grids={kind: GRID}, **OPTIONS)
    decided = decide(p_true, asserted, rule)
    out = decided.emitted >= 0
    assert rule.coverage == out.mean()
    if rule.threshold is not None:
        assert rule.n == out.sum()
        assert rule.errors == ((decided.emitted == 1) != label)[out].sum()
        assert rule.errors / rule.n <= rule.bound <= rule.alpha
