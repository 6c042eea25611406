"""Each relation is promised for by its own labels, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from spatialtrust.decision.certification import least_units
from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.decision.commit_gate import (
    Gate,
    certify_gate,
    decide_by,
    rule_from_dict,
)
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.relations import NAMES

LEFT, ABOVE, ON = (NAMES.index(name) for name in ("left of", "above", "on"))


def rows(images: int = 300, seed: int = 0) -> CertifyingRows:
    """`left of` is as good as it says, `above` says more than is true, `on` is rare."""
    rng = np.random.default_rng(seed)
    count = 4 * images
    relation = rng.choice([LEFT, ABOVE], count).astype(np.int16)
    relation[:20] = ON
    p_true = rng.uniform(0.5, 1, count).astype(np.float32)
    real = np.where(relation == ABOVE, 0.5 * p_true, np.where(p_true > 0.7, 0.995, 0.6))
    label = (rng.random(count) < real).astype(np.int8)
    image = np.repeat(np.arange(images), 4).astype(np.int32)
    return CertifyingRows(image, np.ones(count, np.int8), p_true, label, 0.0, relation)


def gate(precision: float = 0.9, **options: object) -> Gate:
    return rows().gate(precision, 0.1, "image", "made-up rows", **options)


def test_each_relation_keeps_what_its_own_labels_support() -> None:
    found = {entry.relation: entry for entry in gate().relations}
    assert 0.6 < (found["left of"].threshold or 0) < 0.8
    assert found["above"].threshold is None
    assert found["above"].tested
    assert not found["on"].tested
    assert "on: too few labels (5 images of at least" in str(gate())
    assert "above: no threshold holds" in str(gate())


def test_delta_is_split_among_the_relations_that_can_be_tested() -> None:
    entries = {entry.relation: entry for entry in gate().relations}
    assert entries["left of"].needed == least_units(0.1, 0.05)
    assert entries["on"].needed == least_units(0.1, 0.1 / 3)
    alone = gate(relations=["left of"])
    assert [entry.relation for entry in alone.relations] == ["left of"]
    assert alone.relations[0].needed == least_units(0.1, 0.1)


def test_a_relation_without_any_row_is_named() -> None:
    entry = gate(relations=["left of", "inside"]).relations[1]
    assert (entry.relation, entry.images, entry.threshold) == ("inside", 0, None)


def test_rows_are_decided_by_the_threshold_of_their_relation() -> None:
    found = gate()
    left = float(next(e.threshold for e in found.relations if e.relation == "left of") or 0)
    names = pa.chunked_array([["left of", "left of", "above", "on", None, "left of", "left of"]])
    p_true = [left, left - 0.01, 0.99, 0.99, 0.99, 0.99, np.nan]
    decisions, why = decide_by(found, p_true, [1, 1, 1, 1, 1, 0, 1], names)
    assert decisions.decision.tolist() == [1, 0, 0, 0, 0, 2, 0]
    assert decisions.emitted.tolist() == [1, -1, -1, -1, -1, 1, -1]
    assert (why > 0).tolist() == [False, True, True, True, True, False, False]
    assert why[1] != why[2] == why[3]


def test_the_promise_is_kept_over_many_draws() -> None:
    """`left of` is promised too loosely in at most delta of the draws, with slack at 99.9 %."""
    broken = 0
    for seed in range(200):
        entry = rows(120, seed).gate(0.9, 0.1, "image", "rows", ["left of"]).relations[0]
        if entry.threshold is not None:
            t = max(entry.threshold, 0.5)
            risk = (0.005 * 0.3 + 0.4 * max(0.7 - t, 0)) / (0.3 + max(0.7 - t, 0))
            broken += risk > 0.1
    assert broken / 200 <= 0.1 + 0.065


def test_a_gate_and_a_rule_come_back_from_json() -> None:
    for rule in (gate(), DecisionRule.plain(0.8)):
        assert rule_from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    with pytest.raises(InputError, match="not a commit gate"):
        rule_from_dict({"rule": "commit gate"})


def test_relations_are_stored_by_name_and_older_rows_are_refused_by_name() -> None:
    before = rows(20)
    stored = json.loads(json.dumps(before.to_dict()))
    assert sorted(stored["relation"]["names"]) == ["above", "left of", "on"]
    after = CertifyingRows.from_dict(stored)
    assert after.relation is not None
    np.testing.assert_array_equal(after.relation, before.relation)
    stored["relation"]["names"][0] = "gone"
    assert (CertifyingRows.from_dict(stored).relation == -1).any()
    del stored["relation"]
    with pytest.raises(GuaranteeError, match="do not name their relation"):
        CertifyingRows.from_dict(stored).gate(0.9, 0.1, "image", "rows")


def test_a_model_passes_its_rows_on() -> None:
    model = replace(TrustModel.load("vsr-boxes"), certifying=rows())
    assert model.gate(precision=0.9, delta=0.1).relations == gate().relations
    with pytest.raises(GuaranteeError, match="pairs enumerated"):
        model.pair_gate(precision=0.9, delta=0.1)
    with pytest.raises(GuaranteeError, match="holds no rows"):
        replace(model, certifying=None).gate(precision=0.9, delta=0.1)


def test_shares_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="precision is 1"):
        gate(1.0)
    empty = np.zeros(0)
    with pytest.raises(GuaranteeError, match="no labelled rows"):
        certify_gate(
            empty, empty, empty.astype(int), empty, precision=0.9, delta=0.1, calibrated_on="x"
        )
