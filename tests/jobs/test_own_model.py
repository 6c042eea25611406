"""A few hundred labelled rows weigh the VLM, calibrate, and say what they can guarantee."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from spatialtrust import TrustModel, verify
from spatialtrust.cli.commands import app
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.graph.formats import from_dict
from spatialtrust.jobs.labelling import repaired_graphs, write_labels
from spatialtrust.jobs.own_model import fit
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import execute, prepare
from tests.helpers.runs import copies, settings


def _rows(count: int, *, skill: float = 0.9, answers: bool = True) -> list[dict[str, Any]]:
    """Random pairs of boxes, labelled by their centres, and a VLM of some skill."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        first, second = rng.uniform(0.15, 0.85, (2, 2)), rng.uniform(0.1, 0.25, (2, 2))
        truth = bool(first[0, 1] < first[1, 1])
        row = {
            "image": f"{number // 2}.jpg",
            "subject": "cube",
            "relation": "above",
            "object": "ball",
            "subject_box": [*first[0], *second[0]],
            "object_box": [*first[1], *second[1]],
            "label": int(truth),
        }
        if answers:
            right = rng.random() < skill
            row["p_yes"] = float(rng.uniform(0.5, 1) if truth == right else rng.uniform(0, 0.5))
        rows.append(row)
    return rows


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_two_hundred_rows_make_a_skilled_vlm_count(tmp_path: Path) -> None:
    rows = _rows(240)
    model, report = fit(_written(tmp_path / "mine.jsonl", rows))
    assert report["rows"] == 240
    assert report["images"] == 120
    assert model.uses_answers
    assert model.calibrated_on == "mine.jsonl"
    assert set(report["guarantees"]) == {"0.8", "0.9", "0.95"}
    bare = {name: value for name, value in rows[0].items() if name != "label"}
    sure = verify([{**bare, "p_yes": p} for p in (0.02, 0.98)], model=model)
    p_true = sure.verdicts.numbers("p_true")
    assert p_true[1] > p_true[0]


def test_rows_without_answers_calibrate_the_boxes_alone(tmp_path: Path) -> None:
    model, _ = fit(_written(tmp_path / "c.jsonl", _rows(120, answers=False)))
    assert not model.uses_answers


def test_rows_meant_for_fitting_never_certify(tmp_path: Path) -> None:
    rows = [
        {**row, "purpose": "fit" if place % 4 < 2 else "certify"}
        for place, row in enumerate(_rows(200))
    ]
    model, _ = fit(_written(tmp_path / "c.jsonl", rows))
    assert model.certifying is not None
    assert model.certifying.label.size == 100


def test_all_random_rows_certify_the_base_as_it_is(tmp_path: Path) -> None:
    rows = [
        {**row, "purpose": "fit" if place % 20 < 2 else "certify"}
        for place, row in enumerate(_rows(200))
    ]
    path = _written(tmp_path / "c.jsonl", rows)
    model, report = fit(path, certify_only=True)
    assert report["certifying"] == 180
    assert report["notes"][-2].startswith("20 rows do not certify: they were not drawn at random")
    assert "answers carry no weight yet" in report["notes"][-1]
    before, after = (
        verify(path, model=of).verdicts.numbers("p_true") for of in ("vsr-boxes", model)
    )
    np.testing.assert_array_equal(before, after)
    assert str(model.rule(accuracy=0.8, delta=0.1)).startswith(("at most", "no threshold"))


def test_images_that_the_base_has_seen_are_said_and_never_certify(tmp_path: Path) -> None:
    rows = _rows(400)
    base, _ = fit(_written(tmp_path / "first.jsonl", rows[:200]))
    base.save(tmp_path / "base.json")
    path = _written(tmp_path / "both.jsonl", rows)
    _, report = fit(path, base=tmp_path / "base.json")
    assert any(note.startswith("200 rows are on images that") for note in report["notes"])
    _, report = fit(path, base=tmp_path / "base.json", certify_only=True)
    assert report["certifying"] == 200
    assert any("200 rows do not certify" in note for note in report["notes"])


