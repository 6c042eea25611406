"""Decisions row by row."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spatialtrust.decision.certification import Grid, certify
from spatialtrust.decision.rule import ANSWERS, DECISIONS, DecisionRule, decide
from spatialtrust.errors import InputError

NAN = np.nan


def words(decisions) -> list[tuple[str, str | None, float]]:
    return [
        (DECISIONS[d], None if e < 0 else ANSWERS[e], round(float(c), 4))
        for d, e, c in zip(*decisions, strict=True)
    ]


def test_every_case_of_the_design() -> None:
    p_true = [0.8, 0.79, 0.2, 0.1, 0.9, 0.5]
    asserted = [1, 1, 1, 0, 0, 0]
    assert words(decide(p_true, asserted, DecisionRule.plain(0.8))) == [
        ("accept", "yes", 0.8),
        ("abstain", None, 0.79),
        ("correct", "no", 0.8),
        ("accept", "no", 0.9),
        ("correct", "yes", 0.9),
        ("abstain", None, 0.5),
    ]


def test_accept_only_never_emits_the_opposite() -> None:
    decided = decide([0.05, 0.95], [1, 0], DecisionRule.plain(0.8, "accept"))
    assert words(decided) == [("abstain", None, 0.05), ("abstain", None, 0.05)]


def test_unknown_abstains_and_has_no_confidence() -> None:
    decided = decide([NAN, 0.99, NAN], [1, -1, -1], DecisionRule.plain(0.5))
    assert decided.decision.tolist() == [0, 0, 0]
    assert decided.emitted.tolist() == [-1, -1, -1]
    assert np.isnan(decided.confidence).all()


def test_without_a_threshold_everything_abstains() -> None:
    rule = DecisionRule(rule="accept", threshold=None, alpha=0.1, delta=0.1)
    assert decide([1.0, 0.0], [1, 1], rule).decision.tolist() == [0, 0]


def test_columns_come_out_compact_and_as_arrow_words() -> None:
    decided = decide(np.array([0.9, 0.1, 0.5], np.float32), [1, 1, 1], DecisionRule.plain(0.8))
    assert decided.decision.dtype == decided.emitted.dtype == np.int8
    assert decided.confidence.dtype == np.float32
    arrow = decided.to_arrow()
    assert arrow["decision"].to_pylist() == ["accept", "correct", "abstain"]
    assert arrow["emitted"].to_pylist() == ["yes", "no", None]


def test_float32_storage_does_not_move_a_row_across_the_threshold() -> None:
    stored = np.array([0.8], dtype=np.float32)
    for p_true in (stored, stored.astype(np.float64), [0.8]):
        assert decide(p_true, [1], DecisionRule.plain(0.8)).decision.tolist() == [1]


def test_bad_columns_are_refused() -> None:
    rule = DecisionRule.plain(0.8)
    with pytest.raises(InputError, match=r"p_true is 1.2 at row 1"):
        decide([0.1, 1.2], [1, 1], rule)
    with pytest.raises(InputError, match="2 rows and asserted 1"):
        decide([0.1, 0.2], [1], rule)
    with pytest.raises(InputError, match="1 for yes, 0 for no, -1 for unparsed"):
        decide([0.1], [2], rule)
    with pytest.raises(InputError, match="1 for yes, 0 for no, -1 for unparsed"):
        decide([0.1], ["yes"], rule)
    with pytest.raises(InputError, match="one column"):
        decide([[0.1]], [1], rule)


def test_rules_survive_json() -> None:
    found = certify([0.9] * 40, [True] * 40, alpha=0.1, delta=0.1, grid=Grid((0.5,)),
                    calibrated_on="forty rows")  # fmt: skip
    missing = replace(found, threshold=None)
    for rule in (DecisionRule.plain(0.8), found, missing):
        assert DecisionRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_rules_say_what_they_are() -> None:
    assert "no guarantee" in str(DecisionRule.plain(0.8))
    found = certify([0.9] * 40, [True] * 40, alpha=0.1, delta=0.1, grid=Grid((0.5,)),
                    calibrated_on="forty rows")  # fmt: skip
    assert "at most 10.0% wrong per claim with probability 90% on data like forty rows" in str(
        found
    )
    assert "no threshold guarantees" in str(replace(found, threshold=None))


def test_rules_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="needs a threshold"):
        DecisionRule(rule="accept", threshold=None)
    with pytest.raises(InputError, match="threshold is NaN"):
        DecisionRule.plain(NAN)
    with pytest.raises(InputError, match='rule is "flip"'):
        DecisionRule.plain(0.8, "flip")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a decision rule"):
        DecisionRule.from_dict({"rule": "accept", "threshold": 0.8, "colour": 1})


def test_a_code_is_not_taken_modulo_256() -> None:
    with pytest.raises(InputError, match="1 for yes, 0 for no, -1 for unparsed"):
        decide([0.9], [257], DecisionRule.plain(0.8))


@pytest.mark.parametrize("threshold", [float("nan"), "0.8", None, [0.8], True])
def test_a_threshold_is_one_number(threshold: object) -> None:
    with pytest.raises(InputError, match=r"give a confidence such as 0\.8"):
        DecisionRule.plain(threshold)  # type: ignore[arg-type]
