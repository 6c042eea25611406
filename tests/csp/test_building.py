"""Data: from every source, once, and going on where it stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spatialtrust.backends.tabletop import write_dataset
from spatialtrust.csp import building
from spatialtrust.csp.building import (
    BuildConfig,
    build,
    draw_levels,
    read_examples,
    read_manifest,
    write_png,
)
from spatialtrust.csp.perturbation import LADDER, perturb
from spatialtrust.csp.questions import read_questions
from spatialtrust.csp.targets import confidence_at, linear, measure
from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.io.images import read_image


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    rows = write_dataset(folder, 2, seed=5).read_text().splitlines()
    (folder / "claims.jsonl").write_text("\n".join(rows[::7]) + "\n")
    return folder


@pytest.fixture(scope="module")
def questions(scenes):
    return read_questions(scenes / "claims.jsonl")


@pytest.fixture(scope="module")
def data(questions, tmp_path_factory):
    out = tmp_path_factory.mktemp("data")
    build(questions, out, BuildConfig())
    return out


def test_claims_become_questions(questions):
    row = questions.table.to_pylist()[0]
    assert row["question"].startswith("Is the ")
    assert row["answer"] in ("yes", "no")
    assert len(json.loads(row["regions"])) == 2
    assert set(questions.dropped) <= {"not_labelled"}


def test_an_example_shows_its_level_and_states_what_it_stands_for(data, questions):
    examples = read_examples(data).to_pylist()
    assert len(examples) == 4 * len(questions)
    by_id = {row["question_id"]: row for row in questions.table.to_pylist()}
    for example in examples[:24]:
        row = by_id[example["example_id"].rpartition("@")[0]]
        shown = perturb(read_image(row["uri"]), json.loads(row["regions"]), example["level"])
        assert (read_image(data / example["picture"]) == shown).all()
        stated = linear(example["level"], yes_or_no=True)
        assert example["confidence"] == pytest.approx(stated)
        assert example["reply"] == f" {row['answer']}, {round(100 * stated)}%"


def test_the_rejected_reply_is_far_away_and_has_the_same_answer(data):
    for row in read_examples(data).to_pylist():
        answer, stated = row["reply"].split(", ")
        other, rejected = row["rejected"].split(", ")
        assert other == answer
        assert abs(int(stated[:-1]) - int(rejected[:-1])) >= 20  # 40 levels, of half a scale


def test_a_picture_that_is_shared_is_written_once(data):
    examples = read_examples(data)
    named = set(examples["picture"].to_pylist())
    assert {path.relative_to(data).as_posix() for path in data.rglob("*.png")} == named
    assert len(named) < examples.num_rows


def test_a_build_goes_on_and_ends_the_same(questions, tmp_path, data, monkeypatch):
    monkeypatch.setattr(building, "PART", 8)

    class Stopped(Exception):
        pass

    def stop(seen: int, done: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build(questions, tmp_path, BuildConfig(), progress=stop)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.p*g*")}
    found = build(questions, tmp_path, BuildConfig())
    assert 0 < found["new_questions"] < len(questions)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert read_examples(tmp_path).to_pylist() == read_examples(data).to_pylist()
    assert build(questions, tmp_path, BuildConfig())["new_questions"] == 0


def test_other_settings_or_questions_need_another_folder(questions, data, scenes):
    with pytest.raises(InputError, match="built with other scale"):
        build(questions, data, BuildConfig(scale="words"))
    rows = (scenes / "claims.jsonl").read_text().splitlines()[:5]
    (scenes / "fewer.jsonl").write_text("\n".join(rows))
    with pytest.raises(InputError, match="built with other questions"):
        build(read_questions(scenes / "fewer.jsonl"), data, BuildConfig())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"kind": "fog"}, "kind"),
        ({"scale": "stars"}, "scale"),
        ({"target": "mesured"}, 'did you mean "measured"'),
        ({"draws": 1}, "draws"),
        ({"draws": 12}, "draws"),
    ],
)
def test_settings_that_are_none_are_refused(setting, said):
    with pytest.raises(InputError, match=said):
        BuildConfig(**setting)


def test_measured_targets_need_figures(questions, tmp_path):
    with pytest.raises(InputError, match="--checkpoint"):
        build(questions, tmp_path, BuildConfig(target="measured"))
    flat = {"*": dict.fromkeys(LADDER, 0.6)}
    found = build(questions, tmp_path, BuildConfig(target="measured"), measured=flat)
    assert found["pairs"] == 0
    assert found["pairs_left_out"] == {"equal_replies": found["examples"]}


def test_what_was_measured_never_rises_with_noise():
    found = measure([0, 0, 20, 20, 60, 60], ["on"] * 6, [1, 0, 1, 1, 0, 0])
    values = list(found["*"].values())
    assert values == sorted(values, reverse=True)
    assert found["on"] == found["*"]
    assert confidence_at(60, "above", "measured-by-group", found, yes_or_no=True) == 0.5
    with pytest.raises(InputError, match="nothing was measured at level 30"):
        confidence_at(30, "on", "measured", found, yes_or_no=True)


def test_levels_are_shared_by_questions_about_the_same_objects():
    config = BuildConfig(draws=3)
    assert draw_levels("a", "[1]", config) == draw_levels("a", "[1]", config)
    assert draw_levels("a", "[1]", config)[0] == 0
    drawn = {tuple(draw_levels("a", str(place), config)) for place in range(20)}
    assert len(drawn) > 10


def rows_file(folder, *rows):
    path = folder / "questions.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


@pytest.fixture
def photo(tmp_path):
    write_png(np.zeros((20, 30, 3), dtype=np.uint8), tmp_path / "a.png")
    return {"image": "a.png", "question": "What is it?", "answer": "a cup", "objects": [1, 1, 9, 9]}


def test_questions_with_open_answers_use_the_open_scale(tmp_path, photo):
    found = read_questions(rows_file(tmp_path, photo))
    assert not found.yes_or_no
    with pytest.raises(InputError, match="percent-open"):
        build(found, tmp_path / "d", BuildConfig())
    build(found, tmp_path / "d", BuildConfig(scale="percent-open", draws=11))
    rows = read_examples(tmp_path / "d").to_pylist()
    assert [row["reply"] for row in rows] == [f" a cup, {100 - level}%" for level in LADDER]


def test_what_cannot_be_used_is_counted_by_reason(tmp_path, photo):
    (tmp_path / "b.png").write_bytes(b"no picture")
    found = read_questions(
        rows_file(
            tmp_path,
            photo,
            {**photo, "objects": [[[2, 2], [9, 3], [5, 9]], [1, 1, 5, 5]]},
            {**photo, "objects": []},
            {**photo, "objects": "[1, 2"},
            {**photo, "objects": [100, 100, 120, 120]},
            {**photo, "objects": [5, 5, 5, 9]},
            {**photo, "answer": ""},
            {**photo, "image": "nowhere.png"},
            {**photo, "image": "b.png"},
        )
    )
    assert len(found) == 2
    assert found.dropped == {
        "no_objects": 2, "region_outside": 2, "incomplete": 1, "image_missing": 1,
        "image_unreadable": 1,
    }  # fmt: skip


def test_files_that_cannot_be_used_are_refused_in_words(tmp_path, photo):
    with pytest.raises(ColumnError, match='column "objects" is missing'):
        read_questions(rows_file(tmp_path, {"image": "a", "question": "q", "answer": "a"}))
    with pytest.raises(InputError, match="no question can be used"):
        read_questions(rows_file(tmp_path, {**photo, "objects": [90, 90, 99, 99]}))
    with pytest.raises(InputError, match="give --images"):
        read_questions(rows_file(tmp_path, {**photo, "image": "x.png"}))
    with pytest.raises(FileError, match="is no folder"):
        read_questions(rows_file(tmp_path, photo), tmp_path / "none")
    with pytest.raises(FileError):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(FileError, match="csp build"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"settings": 3}')
    with pytest.raises(FileError, match="csp build"):
        read_manifest(tmp_path)
