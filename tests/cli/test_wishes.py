"""What was asked for is what is done, or it is said that it is not."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from spatialtrust.cli.commands import app
from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.errors import FileError, GuaranteeError, InputError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.parquet import read_table
from spatialtrust.io.results import read_results
from spatialtrust.relations import NAMES
from spatialtrust.run.plan import settings_of
from tests.cli.test_graph import BOXES, call
from tests.conftest import ROOT
from tests.helpers.runs import SCENES

SCENE = ROOT / "data" / "tabletop" / "clean-00000012.png"


def graph(out: Path, *more: object) -> dict:
    return call("graph", SCENES, "--detections", BOXES, "--out", out, *more)


def files(run: Path) -> list[str]:
    return sorted(
        str(file.relative_to(run))
        for folder in ("graphs", "overlays")
        for file in (run / folder).rglob("*.*")
    )


def test_without_a_detector_the_choices_are_named(tmp_path) -> None:
    for command in ("graph", "detect"):
        with pytest.raises(InputError, match=r"--detections FILE .* or --detector, such as"):
            call(command, SCENES, "--objects", "mug", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_deciding_links_again_what_was_linked(tmp_path, caplog) -> None:
    graph(tmp_path / "run")
    found = call("decide", tmp_path / "run", "--min-confidence", "0.95")
    assert "rebuilt graphs/" in caplog.text
    fresh = graph(tmp_path / "fresh", "--min-confidence", "0.95")
    assert found["edges"] == fresh["edges"]
    assert files(tmp_path / "run") == files(tmp_path / "fresh") != []
    _, differ, missing = filecmp.cmpfiles(
        tmp_path / "run", tmp_path / "fresh", files(tmp_path / "fresh"), shallow=False
    )
    assert (differ, missing) == ([], [])
    caplog.clear()
    call("decide", tmp_path / "run", "--min-confidence", "0.95")
    assert "rebuilt graphs/" not in caplog.text


def test_deciding_before_anything_was_linked_links_nothing(tmp_path) -> None:
    run = tmp_path / "run"
    call("detect", SCENES, "--detections", BOXES, "--out", run)
    for step in ("claims", "gather", "fuse", "decide"):
        call(step, run)
    assert files(run) == []


def test_files_of_earlier_verdicts_are_dropped_and_named(tmp_path, caplog) -> None:
    run = tmp_path / "run"
    graph(run, "--formats", "json", "--no-overlays")
    found = call("fuse", run, "--model", "tabletop-clip")
    assert found["dropped"] == ["graphs/*.json"]
    assert "dropped graphs/*.json, which showed earlier verdicts" in caplog.text
    assert files(run) == []
    assert "dropped" not in call("decide", run)
    assert "dropped" not in call("link", run)
    found = call("decide", run, "--min-confidence", "0.95", "--config", _toml(tmp_path))
    assert found["dropped"] == ["graphs/*.json"]
    assert files(run)
    assert all(name.endswith(".dot") for name in files(run))


def _toml(folder: Path) -> Path:
    (folder / "dot.toml").write_text("formats = ['dot']")
    return folder / "dot.toml"


def test_a_certified_decision_that_repair_forbids_drops_graphs_and_says_so(tmp_path) -> None:
    run = tmp_path / "run"
    (tmp_path / "claims.jsonl").write_text(
        '{"caption": "The kettle is left of the bowl.", "image": "breakfast.jpg"}\n'
    )
    graph(run, "--claims", tmp_path / "claims.jsonl", "--formats", "json", "--no-overlays")
    assert call("decide", run, "--accuracy", "0.8")["dropped"] == ["graphs/*.json"]
    assert "dropped" not in call("link", run, "--no-repair")
    found = call("decide", run, "--min-confidence", "0.9")
    assert found["decided_by"].startswith("plain confidence threshold 0.9")
    assert settings_of(run)["accuracy"] == 0
    found = call("decide", run, "--accuracy", "0.8")
    assert found["decided_by"].startswith("approximately, at most 20.0% wrong")


def test_a_threshold_on_the_command_line_wins_over_the_file(tmp_path) -> None:
    (tmp_path / "run.toml").write_text("accuracy = 0.99\n")
    settings = ("--config", tmp_path / "run.toml", "--no-overlays")
    found = graph(tmp_path / "run", *settings, "--min-confidence", "0.9")
    assert found["decided_by"].startswith("plain confidence threshold 0.9")
    (tmp_path / "run.toml").write_text("min_confidence = 0.9\n")
    with pytest.raises(GuaranteeError, match="certified"):
        graph(tmp_path / "other", *settings, "--accuracy", "0.9")


@pytest.mark.parametrize("command", ["graph", "decide", "verify"])
def test_two_thresholds_at_once_are_an_error(tmp_path, command: str) -> None:
    given = [tmp_path] if command == "decide" else [SCENES, "--out", tmp_path / "run.parquet"]
    given = [*given, "--min-confidence", "0.8", "--accuracy", "0.9"]
    with pytest.raises(InputError, match=r"min_confidence .* and accuracy"):
        call(command, *given)


def test_a_probability_without_a_certified_threshold_is_an_error(tmp_path) -> None:
    with pytest.raises(InputError, match="give --accuracy too"):
        call("decide", tmp_path, "--delta", "0.05")


def test_a_file_of_few_settings_keeps_those_of_the_run(tmp_path) -> None:
    graph(tmp_path / "run", "--no-overlays")
    call("decide", tmp_path / "run", "--config", _toml(tmp_path))
    assert settings_of(tmp_path / "run")["detector"] == f"recorded:{BOXES}"
    assert not (tmp_path / "run/overlays").exists()


def test_a_prompt_with_full_stops_finds_what_commas_find(tmp_path, caplog) -> None:
    (tmp_path / "words.txt").write_text("turquoise pyramid. yellow mug. green cone.\n")
    ways = {
        "commas": ("--objects", "turquoise pyramid, yellow mug, green cone"),
        "stops": ("--objects", "turquoise pyramid. yellow mug. green cone."),
        "lines": ("--vocabulary", tmp_path / "words.txt"),
    }
    tables = {}
    for name, way in ways.items():
        caplog.clear()
        call("detect", SCENE, "--detector", "tabletop", *way, "--out", tmp_path / name)
        tables[name] = read_table(tmp_path / name / "detections")
        assert ("is read as 3 phrases" in caplog.text) == (name != "commas")
    assert tables["stops"].equals(tables["commas"])
    assert tables["lines"].equals(tables["commas"])
    assert "yellow mug" in tables["stops"]["phrase"].to_pylist()


def test_written_settings_leave_the_detector_to_be_named() -> None:
    written = CliRunner().invoke(app, ["graph", "--write-config"]).stdout
    assert 'detector = ""' in written
    assert "Empty: none; --detector or --detections is then required." in written


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".jsonl", ".jsonl.gz"])
def test_verdicts_are_what_their_ending_says_and_eval_reads_them(tmp_path, ending: str) -> None:
    few = (ROOT / "data" / "claims.jsonl").read_text().splitlines()[:40]
    (tmp_path / "claims.jsonl").write_text("\n".join(few))
    wanted, found = tmp_path / "v.parquet", tmp_path / f"v{ending}"
    for out in (wanted, found):
        call("verify", tmp_path / "claims.jsonl", "--out", out, "--explain")
    with pytest.raises(Exception, match="not"):
        pq.read_table(found)
    assert call("eval", found, "--resamples", "20") == call("eval", wanted, "--resamples", "20")
    for column in ("claim_id", "decision", "emitted", "reasons", "caption", "explanation"):
        assert read_results(found)[column].to_pylist() == read_table(wanted)[column].to_pylist()


def test_an_ending_that_says_nothing_is_an_error_before_anything_runs(tmp_path) -> None:
    wrong = [
        (["verify", tmp_path / "none.jsonl", "--out", tmp_path / "v.xlsx"], r"\.parquet, \.csv"),
        (["verify", tmp_path / "none.jsonl", "--out", tmp_path / "v"], r"\.parquet, \.csv"),
        (["fit", tmp_path / "none.jsonl", "--out", tmp_path / "m.csv"], r"valid: \.json"),
        (["label", tmp_path / "none", "--out", tmp_path / "l.parquet"], r"valid: \.csv"),
    ]
    for arguments, valid in wrong:
        with pytest.raises(FileError, match=valid):
            call(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_a_folder_and_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match="a run is a folder, such as g/"):
        graph(tmp_path / "g.json")
    assert list(tmp_path.iterdir()) == []


def test_a_threshold_per_relation_is_certified_or_refused_by_name(tmp_path, caplog) -> None:
    run = tmp_path / "run"
    graph(run, "--no-overlays")
    with pytest.raises(GuaranteeError, match="pairs enumerated"):
        call("decide", run, "--precision", "0.9")
    with pytest.raises(InputError, match=r"accuracy .* and precision"):
        call("decide", run, "--precision", "0.9", "--accuracy", "0.9")
    model = _certified_for_pairs(tmp_path / "model.json")
    found = call("decide", run, "--precision", "0.9", "--model", model)
    assert "left of: threshold" in found["decided_by"]
    assert "above: too few labels (0 images of at least" in found["decided_by"]
    linked = call("link", run, "--no-repair")
    kept = {row["relation"] for row in _edges(run) if row["emitted"] == "yes"}
    assert linked["edges"] > 0
    assert kept == {"left of"}
    call("decide", run, "--min-confidence", "0.9")
    assert "the precision of 0.9 set earlier is dropped" in caplog.text
    assert settings_of(run)["precision"] == 0


def _certified_for_pairs(path: Path) -> Path:
    """The shipped model with made-up rows that support `left of` and nothing else."""
    count = 200
    certifying = CertifyingRows(
        np.arange(count, dtype=np.int32),
        np.ones(count, np.int8),
        np.linspace(0.5, 1, count, dtype=np.float32),
        np.ones(count, np.int8),
        0.0,
        np.full(count, NAMES.index("left of"), np.int16),
    )
    replace(TrustModel.load(), certifying=certifying, for_pairs=True).save(path)
    return path


def _edges(run: Path) -> list[dict]:
    return read_table(run / "verdicts").to_pylist()
