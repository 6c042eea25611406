from __future__ import annotations

import csv
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
    assert second["share_kept"] < first["share_kept"]
    found = call("label", run, "--rows", "6", "--accuracy", "0.9")
    assert (found["certify"], found["fit"]) == (3, 3)
    assert [row["more_images"] for row in found["guarantees"]] == [22 - found["certifying_images"]]


def test_every_candidate_says_why_in_a_file(tmp_path, capsys) -> None:
    found = graph(tmp_path / "run", "--explain")["why"]
    with (tmp_path / "run/why.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(found.get(kind, 0) for kind in ("kept", "corrected", "left out", "cut"))
    assert all(row["sentence"] for row in rows)
    assert found["first"][0]["kind"] == "cut"
    assert call("decide", tmp_path / "run", "--min-confidence", "0.95", "--explain")["why"]["cut"]


def test_a_terminal_gets_tables_and_a_pipe_json(tmp_path, monkeypatch) -> None:
    claims = str(ROOT / "data" / "claims.jsonl")
    monkeypatch.setattr("spatialtrust.cli.output._is_terminal", lambda: True)
    runner = CliRunner()
    plain = runner.invoke(app, ["verify", claims, "--out", str(tmp_path / "v.parquet")])
    assert "decisions: accept" in plain.stdout
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(plain.stdout)
    for place in (0, 1, 4):
        words = ["verify", claims, "--out", str(tmp_path / "v.parquet")]
        words.insert(place, "--json")
        assert json.loads(runner.invoke(app, words).stdout)["claims"] == 399
    assert (
        "what was asserted"
        in runner.invoke(app, ["eval", str(tmp_path / "v.parquet"), "--resamples", "5"]).stdout
    )


def test_eval_draws_its_figures(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "v.parquet"
    call("verify", ROOT / "data" / "claims.jsonl", "--out", out)
    found = call("eval", out, "--resamples", "5", "--plot", tmp_path / "f.png")
    assert found["plot"] == str(tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileError, match=r"\.png, \.svg, \.pdf"):
        call("eval", out, "--plot", tmp_path / "f.txt")


def test_problems_of_rows_are_counted_by_kind(tmp_path) -> None:
    rows = [{"caption": "The mug is left of the pan.", "subject_box": [0.1, 0.1, 0.2, 0.2],
             "object_box": [0.5, 0.1, 0.2, 0.2], "label": f"maybe {n}"}
            for n in range(60)]  # fmt: skip
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["verify", str(tmp_path / "c.jsonl"), "--out", str(tmp_path / "v.parquet")]
    said = CliRunner().invoke(app, words).stderr
    assert "60 rows, label:" in said
    assert said.count("is not a label") == 1


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
    with pytest.raises(FileError, match="one per line"):
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


SAID = [("The kettle is left of the bowl.", "breakfast.jpg", "No."),
        ("The lamp is left of the book.", "reading.jpg", "Yes, it is."),
        ("The book is right of the lamp.", "reading.jpg", "Not sure")]  # fmt: skip


def write_said(path: Path, said: list[tuple[str, str, str | None]] = SAID) -> Path:
    rows = [{"caption": text, "image": image, "answer": answer} for text, image, answer in said]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def talk(out: Path, *more: object, asker: str = "none") -> str:
    """What graph says on stderr."""
    arguments = ["graph", SCENES, "--detections", BOXES, "--asker", asker, "--out", out,
                 "--no-overlays", *more]  # fmt: skip
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def asserted(run: Path) -> list[str | None]:
    rows = read_table(run / "verdicts").sort_by("claim_id").to_pylist()
    return [row["asserted"] for row in rows]


def test_answers_in_the_file_of_claims_are_the_answers_of_the_run(tmp_path) -> None:
    own, run = write_said(tmp_path / "own.jsonl"), tmp_path / "run"
    said = talk(run, "--claims", own)
    assert "recorded:own.jsonl: the answers in the file (3) are used" in said
    assert '1 of 3 answers are neither yes nor no (first: row 3 "Not sure")' in said
    assert asserted(run) == ["no", "yes", None]
    assert set(read_table(run / "answers")["model"].to_pylist()) == {"recorded:own.jsonl"}
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["tables"]["answers"]["made_with"]["asker"] == "recorded:own.jsonl"
    write_said(own, [(*SAID[0][:2], "Yes."), *SAID[1:]])
    found = graph(run, "--claims", own)
    assert found["answers"] == {"unparsed": 1, "yes": 2}
    assert asserted(run) == ["yes", "yes", None]
    with pytest.raises(InputError, match="the --claims that they came with"):
        graph(run)
    call("fuse", run)
    call("decide", run, "--min-confidence", "0.9")
    assert asserted(run) == ["yes", "yes", None]


def test_the_steps_take_the_answers_as_the_whole_does(tmp_path) -> None:
    own = write_said(tmp_path / "own.jsonl")
    graph(tmp_path / "whole", "--claims", own)
    run = tmp_path / "steps"
    call("detect", SCENES, "--detections", BOXES, "--claims", own, "--out", run)
    call("claims", run, "--claims", own)
    for step in ("gather", "fuse", "decide", "link"):
        call(step, run)
    names = ("claims", "answers", "evidence", "scores", "verdicts")
    assert same(tables(run, names), tables(tmp_path / "whole", names))


def test_who_answers_is_said(tmp_path) -> None:
    own = write_said(tmp_path / "own.jsonl")
    asked = talk(tmp_path / "asked", "--claims", own, asker=f"recorded:{own}")
    assert "the answers in the file (3) are not used: recorded:" in asked
    assert asserted(tmp_path / "asked") == ["no", "yes", None]
    assert "by boxes alone" in talk(tmp_path / "pairs")
    silent = write_said(tmp_path / "silent.jsonl", [(*row[:2], None) for row in SAID])
    assert "by boxes alone" in talk(tmp_path / "silent", "--claims", silent)
    assert asserted(tmp_path / "silent") == ["yes"] * 3


def test_labels_and_fit_hear_the_answers_in_the_file_of_claims(tmp_path) -> None:
    from spatialtrust.jobs.labelling import read_labels

    run = tmp_path / "run"
    graph(run, "--claims", write_said(tmp_path / "own.jsonl"))
    call("label", run, "--rows", "3")
    path = run / "labels.csv"
    lines = path.read_text().splitlines()
    filled = [line.replace(",,certify,", ",1,certify,").replace(",,fit,", ",1,fit,")
              for line in lines]  # fmt: skip
    path.write_text("\n".join(filled))
    labels = read_labels(run)
    assert labels.answers is not None
    assert set(labels.answers.strings("model")) == {"recorded:own.jsonl"}
