"""The paper's table: made in a dry run that says it is one, and ready for VSR's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spatialtrust.errors import BackendError

pytest.importorskip("torch")
vsr_live = pytest.importorskip("benchmarks.vsr_live", reason="runs from a checkout")

ASKERS = ("tabletop:blip2", "tabletop:clip")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("vsr")
    given = ["--dry-run", "--scenes", "44", "--repeats", "2", "--folds", "2", "--resamples", "10",
             "--signals", "answer", "paraphrases", "--out", str(out)]  # fmt: skip
    return out, vsr_live.main(given)


def test_a_dry_run_says_loudly_that_it_is_one(table) -> None:
    out, found = table
    text = (out / "vsr_live.md").read_text()
    assert text.startswith("**DRY RUN: rendered scenes and tiny models.")
    assert found["dry_run"] is True
    assert json.loads((out / "vsr_live.json").read_text())["dry_run"] is True


@pytest.mark.parametrize("asker", ASKERS)
def test_every_published_figure_has_ours_beside_it(table, asker: str) -> None:
    out, found = table
    ours = found["askers"][asker]
    paper = vsr_live.PUBLISHED["clip" if "clip" in asker else "blip2"]
    assert set(paper.auroc) | set(paper.coverage_at_60) <= set(ours["split"]["ways"])
    assert set(paper.importances) <= set(ours["importances"])
    assert sum(ours["importances"].values()) == pytest.approx(1.0)
    crossed = ours["cross_validated"]["ways"]
    assert crossed["trust model"]["auroc"]["value"] > crossed["base method"]["auroc"]["value"] > 0.6
    assert ours["split"]["fitted_on"] / ours["split"]["judged_on"] == pytest.approx(
        705 / 312, rel=0.02
    )
    assert all(ms > 0 for ms in ours["ms_per_image"].values())
    section = (out / "vsr_live.md").read_text().split(f"## {asker}")[1]
    assert f"published {paper.accuracy:.2f}" in section
    for value in paper.auroc.values():
        assert f"| {value:.3f} |" in section


def test_vsrs_own_files_are_read_without_what_leaks_and_lost_pictures_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "coco" / "train2017"
    pictures.mkdir(parents=True)
    (pictures / "000000000001.jpg").write_bytes(b"not decoded here")
    rows = [
        ("000000000001.jpg", "The cat is left of the dog.", "left of", 1),
        ("000000000001.jpg", "The cat is facing the dog.", "facing", 0),
        ("000000000002.jpg", "The cat is near the dog.", "near", 0),
    ]
    for name in ("train", "test"):
        lines = [
            json.dumps({"image": image, "image_link": "http://x", "caption": caption,
                        "label": label, "relation": relation, "annotator_id": 7,
                        "vote_true_validator_id": [1], "vote_false_validator_id": []})
            for image, caption, relation, label in rows
        ]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    files = [tmp_path / "train.jsonl", tmp_path / "test.jsonl"]
    claims, found = vsr_live.real(files, tmp_path / "coco", [*vsr_live.RELATIONS])
    assert [path.name for path in found] == ["000000000001.jpg"]
    assert claims.strings("claim_id") == ["0000000", "0000001"]
    assert set(claims.strings("relation")) == {"left of"}
    assert claims.numbers("label").tolist() == [1, 1]
    assert "1 of 2 pictures are missing" in capsys.readouterr().err
    claims, _ = vsr_live.real(files, tmp_path / "coco", ["all"])
    assert len(claims) == 4
    with pytest.raises(SystemExit, match="no picture"):
        vsr_live.real(files, tmp_path / "nothing", ["all"])


def test_a_model_that_is_not_here_is_said_before_anything_runs(tmp_path: Path) -> None:
    given = ["--dry-run", "--scenes", "8", "--out", str(tmp_path)]
    with pytest.raises(BackendError, match="spatialtrust backends fetch clip:no/such"):
        vsr_live.main([*given, "--askers", "tabletop:clip", "clip:no/such"])
    assert not (tmp_path / "boxes").exists()


def test_without_data_the_command_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        vsr_live.main([])
    assert "--dry-run" in capsys.readouterr().err
