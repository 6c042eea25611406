"""Ways to trust are compared on the same claims, and what is unknown is covered last."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.evaluation.by_relation import by_relation, render_relations
from spatialtrust.evaluation.ways import RECALL, Exam, Way, compare, render, ways
from spatialtrust.evidence.gathering import gather
from spatialtrust.relations import NAMES
from spatialtrust.tables import Answers, Claims, Grounding
from tests.helpers.exams import exam

ROWS = 400


@pytest.fixture(scope="module")
def judged() -> Exam:
    return exam(ROWS, seed=3)


def oracle(judged: Exam) -> np.ndarray:
    return np.where(judged.label == 1, 0.9, 0.1)


def test_knowing_the_truth_beats_every_other_way(judged: Exam) -> None:
    truth = oracle(judged)
    found = compare(judged, ways(judged, truth, truth, np.full(ROWS, 0.5)), resamples=0)["ways"]
    assert found["trust model"]["auroc"]["value"] == 1.0
    assert found["verifier alone"]["accuracy"]["value"] == 1.0
    for name, way in found.items():
        assert way["aurc"]["value"] >= found["trust model, may correct"]["aurc"]["value"], name
    kept = found["trust model"]["edges"]
    assert kept["precision_pruned"]["value"] == 1.0
    assert kept["precision"]["value"] == pytest.approx(0.54, abs=0.1)


def test_ways_that_only_accept_stay_under_the_ceiling_and_correcting_passes_it(
    judged: Exam,
) -> None:
    truth = oracle(judged)
    found = compare(judged, ways(judged, truth, truth, truth), resamples=0)["ways"]
    for name in (
        "VLM confidence",
        "five-prompt text",
        "geometry alone",
        "base method",
        "trust model",
    ):
        for cell in found[name]["coverage_at_accuracy"].values():
            assert cell["value"] <= cell["ceiling"] + 1e-9
    assert found["trust model"]["coverage_at_accuracy"]["0.9"]["value"] < 0.7
    assert found["trust model, may correct"]["coverage_at_accuracy"]["0.95"]["value"] == 1.0


def test_an_unknown_score_is_covered_last(judged: Exam) -> None:
    score = np.where(np.arange(ROWS) < 10, np.nan, 0.5)
    answer = judged.label.copy()
    answer[:10] = 1 - answer[:10]  # wrong exactly where nothing is known
    found = compare(judged, {"VLM confidence": Way(answer, score)}, resamples=0)["ways"]
    coverage = found["VLM confidence"]["coverage_at_accuracy"]["0.95"]["value"]
    assert coverage == 1.0
    assert found["VLM confidence"]["auroc"]["value"] == 1.0


def test_edges_are_the_claims_that_would_be_emitted_yes() -> None:
    few = exam(8, seed=0).select(np.arange(8))
    few = Exam(few.features, few.text, np.array([1, 1, 0, 0, 1, 1, 0, 1], np.int8), few.image)
    way = Way(np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int8), np.array([9, 8, 7, 6, 5, 4, 3, 2.0]))
    edges = compare(few, {"VLM confidence": way}, resamples=0)["ways"]["VLM confidence"]["edges"]
    assert edges["candidates"] == 4
    assert edges["precision"]["value"] == 0.5
    assert edges["precision_pruned"]["value"] == 1.0
    assert (edges["share_kept"], edges["true_found"]) == (0.5, 0.4)
    none = Way(np.zeros(8, np.int8), np.ones(8))
    edges = compare(few, {"VLM confidence": none}, resamples=0)["ways"]["VLM confidence"]["edges"]
    assert edges["candidates"] == 0
    assert math.isnan(edges["precision"]["value"])


def test_the_pruned_share_is_that_of_the_metric(judged: Exam) -> None:
    truth = oracle(judged)
    way = ways(judged, truth, truth, truth)["VLM confidence"]
    edges = compare(judged, {"VLM confidence": way}, resamples=0)["ways"]["VLM confidence"]["edges"]
    rows = way.answer == 1
    kept = edges["share_kept"] * rows.sum()
    true = judged.label[rows] == 1
    precision = metrics.precision_at_recall(way.score[rows], true, RECALL)
    assert edges["precision_pruned"]["value"] == precision
    assert kept * precision == pytest.approx(np.ceil(RECALL * true.sum()))


def test_the_text_has_every_way_and_its_intervals(judged: Exam) -> None:
    guess = np.abs(oracle(judged) - (np.arange(ROWS) % 7 == 0) * 0.7)
    compared = compare(judged, ways(judged, guess, guess, guess), resamples=50)
    text = render(compared)
    for name, way in compared["ways"].items():
        assert len([line for line in text.splitlines() if line.startswith(f"{name}  ")]) == 3
        assert way["auroc"]["low"] <= way["auroc"]["value"] <= way["auroc"]["high"]
    assert "ceiling, accepting" in text


def test_an_exam_joins_a_runs_tables_by_claim() -> None:
    claims = Claims.from_rows(
        {"claim_id": name, "image_id": "a", "subject": "mug", "relation": "left of",
         "object": "box", "label": label}
        for name, label in (("c", 1), ("a", 0), ("b", None), ("d", 1))
    )  # fmt: skip
    boxes = np.repeat([[[0.1, 0.1, 0.2, 0.2]], [[0.5, 0.5, 0.7, 0.7]]], 4, axis=1)
    said = Answers.from_rows(
        {"claim_id": name, "model": "m", "view": "plain", "form": "claim", "prompt_id": prompt,
         "answer": answer, "p_yes": None if answer == "unparsed" else 0.75, "status": "ok"}
        for name, answer in (("a", "yes"), ("b", "yes"), ("c", "yes"), ("d", "unparsed"))
        for prompt in ("default", "true")
    )  # fmt: skip
    evidence = gather(claims, Grounding.from_boxes(*boxes, np.ones((4, 2))), said)
    found = Exam.of(claims, evidence, said)
    assert found.label.tolist() == [0, 1], "in the order of the ids; b has no label"
    assert found.unanswered == 1
    assert np.isfinite(found.text).all()
    with pytest.raises(InputError, match="nothing to compare"):
        Exam.of(claims.select(np.array([False, False, True, False])),
                evidence.select(np.array([False, False, True, False])), said)  # fmt: skip


def test_a_gain_is_paired_and_told_relation_by_relation(judged: Exam) -> None:
    truth = oracle(judged)
    boxes = truth.copy()
    wrong = judged.features.relation == judged.features.relation[0]
    boxes[wrong] = 1 - truth[wrong]
    unseen = np.arange(ROWS) < 40
    boxes[unseen] = np.nan
    found = by_relation(judged, ways(judged, truth, boxes, truth), resamples=50)
    assert list(found)[-1] == "all"
    assert sum(row["claims"] for name, row in found.items() if name != "all") == ROWS - 40
    name = NAMES[judged.features.relation[0]]
    for relation, row in found.items():
        assert row["accuracy"]["fused"] == 1.0
        gain = row["gain"]["verifier alone"]
        if relation == name:
            assert gain == {"value": 1.0, "low": 1.0, "high": 1.0}
        elif relation != "all":
            assert gain["value"] == 0.0
        assert row["gain"]["VLM alone"]["low"] > 0
    text = render_relations(found)
    assert f"better than both, interval above 0: {name}" in text
    plain = by_relation(judged, ways(judged, truth, truth, truth), resamples=0)
    assert "on no single relation" in render_relations(plain)
