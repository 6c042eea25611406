"""Calibrators recover known probabilities, keep order, and survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from spatialtrust.errors import InputError
from spatialtrust.fusion.calibration import (
    CALIBRATORS,
    Beta,
    Isotonic,
    Platt,
    Temperature,
    from_dict,
)
from spatialtrust.metrics import ece

KINDS = list(CALIBRATORS.values())


def _rows(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are twice too sure and shifted, with labels drawn from the truth."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(int)
    return 2 * truth + 0.6, label


@pytest.mark.parametrize("kind", [Platt, Beta, Isotonic])
def test_distorted_scores_are_put_right(kind: type[Platt]) -> None:
    logit, label = _rows()
    fitted = kind.fit(logit[::2], label[::2])
    before = ece(1 / (1 + np.exp(-logit[1::2])), label[1::2])
    after = ece(fitted.transform(logit[1::2]), label[1::2])
    assert after < 0.02 < before


def test_platt_finds_the_slope_that_undoes_the_distortion() -> None:
    fitted = Platt.fit(*_rows())
    assert fitted.slope == pytest.approx(0.5, abs=0.02)
    assert fitted.intercept == pytest.approx(-0.3, abs=0.05)


def test_platt_agrees_with_an_unpenalised_logistic_regression() -> None:
    logit, label = _rows(5_000)
    reference = LogisticRegression(C=np.inf).fit(logit[:, None], label)
    fitted = Platt.fit(logit, label)
    assert fitted.slope == pytest.approx(reference.coef_[0, 0], rel=2e-3)
    assert fitted.intercept == pytest.approx(reference.intercept_[0], abs=5e-3)


def test_temperature_keeps_the_side_of_one_half() -> None:
    logit, label = _rows()
    fitted = Temperature.fit(logit, label)
    assert fitted.temperature > 1
    assert ((fitted.transform(logit) > 0.5) == (logit > 0)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_order_is_kept_nan_passes_and_json_is_exact(kind: type[Platt]) -> None:
    fitted = kind.fit(*_rows(500))
    rising = fitted.transform(np.linspace(-50, 50, 201))
    assert (np.diff(rising) >= 0).all()
    assert rising.min() >= 0
    assert rising.max() <= 1
    assert np.isnan(fitted.transform([np.nan])).all()
    assert from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=30))
def test_any_labelled_rows_fit_or_say_why_not(kind: type[Platt], rows: list) -> None:
    logit, label = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if len(set(label.tolist())) < 2:
        with pytest.raises(InputError, match="both must occur"):
            kind.fit(logit, label)
        return
    p = kind.fit(logit, label).transform(logit)
    assert ((p >= 0) & (p <= 1)).all()


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(InputError, match="one label a logit"):
        Platt.fit([0.0, 1.0], [1])
    with pytest.raises(InputError, match="not finite"):
        Platt.fit([0.0, np.nan], [0, 1])
    with pytest.raises(InputError, match="valid: platt, temperature, beta, isotonic"):
        from_dict({"kind": "magic"})
    with pytest.raises(InputError, match="other fields"):
        from_dict({"kind": "platt", "slope": 1.0})
