from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spatialtrust.decision.certification import Grid, certify
from spatialtrust.decision.certifying_rows import image_hashes
from spatialtrust.errors import ColumnError, FileError, InputError, RowError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.io.images import read_header
from spatialtrust.io.parquet import read_table
from spatialtrust.jobs.label_sheet import COLUMNS
from spatialtrust.jobs.labelling import choose, prospects, read_labels, write_labels
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Claims
from tests.helpers.runs import copies, settings


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    images, boxes = copies(folder / "photos", 8)
    execute(prepare(settings(boxes), folder / "run", [images]))
    return folder / "run"


def claims(images: int, each: int) -> Claims:
    return Claims.from_rows(
        {"claim_id": f"{i:03d}#{n:03d}", "image_id": f"{i:03d}", "subject": "a",
         "relation": "left of", "object": "b"}
        for i in range(images) for n in range(each)
    )  # fmt: skip


def judge(source: Path, target: Path, words: list[str]) -> None:
    with source.open() as stream:
        rows = list(csv.DictReader(stream))
    for row, word in zip(rows, words, strict=False):
        row["label"] = word
    with target.open("w") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def test_halves_share_no_image_and_fill_what_was_asked_for() -> None:
    table = claims(40, 30)
    p = np.random.default_rng(1).random(len(table), dtype=np.float32)
    certify, fit = choose(table, p, 200)
    image = np.array(table.strings("image_id"))
    assert (len(certify), len(fit)) == (100, 100)
    assert not set(image[certify]) & set(image[fit])
    assert not set(certify) & set(fit)


def test_all_rows_may_be_drawn_at_random() -> None:
    claims = Claims.from_rows(
        {"claim_id": f"{row:04d}", "image_id": str(row % 7)} for row in range(300)
    )
    certify, fit = choose(claims, np.zeros(300, np.float32), 200, certify_only=True)
    assert (len(np.unique(certify)), len(fit)) == (200, 0)
    assert 130 < certify.mean() < 170


def test_rows_that_certify_are_drawn_without_looking_at_the_score() -> None:
    table = claims(40, 30)
    p = np.random.default_rng(1).random(len(table), dtype=np.float32)
    assert np.array_equal(choose(table, p)[0], choose(table, np.sort(p))[0])
    drawn = np.zeros(len(table))
    for seed in range(400):
        drawn[choose(table, p, 200, seed)[0]] += 1
    # Each of 1,200 claims is expected 400 / 12 times; five standard deviations.
    assert np.abs(drawn - 400 / 12).max() < 5 * np.sqrt(400 / 12)


def test_rows_that_fit_are_the_least_sure_and_spread_over_images() -> None:
    table = claims(4, 30)
    p = np.linspace(0, 1, len(table), dtype=np.float32)
    _, fit = choose(table, p, 40)
    image = np.array(table.strings("image_id"))
    counts = np.unique(image[fit], return_counts=True)[1]
    assert counts.tolist() == [10, 10]
    for name in set(image[fit]):
        others = np.setdiff1d(np.flatnonzero(image == name), fit)
        chosen = np.intersect1d(np.flatnonzero(image == name), fit)
        assert np.abs(p[chosen] - 0.5).max() <= np.abs(p[others] - 0.5).min() + 1e-6


def test_one_image_is_not_enough() -> None:
    with pytest.raises(InputError, match="two or more images"):
        choose(claims(1, 5), np.zeros(5, np.float32))


