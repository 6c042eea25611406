"""Claims with boxes in, verdicts out: nothing is lost, nothing is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from spatialtrust import verify
from spatialtrust.cli.commands import app
from spatialtrust.errors import InputError
from spatialtrust.evidence import from_answers
from spatialtrust.fusion.layers import Layers
from spatialtrust.reasons import encode
from spatialtrust.relations import NAMES

_TRUE = {
    "caption": "The bird is above the bench.",
    "subject_box": [0.5, 0.15, 0.1, 0.1],
    "object_box": [0.5, 0.8, 0.4, 0.2],
}
_FALSE = {**_TRUE, "caption": "The bird is below the bench."}


def _decisions(rows: list[dict[str, Any]], **options: Any) -> list[str | None]:
    return verify(rows, **options).verdicts.strings("decision")


def test_a_clear_claim_is_accepted_and_its_opposite_corrected() -> None:
    found = verify([_TRUE, _FALSE]).verdicts
    assert found.strings("decision") == ["accept", "correct"]
    assert found.strings("asserted") == ["yes", "yes"]
    assert found.strings("emitted") == ["yes", "no"]
    p_true, confidence = found.numbers("p_true"), found.numbers("confidence")
    np.testing.assert_allclose(confidence, [p_true[0], 1 - p_true[1]], rtol=1e-6)


def test_a_no_is_what_is_accepted_or_corrected() -> None:
    rows = [{**_TRUE, "answer": "no"}, {**_FALSE, "answer": "no"}, {**_TRUE, "answer": "perhaps"}]
    found = verify(rows).verdicts
    assert found.strings("asserted") == ["no", "no", None]
    assert found.strings("decision") == ["correct", "accept", "abstain"]
    assert found.strings("emitted") == ["yes", "no", None]
    assert np.isnan(found.numbers("confidence")[2])
    assert np.isfinite(found.numbers("p_true")[2])


def test_answers_weigh_nothing_until_fitted_and_that_is_said() -> None:
    rows = [{**_TRUE, "p_yes": 0.01}, {**_TRUE, "p_yes": 0.99}]
    found = verify(rows)
    p_true = found.verdicts.numbers("p_true")
    assert p_true[0] == p_true[1]
    assert any("spatialtrust fit" in note for note in found.notes)


def test_a_claim_without_a_box_abstains_with_its_reason() -> None:
    found = verify([{**_TRUE, "object_box": None}, _TRUE]).verdicts
    assert found.strings("decision") == ["abstain", "accept"]
    assert found.column("reasons").to_pylist()[0] == ["object_missing"]
    assert np.isnan(found.numbers("p_true")[0])


@pytest.mark.parametrize("relation", NAMES)
def test_every_relation_gets_a_probability(relation: str) -> None:
    row = {"subject": "mug", "relation": relation, "object": "table"}
    found = verify(
        [{**row, "subject_box": [0.4, 0.4, 0.1, 0.1], "object_box": [0.5, 0.6, 0.8, 0.4]}]
    )
    p_true = found.verdicts.numbers("p_true")[0]
    assert 0 < p_true < 1


def test_pixels_and_fractions_of_one_image_get_one_probability() -> None:
    fractions = verify([_TRUE]).verdicts.numbers("p_true")
    size = np.array([640, 480, 640, 480])
    pixels = {
        **_TRUE,
        "subject_box": (np.array(_TRUE["subject_box"]) * size).tolist(),
        "object_box": (np.array(_TRUE["object_box"]) * size).tolist(),
        "width": 640,
        "height": 480,
    }
    found = verify([pixels], box_format="cxcywh", box_unit="pixel").verdicts.numbers("p_true")
    np.testing.assert_allclose(found, fractions, rtol=1e-4)


def test_rows_keep_their_order_and_their_columns() -> None:
    rows = [
        {**_TRUE, "claim_id": "b", "robot": "r2", "confidence": 7},
        {**_FALSE, "claim_id": "a", "robot": "c3", "confidence": 8},
    ]
    found = verify(pa.Table.from_pylist(rows)).verdicts
    assert found.strings("claim_id") == ["b", "a"]
    assert found.strings("robot") == ["r2", "c3"]
    assert found.data["input_confidence"].to_pylist() == [7, 8]
    assert found.data["subject_box"].to_pylist()[0] == _TRUE["subject_box"]


def test_answers_are_listened_to_once_and_what_was_predicted_explains(monkeypatch) -> None:
    calls = {"heard": 0, "fused": 0}

    def heard(*arguments):
        calls["heard"] += 1
        return listen(*arguments)

    def fused(*arguments):
        calls["fused"] += 1
        return fuse(*arguments)

    listen, fuse = from_answers.listen, Layers.fuse
    monkeypatch.setattr(from_answers, "listen", heard)
    monkeypatch.setattr(Layers, "fuse", fused)
    found = verify([{**_TRUE, "answer": "yes", "p_yes": 0.7}], explain=True)
    assert found.verdicts.strings("explanation")[0].startswith("P(true)")
    assert calls == {"heard": 1, "fused": 1}


def test_equal_input_gives_equal_output() -> None:
    first, second = verify([_TRUE, _FALSE]), verify([_TRUE, _FALSE])
    assert first.verdicts.data.equals(second.verdicts.data)
    assert first.manifest == second.manifest


def test_a_certified_rule_states_its_guarantee_or_that_there_is_none() -> None:
    found = verify([_TRUE], accuracy=0.8, delta=0.1)
    assert found.rule.certified
    assert found.rule.alpha == pytest.approx(0.2)
    assert any("probability 90%" in note for note in found.notes)
    impossible = verify([_TRUE], accuracy=0.9999, delta=0.001)
    assert impossible.rule.threshold is None
    assert impossible.verdicts.strings("decision") == ["abstain"]
    assert "no_threshold" in impossible.verdicts.column("reasons").to_pylist()[0]


@pytest.mark.parametrize(("accuracy", "delta"), [(1.0, 0.1), (0.9, 0.0), (0.3, 1.5)])
def test_an_impossible_guarantee_is_refused(accuracy: float, delta: float) -> None:
    with pytest.raises(InputError, match="give a share between 0 and 1"):
        verify([_TRUE], accuracy=accuracy, delta=delta)


def _run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _claims(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_command_writes_verdicts_a_manifest_and_json(tmp_path: Path) -> None:
    claims = _claims(tmp_path / "c.jsonl", {**_TRUE, "label": 1}, {**_FALSE, "label": 0}, "junk")
    out = tmp_path / "v.parquet"
    result = _run("verify", claims, "--out", out, "--explain")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["claims"] == 3
    assert printed["decisions"] == {"accept": 1, "correct": 1, "abstain": 1}
    assert "c.jsonl:3: row is not JSON" in result.stderr
    table = pq.read_table(out)
    assert table.num_rows == 3
    assert "where the boxes lie" in table["explanation"][0].as_py()
    assert "could not be read" in table["explanation"][2].as_py()
    assert encode(table["reasons"])[2] > 0
    manifest = json.loads((tmp_path / "v.parquet.manifest.json").read_text())
    assert manifest["calibrated_on"]


def test_the_evaluation_command_reads_what_verify_wrote(tmp_path: Path) -> None:
    rows = [{**(_TRUE if row % 2 else _FALSE), "label": row % 2} for row in range(40)]
    out = tmp_path / "v.parquet"
    assert _run("verify", _claims(tmp_path / "c.jsonl", *rows), "--out", out).exit_code == 0
    result = _run("eval", out, "--resamples", "20")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["asserted"]["auroc"]["value"] == 1.0
    assert "verifier alone" in result.stderr


def test_a_truncated_archive_still_writes_its_good_rows(tmp_path: Path) -> None:
    import gzip

    rows = [{**_TRUE, "note": str(np.random.default_rng(i).random(9))} for i in range(400)]
    whole = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    claims = tmp_path / "c.jsonl.gz"
    claims.write_bytes(whole[:-4000])
    out = tmp_path / "v.parquet"
    result = _run("verify", claims, "--out", out)
    assert result.exit_code != 0
    assert "truncated" in str(result.exception)
    assert 0 < pq.read_table(out).num_rows < 400
