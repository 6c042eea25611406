"""A promise is withdrawn when it fails, rarely when it holds, and a stream may stop and go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from benchmarks.drift import Shift, allowed, simulate
from spatialtrust.decision.betting import (
    BINS,
    Wealth,
    bins,
    conformal_p,
    rank_factors,
    risk_factors,
)
from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.decision.monitoring import Monitor
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import GuaranteeError, InputError

PROMISE = DecisionRule(
    rule="accept", threshold=0.5, alpha=0.2, delta=0.1, n=10, errors=0, bound=0.1, coverage=1.0,
    ceiling=1.0, unit="image", calibrated_on="these tests",
)  # fmt: skip


def rows(images: int = 300, seed: int = 0, scale: float = 1.0) -> CertifyingRows:
    generator = np.random.default_rng(seed)
    p_true = (generator.random(2 * images) * scale).astype(np.float32)
    label = (generator.random(2 * images) < 0.9).astype(np.int8)
    image = np.repeat(np.arange(images), 2).astype(np.int32)
    return CertifyingRows(image, np.ones(2 * images, np.int8), p_true, label, {})


def seen(monitor: Monitor, batch: CertifyingRows, *, label: bool = True, **options):
    labels = batch.label if label else None
    return monitor.observe(batch.image, batch.p_true, batch.asserted, labels, **options)


def test_bets_are_fair_and_never_ruin() -> None:
    p = (np.arange(100_000) + 0.5) / 100_000
    assert np.exp(rank_factors(p)).mean(axis=0) == pytest.approx(1, abs=1e-6)
    for alpha in (0.01, 0.2, 0.9):
        lost, won = np.exp(risk_factors(np.array([False, True]), alpha))
        assert (1 - alpha) * lost + alpha * won == pytest.approx(1)
        assert (lost > 0).all()


def test_wealth_of_fair_bets_is_a_mean_over_starts_and_the_purse() -> None:
    factors = np.array([[1.2, 0.5], [0.8, 2.0], [1.5, 1.1]])
    wealth = Wealth.of(2)
    wealth.play(np.log(factors), 99.0)
    share = np.log(2) / np.log(np.arange(2, 5)) - np.log(2) / np.log(np.arange(3, 6))
    by_hand = sum(share[s] * factors[s:].prod(axis=0).mean() for s in range(3))
    assert np.exp(wealth.log_wealth) == pytest.approx(by_hand + np.log(2) / np.log(5))


def test_ranks_are_uniform_and_do_not_depend_on_pieces() -> None:
    generator = np.random.default_rng(0)
    scores, ties = bins(generator.random(3000) ** 3), generator.random(3000)
    once, twice = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    p = conformal_p(once, scores, ties)
    assert kstest(p, "uniform").pvalue > 0.01
    parts = [conformal_p(twice, scores[:777], ties[:777]),
             conformal_p(twice, scores[777:], ties[777:])]  # fmt: skip
    assert np.array_equal(p, np.concatenate(parts))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99))
def test_the_order_of_rows_in_a_batch_does_not_matter(seed: int) -> None:
    batch = rows(40, seed)
    order = np.random.default_rng(seed).permutation(batch.image.size)
    one, other = Monitor.start(rows(), PROMISE), Monitor.start(rows(), PROMISE)
    first = one.observe(batch.image, batch.p_true, batch.asserted, batch.label)
    again = other.observe(
        batch.image[order], batch.p_true[order], batch.asserted[order], batch.label[order]
    )
    assert first == again


@settings(max_examples=10, deadline=None)
@given(stop=st.integers(0, 4))
def test_a_stream_that_stops_goes_on_as_if_it_had_not(stop: int) -> None:
    straight, stopped = Monitor.start(rows(), PROMISE), Monitor.start(rows(), PROMISE)
    for at in range(5):
        batch = rows(50, at + 1, 0.8)
        expected = seen(straight, batch)
        if at == stop:
            stopped = Monitor.from_dict(json.loads(json.dumps(stopped.to_dict())))
        assert seen(stopped, batch) == expected


def test_false_alarms_are_rare_and_each_test_sees_its_own_shift() -> None:
    quiet = simulate(Shift("none"), runs=40, images=300)
    assert max(np.isfinite(at).mean() for at in (quiet.alike, quiet.risk)) <= allowed(40)
    moved = simulate(Shift("scores", score=-1.0), runs=20, images=300)
    assert np.median(moved.alike) < 150
    worse = simulate(Shift("labels", excess=0.2), runs=20, images=300)
    assert np.median(worse.risk) < 150
    assert np.isfinite(worse.alike).mean() <= allowed(20)


def test_a_plain_warning_names_what_differs_and_withdraws_nothing() -> None:
    monitor = Monitor.start(rows(), PROMISE)
    assert seen(monitor, rows(60, 1), label=False).warnings == ()
    batch = rows(30, 2)
    status = monitor.observe(batch.image, batch.p_true, np.where(batch.image < 9, -1, 1))
    assert any("unknown claims" in warning for warning in status.warnings)
    assert (status.withdrawn, status.unused) == (False, {"unknown": 18})


def test_a_plain_rule_has_no_risk_to_test() -> None:
    monitor = Monitor.start(rows(), DecisionRule.plain(0.5))
    status = seen(monitor, rows(50, 1))
    assert (status.risk, status.labelled, monitor.level) == (None, 0, 0.1)
    assert status.unused == {"label, but the rule guarantees nothing": 100}


def test_late_labels_count_without_ranking_the_rows_again() -> None:
    monitor = Monitor.start(rows(), PROMISE)
    assert seen(monitor, rows(50, 1), label=False).labelled == 0
    status = seen(monitor, rows(50, 1), seen=True)
    assert status.images == 50
    assert status.labelled > 0


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(GuaranteeError, match="no certification rows"):
        Monitor.start(None, PROMISE)
    with pytest.raises(InputError, match="delta is 2"):
        Monitor.start(rows(), PROMISE, delta=2)
    monitor = Monitor.start(rows(), PROMISE)
    with pytest.raises(InputError, match="label holds other values"):
        monitor.observe([1], [0.5], [1], [3])
    with pytest.raises(InputError, match="in image"):
        monitor.observe([1, 2], [0.5], [1])
    with pytest.raises(InputError, match="version 9"):
        Monitor.from_dict({**monitor.to_dict(), "version": 9})
    with pytest.raises(InputError, match="not a monitor"):
        Monitor.from_dict({"version": 1})