def test_labels_come_back_with_the_evidence_of_their_claims(finished, tmp_path) -> None:
    found = write_labels(finished, tmp_path / "labels.csv", rows=20)
    assert (found["certify"], found["fit"]) == (10, 10)
    with (tmp_path / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all("p_true" not in row and row["label"] == "" for row in rows)
    assert all(read_header(finished / row["picture"]).status == "ok" for row in rows)
    judge(tmp_path / "labels.csv", tmp_path / "judged.csv", ["1", "0", "", "yes", "No"])
    labelled = read_labels(finished, tmp_path / "judged.csv")
    expected = [row["claim_id"] for row in rows[:2] + rows[3:5]]
    assert labelled.claims.strings("claim_id") == expected
    assert labelled.evidence.strings("claim_id") == expected
    assert labelled.claims.column("label").to_pylist() == [1, 0, 1, 0]
    assert labelled.purpose == ("certify",) * 4
    assert labelled.answers is None


def test_labels_that_exist_are_not_overwritten(finished, tmp_path) -> None:
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(FileError, match="may hold labels"):
        write_labels(finished, tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("claim_id,label\nx,1\n", ColumnError, '"purpose" is missing'),
        ("claim_id,label,purpose\nx,maybe,fit\n", RowError, r"labels\.csv:2: label"),
        ("claim_id,label,purpose\nx,1,test\n", RowError, "valid: certify, fit"),
        ("claim_id,label,purpose\nx,1,fit\n", RowError, "is not a claim"),
        ("claim_id,label,purpose\nx,,fit\n", FileError, "has no label yet"),
        ("claim_id,label,purpose\nx,1,fit\nx,0,fit\n", RowError, r":3: claim_id stands in line 2"),
        ("claim_id,label,purpose\nx,1\n", RowError, r":2: row has 2 cells, the header has 3"),
        ("claim_id,claim_id,label,purpose\n", FileError, "two columns"),
    ],
)
def test_wrong_label_files_say_where(finished, tmp_path, text, error, message) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(error, match=message):
        read_labels(finished, tmp_path / "labels.csv")


def test_a_sheet_that_a_spreadsheet_saved_its_own_way_is_read(finished, tmp_path) -> None:
    write_labels(finished, tmp_path / "labels.csv", rows=12)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "labels.csv").read_text("utf-8"))))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({**row, "label": "1", "caption": "caf\u00e9"} for row in rows)
    (tmp_path / "saved.csv").write_bytes(text.getvalue().encode("cp1252"))
    assert len(read_labels(finished, tmp_path / "saved.csv").purpose) == 12


def test_a_run_without_labels_says_how_to_get_them(finished) -> None:
    with pytest.raises(FileError, match="spatialtrust label RUN"):
        read_labels(finished)


@pytest.mark.parametrize("images", [1, 7, 24, 200])
@pytest.mark.parametrize("delta", [0.05, 0.1])
def test_what_is_told_before_the_work_is_what_certifying_finds_after_it(images, delta) -> None:
    told = prospects(images, [0.8, 0.9], delta)
    groups = np.arange(images)
    for guarantee in told["guarantees"]:
        alpha = 1 - guarantee["accuracy"]
        most = guarantee["mistakes"]
        for wrong in (0, *(() if most is None else (most, most + 1))):
            right = np.arange(images) >= wrong
            rule = certify(
                np.full(images, 0.9), right, alpha=alpha, delta=delta, grid=Grid((0.5,)),
                calibrated_on="x", unit="image", groups=groups,
            )  # fmt: skip
            assert (rule.threshold is not None) == (most is not None and wrong <= most)
        assert (guarantee["more_images"] == 0) == (most is not None)
    best = certify(
        np.full(images, 0.9), np.ones(images, bool), alpha=1 - told["best_accuracy"] + 1e-4,
        delta=delta, grid=Grid((0.5,)), calibrated_on="x", unit="image", groups=groups,
    )  # fmt: skip
    assert best.threshold is not None


def test_images_that_the_model_was_fitted_on_do_not_certify(
    finished, tmp_path, monkeypatch
) -> None:
    claims = read_table(finished / "claims")
    names = sorted(set(claims["image_id"].to_pylist()))
    model = TrustModel.load()
    known = replace(model, images=frozenset(image_hashes(names[:3])))
    monkeypatch.setattr(
        "spatialtrust.jobs.labelling.TrustModel", SimpleNamespace(load=lambda _: known)
    )
    found = write_labels(finished, tmp_path / "l.csv", rows=400, certify_only=True)
    assert found["images_to_judge"] == found["certifying_images"] == len(names) - 3
    assert any(note.startswith("3 images are left out") for note in found["notes"])
    with (tmp_path / "l.csv").open() as stream:
        assert not {row["image"] for row in csv.DictReader(stream)} & set(names[:3])


def test_the_truth_about_the_labels_is_told(finished, tmp_path) -> None:
    found = write_labels(finished, tmp_path / "l.csv", rows=20, accuracies=(0.9,), delta=0.1)
    (row,) = found["guarantees"]
    assert (row["mistakes"], row["images_needed"]) == (None, 22)
    assert row["more_images"] == 22 - found["certifying_images"]
    assert "out of reach" in " ".join(found["notes"])
    assert any("--certify-only" in note for note in found["notes"])
    with pytest.raises(InputError, match="accuracy is 90"):
        write_labels(finished, tmp_path / "m.csv", accuracies=(90,))
