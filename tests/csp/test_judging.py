"""Judging: figures of known cases, existence questions, and the asker in a run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from spatialtrust.backends.asking import ask_for
from spatialtrust.backends.registry import open_asker
from spatialtrust.backends.tabletop import render, sample_scene, scene_truth
from spatialtrust.csp.building import write_png
from spatialtrust.csp.existence import make_questions, read_pope, things_in, write_pope
from spatialtrust.csp.judging import judge, platt_by_fold, reliability_of
from spatialtrust.csp.loader import open_vlm
from spatialtrust.csp.observing import Observed, observe
from spatialtrust.csp.questions import read_questions
from spatialtrust.csp.scales import scale_named
from spatialtrust.errors import ColumnError, InputError
from spatialtrust.evidence.from_answers import listen
from spatialtrust.tables import Answers, Claims, Grounding


def observed(rows: int = 400, seed: int = 0) -> Observed:
    """A VLM that states what it knows: P(right) falls with noise, and it says so."""
    generator = np.random.default_rng(seed)
    label = generator.random(rows) < 0.5
    levels = np.array([0, 50, 100])
    surety = np.stack([generator.uniform(0.8, 1, rows), generator.uniform(0.6, 0.8, rows),
                       np.full(rows, 0.5)], axis=1)  # fmt: skip
    right = generator.random(surety.shape) < surety
    answer = np.where(right, label[:, None], ~label[:, None]).astype(np.int8)
    p_yes = np.where(answer == 1, 0.875, 0.125).astype(np.float32)
    image = np.array([f"{place // 4}" for place in range(rows)])
    return Observed(
        image, np.repeat("on", rows), label, levels, p_yes, answer,
        surety.astype(np.float32), np.ones_like(p_yes),
    )  # fmt: skip


def test_a_vlm_that_knows_what_it_knows_gets_the_figures_it_earns():
    found = judge(observed(), resamples=50)
    stated, sure = found["all_levels"]["stated"], found["all_levels"]["p_yes"]
    assert stated["ece"]["value"] < 0.04
    assert sure["ece"]["value"] > 0.1
    assert stated["auroc"]["value"] > 0.7
    assert sure["auroc"]["value"] == pytest.approx(0.5, abs=0.02)
    assert found["noise"]["rank_correlation"]["value"] == pytest.approx(-1)
    assert found["noise"]["falls_at_every_step"] == 1
    for figure in (stated["ece"], found["clean"]["accuracy"], found["clean"]["f1"]):
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_platt_judges_no_image_by_itself_and_repairs_what_is_too_sure():
    seen = observed()
    p_yes = seen.p_yes[:, 0].astype(float)
    platt = platt_by_fold(p_yes, seen.label, seen.image)
    assert np.abs(np.where(seen.answer[:, 0] == 1, platt, 1 - platt) - 0.9).max() < 0.06
    lonely = platt_by_fold(np.array([0.2, 0.9]), np.array([True, False]), np.array(["a", "b"]))
    assert np.isnan(lonely).all()


def test_a_confidence_that_never_changes_has_no_rank_correlation():
    seen = observed()
    flat = replace(seen, stated=np.full_like(seen.stated, 0.7))
    found = judge(flat, resamples=0)["noise"]
    assert found["never_changes"] == 1
    assert np.isnan(found["rank_correlation"]["value"])
    assert len(reliability_of(flat)["count"]) == 1


def test_existence_questions_are_those_of_pope(tmp_path):
    present = {"a.png": ["cup", "spoon"], "b.png": ["cup", "dog"], "c.png": ["dog", "owl"]}
    for kind in ("random", "popular", "adversarial"):
        rows = make_questions(present, kind, each=1)
        assert [row["label"] for row in rows] == ["yes", "no"] * 3
        for row in rows:
            thing = row["text"].removeprefix("Is there a").removeprefix("n").split()[0]
            assert (thing in present[row["image"]]) == (row["label"] == "yes")
    popular = make_questions(present, "popular", each=1)
    assert popular[1]["text"] == "Is there a dog in the image?"
    adversarial = {row["image"]: row["text"] for row in make_questions(present, "adversarial", 1)
                   if row["label"] == "no"}  # fmt: skip
    assert adversarial["c.png"] == "Is there a cup in the image?"
    path = tmp_path / "pope.jsonl"
    write_pope(rows, path)
    assert [row["answer"] for row in read_pope(path)] == [row["label"] for row in rows]
    with pytest.raises(InputError, match="no question can be made"):
        make_questions({"a.png": ["cup"], "b.png": ["cup"]})
    path.write_text('{"image": "a.png", "text": "Is it?", "label": "maybe"}\n')
    with pytest.raises(ColumnError, match='holds "maybe" in row 1'):
        read_pope(path)


def test_things_are_read_from_boxes_of_any_form(tmp_path):
    path = tmp_path / "boxes.jsonl"
    path.write_text(
        '{"image": "a.png", "label": "cup", "box_format": "xyxy", "box": [1, 2, 30, 40]}\n'
        '{"image": "b.png", "label": "dog", "box_format": "xyxy", "box": [1, 2, 30, 40]}\n'
    )
    assert things_in(path) == {"a.png": ["cup"], "b.png": ["dog"]}


def test_a_pope_file_is_judged_clean(tmp_path):
    write_png(render(sample_scene(1)), tmp_path / "a.png")
    rows = [{"question_id": n, "image": "a.png", "text": f"Is there a {name} in the image?",
             "label": "yes" if n else "no"} for n, name in enumerate(("cube", "ball"))]  # fmt: skip
    path = tmp_path / "pope.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    questions = read_questions(path)
    vlm = open_vlm("tabletop:blip2")
    seen = observe(vlm, questions, scale_named("percent"))
    assert seen.p_yes.shape == (2, 1)
    with pytest.raises(InputError, match="no regions"):
        observe(vlm, questions, scale_named("percent"), (0, 50))


@pytest.fixture(scope="module")
def asked():
    scene = sample_scene(4)
    subject, relation, other, _ = scene_truth(scene)[0]
    items = scene.objects
    claims = Claims.from_rows([{"claim_id": "0", "image_id": "a", "subject": items[subject].phrase,
                                "relation": relation, "object": items[other].phrase}])  # fmt: skip
    boxes = (np.array([items[place].box], dtype=np.float32) for place in (subject, other))
    return {"a": render(scene)}, claims, Grounding.from_boxes(*boxes)


def test_stated_confidence_and_sensitivity_become_evidence(asked):
    images, claims, boxes = asked
    asker = open_asker("csp:tabletop:blip2")
    answers = ask_for(("answer", "stated", "noise", "orbit"), asker, images, claims, boxes)
    heard = listen(claims, answers)
    for name in ("p_yes", "stated_confidence", "noise_slope", "noise_flip"):
        assert np.isfinite(heard.columns[name]).all(), name
    # The question that asks for a confidence is no further wording of the claim.
    assert np.isnan(heard.columns["prompt_consistency"]).all()
    plain = ask_for(("answer",), open_asker("tabletop:blip2"), images, claims, boxes)
    assert heard.columns["p_yes"] == pytest.approx(listen(claims, plain).columns["p_yes"])


def test_an_asker_that_cannot_say_is_refused(asked):
    images, claims, boxes = asked
    with pytest.raises(InputError, match="cannot say how sure it is"):
        ask_for(("answer", "stated"), open_asker("tabletop:blip2"), images, claims, boxes)


def test_an_image_that_is_missing_is_a_status(asked):
    _, claims, boxes = asked
    found = ask_for(("answer", "stated"), open_asker("csp:tabletop:blip2"), {}, claims, boxes)
    assert set(found.strings("status")) == {"image_unreadable"}


def test_the_stated_confidence_is_that_of_the_first_answer_else_of_the_question_for_it():
    claims = Claims.from_rows([{"claim_id": "0", "image_id": "a"}])
    row = {"claim_id": "0", "model": "m", "view": "plain", "form": "claim", "answer": "yes"}
    rows = [
        {**row, "prompt_id": "default", "stated_confidence": None},
        {**row, "prompt_id": "confidence", "stated_confidence": 0.75},
    ]
    told = listen(claims, Answers.from_rows(rows)).columns["stated_confidence"]
    assert told.tolist() == [0.75]
    rows[0]["stated_confidence"] = 0.5
    told = listen(claims, Answers.from_rows(rows)).columns["stated_confidence"]
    assert told.tolist() == [0.5]