def test_the_command_writes_a_model_that_verify_takes(tmp_path: Path) -> None:
    claims = _written(tmp_path / "c.jsonl", _rows(160))
    out = tmp_path / "robot.json"
    result = CliRunner().invoke(app, ["fit", str(claims), "--out", str(out), "--name", "my robot"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["calibrated_on"] == "my robot"
    assert TrustModel.load(out).calibrated_on == "my robot"
    verdicts = tmp_path / "v.parquet"
    options = ["verify", str(claims), "--model", str(out), "--out", str(verdicts)]
    assert CliRunner().invoke(app, [*options, "--accuracy", "0.8", "--delta", "0.1"]).exit_code == 0


def test_rows_that_cannot_fit_are_refused(tmp_path: Path) -> None:
    rows = [{**row, "label": None} for row in _rows(20)]
    with pytest.raises(InputError, match="no row has a label"):
        fit(_written(tmp_path / "c.jsonl", rows))
    with pytest.raises(InputError, match='purpose "test" is not known; valid: certify, fit'):
        fit(_written(tmp_path / "d.jsonl", [{**row, "purpose": "test"} for row in _rows(20)]))


def _run(folder: Path) -> Path:
    copies(folder / "images", 40)
    config = settings(folder / "images" / "boxes.json", formats=("json",), part_size=20)
    execute(prepare(config, folder / "run", [folder / "images"]))
    return folder / "run"


def _judge(run: Path, *, leave_out: int | None = None) -> None:
    text = (run / "labels.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    for place, row in enumerate(lines):
        row["label"] = "" if place == leave_out else "1"
    with (run / "labels.csv").open("w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def test_whole_labelled_images_certify_repaired_graphs(tmp_path: Path) -> None:
    run = _run(tmp_path)
    write_labels(run, images=30)
    _judge(run, leave_out=0)
    model, report = fit(run)
    assert report["images"] == 29
    assert report["notes"] == ["1 images do not certify: some of their edges have no label"]
    assert report["repaired_at"] == 0.8
    assert "of the edges of graphs repaired at 0.8" in report["guarantees"]["0.9"]
    assert "left of: threshold" in report["per_relation"]["0.8"]
    model.save(tmp_path / "mine.json")
    mine = TrustModel.load(tmp_path / "mine.json")
    with RunFolder(run) as folder:
        threshold, graphs = repaired_graphs(folder)
        texts = folder.whole("scenes")["graph"].to_pylist()
    assert threshold == 0.8
    repaired = from_dict(json.loads(texts[0]))
    safe = repaired.prune(accuracy=0.9, delta=0.1, model=mine)
    again = repaired.prune(0.95).repair().prune(accuracy=0.9, delta=0.1, model=mine)
    assert safe == again
    assert 0 < safe.kept.sum() <= graphs[0].kept.sum()
    options = {"model": str(tmp_path / "mine.json"), "accuracy": 0.9}
    boxes = tmp_path / "images" / "boxes.json"
    execute(prepare(settings(boxes, **options), run), ("decide", "link"))
    with RunFolder(run) as folder:
        linked = from_dict(json.loads(folder.whole("scenes")["graph"].to_pylist()[0]))
    assert linked.kept.tolist() == safe.kept.tolist()
    execute(prepare(settings(boxes, **options), run), ("fuse", "decide", "link"), remake=True)
    with RunFolder(run) as folder:
        judged_anew = from_dict(json.loads(folder.whole("scenes")["graph"].to_pylist()[0]))
    columns = ["claim_id", "p_true", "meaning"]  # what was certified is what the model says
    said = [str(g.candidates.select(columns).to_pylist()) for g in (linked, judged_anew)]
    assert said[0] == said[1]
    with pytest.raises(GuaranteeError, match="certified for repaired graphs"):
        execute(prepare(settings(boxes, repair=False, **options), run), ("decide", "link"))
    with pytest.raises(GuaranteeError, match="certified on repaired graphs"):
        verify(_rows(2), model=mine, accuracy=0.9, delta=0.1)


def test_no_image_with_all_its_labels_is_one_clear_error(tmp_path: Path) -> None:
    run = _run(tmp_path)
    write_labels(run, images=2)
    lines = (run / "labels.csv").read_text(encoding="utf-8").splitlines()
    judged = lines[1].replace(",,graph,", ",1,graph,")
    (run / "labels.csv").write_text("\n".join([lines[0], judged, *lines[2:]]), encoding="utf-8")
    with pytest.raises(InputError, match="no image has a label on each of its edges"):
        fit(run)


def test_graphs_are_certified_for_the_model_that_scored_them(tmp_path: Path) -> None:
    run = _run(tmp_path)
    write_labels(run, images=2)
    _judge(run)
    with pytest.raises(InputError, match="give --base vsr-boxes"):
        fit(run, base="tabletop-clip")
    text = (run / "labels.csv").read_text(encoding="utf-8")
    (run / "labels.csv").write_text(text.replace(",graph,", ",certify,", 1), encoding="utf-8")
    with pytest.raises(InputError, match="certify different things"):
        fit(run)
