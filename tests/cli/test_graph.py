from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spatialtrust.cli.commands import app
from spatialtrust.errors import FileError, InputError
from spatialtrust.io.parquet import read_table
from spatialtrust.run.config import RunConfig
from tests.conftest import ROOT
from tests.helpers.runs import SCENES, same, tables

PIPELINES = ROOT / "pipelines"
BOXES = str(SCENES / "boxes.json")


def call(*arguments: object) -> dict:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def graph(out: Path, *more: object) -> dict:
    return call("graph", SCENES, "--detections", BOXES, "--asker", "none", "--out", out,
                "--no-overlays", *more)  # fmt: skip


def test_graph_then_another_threshold_then_labels(tmp_path) -> None:
    run = tmp_path / "run"
    first = graph(run)
    assert (first["graphs"], first["rows"]["images"]) == (4, 4)
    call("decide", run, "--min-confidence", "0.95")
    second = call("link", run)
    assert second["edges"] < first["edges"]
    assert call("label", run, "--rows", "6") == {
        "out": str(run / "labels.csv"), "certify": 3, "fit": 3
    }  # fmt: skip


def test_pairs_relations_and_a_vocabulary_narrow_the_claims(tmp_path) -> None:
    (tmp_path / "words.txt").write_text("kettle\n\nmug\n")
    graph(tmp_path / "run", "--vocabulary", tmp_path / "words.txt", "--pairs", "mug:kettle",
          "--relations", "to the left of", "--formats", "")  # fmt: skip
    rows = read_table(tmp_path / "run/claims").to_pylist()
    said = {(row["subject"], row["relation"], row["object"]) for row in rows}
    assert said == {("mug", "right of", "kettle"), ("mug", "left of", "kettle")}
    assert not (tmp_path / "run/graphs").exists()


def test_claims_without_boxes_are_judged_on_the_boxes_of_the_images(tmp_path) -> None:
    said = [("The kettle is left of the bowl.", "breakfast.jpg", 1),
            ("The lamp is left of the book.", "reading.jpg", 0)]  # fmt: skip
    rows = [{"caption": text, "image": image, "label": label} for text, image, label in said]
    (tmp_path / "claims.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    graph(tmp_path / "run", "--claims", tmp_path / "claims.jsonl")
    verdicts = read_table(tmp_path / "run/verdicts").sort_by("claim_id").to_pylist()
    assert [row["emitted"] for row in verdicts] == ["yes", "no"]
    assert [row["label"] for row in verdicts] == [1, 0]


def test_the_written_settings_are_the_settings(tmp_path) -> None:
    result = CliRunner().invoke(app, ["graph", "--max-objects", "9", "--write-config"])
    (tmp_path / "run.toml").write_text(result.stdout)
    assert RunConfig.load(tmp_path / "run.toml") == RunConfig(max_objects=9)


def test_wrong_use_says_what_is_right(tmp_path) -> None:
    runner = CliRunner()
    for arguments in (["graph"], ["detect", str(SCENES)],
                      ["graph", "x", "--detections", "a", "--detector", "b"]):  # fmt: skip
        assert runner.invoke(app, arguments).exit_code == 2
    with pytest.raises(FileError, match="cannot be read"):
        graph(tmp_path / "run", "--vocabulary", tmp_path / "none.txt")
    with pytest.raises(InputError, match="valid: 0"):
        graph(tmp_path / "run", "--min-confidence", "0.1")


def test_the_seven_scripts_do_what_the_command_does(tmp_path, monkeypatch, capsys) -> None:
    graph(tmp_path / "whole", "--part-size", "2")
    config = RunConfig(detector=f"recorded:{BOXES}", overlays=False, part_size=2)
    (tmp_path / "run.toml").write_text(config.to_toml())
    scripts = sorted(PIPELINES.glob("0?_*.py"))
    assert len(scripts) == 7
    for script in scripts:
        assert len(script.read_text().splitlines()) <= 40
        if script.stem == "03_ask":
            continue
        images = [str(SCENES)] if script.stem == "01_detect" else []
        arguments = [str(tmp_path / "steps"), *images, "--config", str(tmp_path / "run.toml")]
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        runpy.run_path(str(script), run_name="__main__")
    assert json.loads(capsys.readouterr().out.split("\n}\n")[-2] + "}")["graphs"] == 4
    assert same(tables(tmp_path / "steps"), tables(tmp_path / "whole"))


def test_a_step_too_early_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr(sys, "argv", ["04_gather.py", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(PIPELINES / "04_gather.py"), run_name="__main__")
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "has no table" in said
    assert said.count("\n") == 1
