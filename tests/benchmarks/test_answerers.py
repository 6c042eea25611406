"""Simulated answerers: what they are said to be, on images that nothing they meet was fitted on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.errors import InputError

answerers = pytest.importorskip("benchmarks.answerers", reason="runs from a checkout")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Statements that boxes tell right nine times in ten, and two that nobody judged."""
    generator = np.random.default_rng(0)
    rows = []
    for row in range(1202):
        x1, y1, x2, y2 = generator.uniform(0.02, 0.7, 4).round(4).tolist()
        relation = str(generator.choice(["left of", "right of", "above", "below"]))
        holds = {"left of": x1 < x2, "right of": x1 > x2, "above": y1 < y2, "below": y1 > y2}
        label = int(holds[relation] ^ (generator.random() < 0.1))
        rows.append({"image": f"{row // 2}.jpg", "subject": "cup", "relation": relation,
                     "object": "plate", "subject_box": [x1, y1, 0.2, 0.2],
                     "object_box": [x2, y2, 0.2, 0.2],
                     "label": label if row < 1200 else None})  # fmt: skip
    file = tmp_path_factory.mktemp("answerers") / "statements.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def statements(path: Path):
    return answerers.Statements.read(str(path), seed=0)


def test_box_models_saw_no_image_that_is_labelled_or_judged(statements) -> None:
    assert len(statements.label) == 1200
    assert np.sort(np.concatenate([half.rows for half in statements.halves])).tolist() == [
        *range(1200)
    ]
    for half in statements.halves:
        shown = image_hashes(np.unique(statements.image[half.rows]))
        assert not half.base.images & set(shown)
        fittings, judged = answerers.deal(
            half, statements.image, [50, 200], np.random.default_rng(0)
        )
        assert [200 <= len(fittings[1]) < 202, set(fittings[0]) < set(fittings[1])] == [True] * 2
        assert sorted([*fittings[1], *judged]) == half.rows.tolist()
        assert not np.isin(statements.image[judged], statements.image[fittings[1]]).any()


def test_every_answerer_is_right_on_54_percent_in_its_own_way(statements) -> None:
    chances = answerers.chances(statements)
    true = statements.label == 1
    for chance in chances.values():
        assert chance.mean() == pytest.approx(0.54)
        assert ((chance >= 0) & (chance <= 1)).all()
    yes = np.where(true, chances["yes-biased"], 1 - chances["yes-biased"])
    assert yes.mean() == pytest.approx(0.85)
    unsure = chances["worse where boxes are unsure"]
    assert np.corrcoef(unsure, np.abs(statements.log_odds))[0, 1] > 0.9
    wrong = chances["worse where boxes are unsure or wrong"]
    misled = statements.towards_truth < 0
    assert wrong[misled].max() < wrong[~misled].min()


def test_confidence_is_certain_or_tells_right_from_wrong_a_little(statements) -> None:
    generator = np.random.default_rng(0)
    right = generator.random(len(statements.label)) < 0.54
    certain = statements.answered(right, answerers.always_sure(right, generator))
    assert (certain.column("p_yes") == certain.answer).all()
    assert ((certain.answer == statements.label) == right).all()
    many = np.repeat(right, 20)
    confidence = answerers.a_little_informed(many, generator)
    assert confidence.min() > 0.5
    assert answerers.metrics.auroc(confidence, many) == pytest.approx(0.6, abs=0.02)


def test_accepting_stays_below_its_ceiling_and_correcting_passes_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answerers.main([str(path), "--labels", "200", "--draws", "1", "--resamples", "0"])
    text = capsys.readouterr().out
    assert text.startswith("1200 labelled statements on 600 images")
    for name in ("independent", "yes-biased"):
        for kind in answerers.CONFIDENCES:
            assert f"== {name}, {kind}: right 0.5" in text
            of = {way: found[name, kind, 200, way]["coverage"]["0.8"] for way in answerers.TRUSTING}
            accepted, corrected = (of[way] for way in answerers.TRUSTING)
            assert accepted["value"] <= accepted["ceiling"] < corrected["value"]
    alone = found["independent", "always sure", 0, answerers.ALONE]
    assert alone["auroc"]["value"] == 0.5
    assert {of["value"] for of in alone["coverage"].values()} == {0.0}


def test_too_few_statements_are_refused_by_number(statements) -> None:
    with pytest.raises(InputError, match=r"labelled claims, too few to fit on 1000"):
        answerers.deal(
            statements.halves[0], statements.image, [200, 1000], np.random.default_rng(0)
        )
