"""Files of verdicts are watched: each counts once, and only under the promise they were made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from spatialtrust.cli.commands import app
from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.errors import ColumnError, FileError, GuaranteeError, InputError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.results import read_results, write_results
from spatialtrust.jobs.monitoring import monitor


def call(*arguments: object, code: int = 0) -> dict:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def verdicts(
    folder: Path, name: str, *, images: int = 60, label: int | None = None, plain: bool = False
) -> Path:
    """Like the certification rows, as `verify` writes verdicts; a label for each claim or none."""
    model = TrustModel.load()
    rule = DecisionRule.plain(0.8) if plain else model.rule(accuracy=0.8, delta=0.1)
    rows = model.certifying
    chosen = np.random.default_rng(len(name)).choice(rows.image.size, images, replace=False)
    p_true, asserted = rows.p_true[chosen], rows.asserted[chosen]
    made = decide(p_true, asserted, rule)
    table = {
        "claim_id": [str(at) for at in range(images)],
        "image_id": [f"{name}-{at}.jpg" for at in range(images)],
        "asserted": ["yes"] * images,
        "p_true": p_true,
        "p_boxes": p_true,
        **made.to_arrow(),
        **({} if label is None else {"label": np.where(made.emitted == 1, label, 1 - label)}),
    }
    write_results(pa.table(table), folder / name)
    manifest = {"model": model.name, "model_sha256": model.sha256, "rule": rule.to_dict()}
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))
    return folder / name


def test_what_verify_writes_is_what_is_watched(tmp_path) -> None:
    claim = {"caption": "The bird is above the bench.", "subject_box": [0.5, 0.15, 0.1, 0.1],
             "object_box": [0.5, 0.8, 0.4, 0.2]}  # fmt: skip
    rows = [{**claim, "image": "a.jpg", "label": 1}, {**claim, "image": "b.jpg"}, {"caption": "?"}]
    (tmp_path / "claims.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "verdicts.csv"
    call("verify", tmp_path / "claims.jsonl", "--out", out, "--accuracy", 0.8, "--delta", 0.1)
    found = call("monitor", "vsr-boxes", out, "--state", tmp_path / "monitor.json")
    assert (found["images"], found["labelled"]) == (2, 1)
    assert found["files"][0]["unused"] == {"unknown": 1}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_stream_of_files_until_the_promise_falls(tmp_path, ending) -> None:
    state = tmp_path / "monitor.json"
    first = verdicts(tmp_path, f"monday.{ending}", images=10)
    found = call("monitor", "vsr-boxes", first, "--state", state)
    assert (found["withdrawn"], found["images"], found["labelled"]) == (False, 10, 0)
    wrong = verdicts(tmp_path, f"tuesday.{ending}", images=80, label=0)
    found = call("monitor", "vsr-boxes", wrong, "--state", state, code=3)
    assert found["images"] == 90
    assert found["risk"]["withdrawn_at"] is not None
    quiet = verdicts(tmp_path, f"wednesday.{ending}", images=5)
    assert call("monitor", "vsr-boxes", quiet, "--state", state, code=3)["images"] == 95


def test_one_call_and_three_are_the_same(tmp_path) -> None:
    files = [verdicts(tmp_path, f"{day}.csv", images=8, label=1) for day in ("a", "bb", "ccc")]
    once = monitor("vsr-boxes", files, state=tmp_path / "once.json")
    for file in files:
        last = monitor("vsr-boxes", [file], state=tmp_path / "each.json")
    assert last["alike"] == once["alike"]
    assert (tmp_path / "each.json").read_bytes() == (tmp_path / "once.json").read_bytes()


def test_labels_that_come_later_are_counted_once(tmp_path) -> None:
    state, file = tmp_path / "monitor.json", verdicts(tmp_path, "day.csv", images=10)
    monitor("vsr-boxes", [file], state=state)
    table = read_results(file)
    label = [None if word is None else word == "yes" for word in table["emitted"].to_pylist()]
    write_results(
        table.append_column(
            "label", pa.chunked_array([pa.array(label, pa.bool_()).cast(pa.int8())])
        ),
        file,
    )
    found = monitor("vsr-boxes", [file], state=state)
    assert (found["images"], found["labelled"]) == (10, len(label) - label.count(None))
    with pytest.raises(FileError, match="taken in before"):
        monitor("vsr-boxes", [file], state=state)


def test_what_is_refused_is_named_and_leaves_the_state_alone(tmp_path) -> None:
    state, file = tmp_path / "monitor.json", verdicts(tmp_path, "day.csv", images=5)
    other = verdicts(tmp_path, "plain.csv", images=5, plain=True)
    with pytest.raises(FileError, match="given twice"):
        monitor("vsr-boxes", [file, file], state=state)
    with pytest.raises(FileError, match="another rule"):
        monitor("vsr-boxes", [file, other], state=state)
    with pytest.raises(FileError, match="another model"):
        monitor("tabletop-blip2", [file], state=state)
    model = TrustModel.load()
    with pytest.raises(GuaranteeError, match="no certification rows"):
        monitor(replace(model, certifying=None), [file], state=state)
    (tmp_path / "bare.csv").write_bytes(file.read_bytes())
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match="no manifest"):
        monitor(model, [tmp_path / "bare.csv"], state=state)
    with pytest.raises(ColumnError, match="is missing"):
        monitor(model, [tmp_path / "odd.csv"], state=state)
    assert not state.exists()
    monitor(model, [file], state=state)
    with pytest.raises(InputError, match="was begun with"):
        monitor(model, [verdicts(tmp_path, "next.csv")], state=state, delta=0.3)
    state.write_text("{}")
    with pytest.raises(FileError, match="not the state"):
        monitor(model, [file], state=state)


def test_a_plain_rule_is_watched_for_likeness_only(tmp_path) -> None:
    file = verdicts(tmp_path, "plain.csv", images=5, label=0, plain=True)
    found = monitor("vsr-boxes", [file], state=tmp_path / "monitor.json")
    assert found["risk"] is None
    assert "nothing is guaranteed" in found["notes"][-1]
