"""Axioms of the label-free scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialtrust.errors import InputError
from spatialtrust.failure import doctor, energy, entropy, max_cosine, max_logit, mcm
from spatialtrust.metrics import auroc, eaurc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Score = Callable[..., NDArray[np.float64]]

SCORES = [mcm, max_logit, energy, entropy, doctor]
LOGITS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(2, 6)),
    elements=st.floats(-40, 40, allow_nan=False).map(lambda x: round(x, 3)),
)


@pytest.mark.parametrize("score", SCORES)
@given(logits=LOGITS, seed=st.integers(0, 99))
def test_scores_do_not_depend_on_the_order_of_classes_or_rows(
    score: Score, logits: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, classes = rng.permutation(logits.shape[0]), rng.permutation(logits.shape[1])
    np.testing.assert_allclose(
        score(logits[:, classes])[rows], score(logits[rows]), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("score", [mcm, entropy, doctor])
@given(logits=LOGITS, shift=st.floats(-50, 50))
def test_softmax_scores_ignore_a_constant_added_to_all_logits(
    score: Score, logits: Any, shift: float
) -> None:
    np.testing.assert_allclose(score(logits + shift), score(logits), rtol=1e-9, atol=1e-9)


@given(logits=LOGITS)
def test_ranges(logits: Any) -> None:
    classes = logits.shape[1]
    assert (mcm(logits) >= 1 / classes - 1e-12).all()
    assert (mcm(logits) <= 1).all()
    assert (entropy(logits) >= -np.log(classes) - 1e-12).all()
    assert (entropy(logits) <= 0).all()
    assert (doctor(logits) <= 0).all()
    assert (energy(logits) >= max_logit(logits)).all()


@given(logits=LOGITS)
def test_a_tied_set_of_scores_ranks_the_same_in_any_row_order(logits: Any) -> None:
    confidence = mcm(np.round(logits / 20) * 20)
    correct = np.arange(len(confidence)) % 2 == 0
    order = np.random.default_rng(0).permutation(len(confidence))
    for metric in (auroc, eaurc):
        np.testing.assert_equal(
            metric(confidence[order], correct[order]), metric(confidence, correct)
        )


def test_doctor_beta_ranks_as_mcm_does() -> None:
    logits = np.random.default_rng(0).normal(size=(200, 5)) * 3
    assert (np.argsort(doctor(logits, variant="beta")) == np.argsort(mcm(logits))).all()


def test_doctor_keeps_the_order_of_rows_too_sure_for_a_float() -> None:
    logits = np.array([[0.0, -45.0, -60.0], [0.0, -50.0, -60.0], [0.0, -48.0, -70.0]])
    assert len(np.unique(mcm(logits))) == 1
    for variant in ("alpha", "beta"):
        assert np.argsort(doctor(logits, variant=variant)).tolist() == [0, 2, 1]


def test_temperature_one_half_is_doubling_the_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4))
    for score in (mcm, entropy, doctor):
        np.testing.assert_allclose(score(logits, temperature=0.5), score(2 * logits))


def test_half_precision_logits_are_scored_in_full_precision() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float16)
    assert mcm(logits).dtype == np.float64
    np.testing.assert_allclose(mcm(logits), mcm(logits.astype(np.float64)), rtol=1e-6)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4))
    whole = [score(logits) for score in SCORES]
    monkeypatch.setattr("spatialtrust.failure.checks.BLOCK_BYTES", 8 * 4 * 7)
    for score, expected in zip(SCORES, whole, strict=True):
        np.testing.assert_allclose(score(logits), expected, rtol=1e-14)


def test_max_cosine_divides_the_scale_away() -> None:
    np.testing.assert_allclose(max_cosine([[30.0, 20.0]], 100.0), [0.3])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused_by_row(score: Score, bad: float) -> None:
    logits = np.zeros((5, 3))
    logits[3, 1] = bad
    with pytest.raises(InputError, match=rf"logits: row 3 holds {bad}; .*finite"):
        score(logits)


@pytest.mark.parametrize("score", SCORES)
def test_one_class_is_refused(score: Score) -> None:
    with pytest.raises(InputError, match="at least two classes"):
        score(np.zeros((5, 1)))


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros(5), "two dimensions"),
        ([["a", "b"]], "not numbers"),
        (np.zeros((2, 2), dtype=complex), "not numbers"),
    ],
)
def test_other_shapes_and_kinds_are_refused(logits: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mcm(logits)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_temperatures_must_be_positive(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature is"):
        mcm(np.zeros((2, 2)), temperature=temperature)


def test_unknown_variants_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(InputError, match="valid: alpha, beta"):
        doctor(np.zeros((2, 2)), variant="gamma")  # type: ignore[arg-type]


def test_no_rows_give_no_scores() -> None:
    assert mcm(np.zeros((0, 3))).shape == (0,)
