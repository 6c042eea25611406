"""Calibration by family: shrunk, so that few rows move little."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.fusion.calibration import sigmoid
from spatialtrust.fusion.family_calibration import FamilyCalibration
from spatialtrust.relations import NAMES, RELATIONS

ON, LEFT = NAMES.index("on"), NAMES.index("left of")


def drawn(rows: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-odds, relations and labels; "on" is true less often than its log-odds say."""
    rng = np.random.default_rng(seed)
    logit, relation = rng.normal(0, 1.5, rows), rng.choice([ON, LEFT], rows)
    label = rng.random(rows) < sigmoid(logit + shift * (relation == ON))
    return logit, relation, label.astype(np.int8)


def test_a_family_that_is_too_sure_learns_it_the_more_the_more_rows_say_so() -> None:
    bias = []
    for rows in (100, 1000, 20_000):
        found = FamilyCalibration.fit(*drawn(rows, -0.4))
        logit = found.logit(np.zeros(2), np.array([ON, LEFT]))
        bias.append(float(logit[0] - logit[1]))
    assert bias[0] > bias[1] > bias[2]
    assert abs(bias[2] + 0.4) < 0.15


def test_no_rows_keep_what_is_expected_and_many_forget_it() -> None:
    near = FamilyCalibration(1.5, -0.3)
    logit, relation, label = drawn(20_000, 0.0)
    kept = FamilyCalibration.fit(logit[:2], relation[:2], label[:2], near)
    assert abs(kept.slope - 1.5) < 0.1
    forgotten = FamilyCalibration.fit(logit, relation, label, near)
    assert abs(forgotten.slope - 1) < 0.1


@given(st.floats(0.2, 3), st.floats(-2, 2), st.lists(st.integers(-1, len(NAMES) - 1), min_size=1))
def test_a_file_keeps_it_and_an_unknown_relation_counts_as_all_claims(
    slope: float, intercept: float, relations: list[int]
) -> None:
    own = np.linspace(-0.1, 0.1, len({r.family for r in RELATIONS.values()}))
    made = FamilyCalibration(slope, intercept, own, own[::-1].copy())
    back = FamilyCalibration.from_dict(made.to_dict())
    relation = np.array(relations)
    logit = np.linspace(-3, 3, relation.size)
    np.testing.assert_array_equal(back.logit(logit, relation), made.logit(logit, relation))
    unknown = made.logit(logit, np.full(relation.size, -1))
    np.testing.assert_allclose(unknown, slope * logit + intercept)
    assert np.isnan(made.transform(np.array([np.nan]), np.array([ON]))).all()
