"""``spatialtrust classify`` with arrays: a table in one command, or one clear line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from spatialtrust.classify import CATALOGUE, METHODS, Splits, compare
from spatialtrust.classify.own_arrays import splits_from_arrays
from spatialtrust.cli.classify import app
from spatialtrust.errors import FileError, InputError

if TYPE_CHECKING:
    from pathlib import Path

METHOD_OPTIONS = ("--method", "mcm", "--method", "lda-probe", "--method", "trustvlm")
FEW = (*METHOD_OPTIONS, "--resamples", "20")


def world(rows: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(np.random.default_rng(5).normal(size=(12, 12)))[0][:6]
    labels = rng.integers(0, 6, rows)
    shown = np.where((labels % 3 == 2) & (rng.random(rows) < 0.5), labels - 1, labels)
    images = centres[shown] + 0.3 * rng.normal(size=(rows, 12))
    captions = centres[labels] + 0.2 * rng.normal(size=(rows, 12))
    return {"images": images, "texts": centres, "labels": labels, "captions": captions}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    train, test = world(600, 0), world(400, 1)
    for name, array in train.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32) if array.ndim > 1 else array)
    np.savez(tmp_path / "test.npz", **{k: v for k, v in test.items() if k != "texts"})
    save_file({"logits": 30 * train["images"] @ train["texts"].T}, tmp_path / "z.safetensors")
    return tmp_path


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def own(folder: Path, *more: Any, command: str = "compare") -> Any:
    arrays = [f"--{name}={folder / f'{name}.npy'}" for name in ("images", "texts", "labels")]
    return run(command, *arrays, *more)


def test_three_files_become_a_latex_table(files: Path) -> None:
    done = own(files, "--out", files / "table.tex", *FEW)
    assert done.exit_code == 0, done.stderr
    table = (files / "table.tex").read_text()
    assert table.count(r"\toprule") == table.count(r"\bottomrule") == 1
    body = [line for line in table.splitlines() if line.startswith(("mcm", "lda", "trust"))]
    assert len(body) == 3
    columns = {line.count("&") for line in [*body, table.split(r"\toprule")[1].splitlines()[1]]}
    assert len(columns) == 1
    assert r"\textbf{" in table
    assert r"77.7%" not in table
    assert "assuming CLIP's logit scale of 100" in done.stderr
    assert "rows are not of unit length" not in json.dumps(json.loads(done.stdout))
    printed = json.loads(done.stdout)
    assert [row["method"] for row in printed["methods"]] == ["mcm", "lda-probe", "trustvlm"]
    assert "grid" not in printed["rules"]["mcm"]
    assert "labels used" in done.stderr


def test_the_command_gives_what_python_gives(files: Path) -> None:
    done = own(files, *FEW, "--logit-scale", "30", "--json")
    train = world(600, 0)
    parts = splits_from_arrays(
        {"train": {k: train[k].astype(np.float32) if k == "images" else train[k] for k in
                   ("images", "labels")}},
        train["texts"].astype(np.float32), logit_scale=30.0,
    )  # fmt: skip
    expected = compare(Splits.of(parts), ["mcm", "lda-probe", "trustvlm"], resamples=20)
    printed = json.loads(done.stdout)
    assert "grid" in printed["rules"]["mcm"]
    assert "labels used" not in done.stderr
    for row, other in zip(printed["methods"], expected.table.to_pylist(), strict=True):
        assert row["auroc"] == pytest.approx(other["auroc"], rel=1e-6)
        assert row["aurc_low"] == pytest.approx(other["aurc_low"], rel=1e-6)


@pytest.mark.parametrize("ending", [".md", ".csv", ".json"])
def test_the_ending_says_which_table(files: Path, ending: str) -> None:
    out = files / f"table{ending}"
    done = own(files, "--out", out, *FEW, "--test-images", files / "test.npz", "--test-labels",
               files / "test.npz", "--logit-scale=30", "--method", "bayesvlm")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    text = out.read_text()
    if ending == ".json":
        assert json.loads(text) == json.loads(done.stdout)
    elif ending == ".csv":
        assert len(text.splitlines()) == 5
        assert "auroc_low" in text.splitlines()[0]
    else:
        assert text.count("**") >= 8
        assert "| bayesvlm | *left out: bayesvlm needs the model's last projections" in text
        assert "400 test" in text


def test_logits_alone_and_options_of_methods(files: Path) -> None:
    done = run("compare", "--logits", files / "z.safetensors", "--labels", files / "labels.npy",
               "--method", "mcm", "--method", "rel-u", "--method", "vilu", "--resamples", 10,
               "--option", "rel-u.balance=0.3")  # fmt: skip
    printed = json.loads(done.stdout)
    status = [row["status"] for row in printed["methods"]]
    assert status == ["ok", "ok", "vilu needs image embeddings, and there are logits only"]
    assert printed["settings"]["options"] == {"rel-u": {"balance": 0.3}}
    assert "logit scale" not in done.stderr


def test_last_layers_make_bayesvlm_possible(files: Path) -> None:
    images, texts = np.load(files / "images.npy"), np.load(files / "texts.npy")
    eye = np.eye(12, dtype=np.float32)
    np.savez(files / "layers.npz", image_activations=2 * images, text_activations=texts,
             image_projection=eye, text_projection=eye)  # fmt: skip
    done = own(files, "--last-layers", files / "layers.npz", "--method", "bayesvlm",
               "--resamples", 5)  # fmt: skip
    assert json.loads(done.stdout)["methods"][0]["status"] == "ok"
    np.savez(files / "other.npz", image_activations=images[::-1], text_activations=texts,
             image_projection=eye, text_projection=eye)  # fmt: skip
    with pytest.raises(InputError, match="image_projection: does not make the embeddings"):
        own(files, "--last-layers", files / "other.npz")


def test_captions_are_compared_outside_of_studies(files: Path) -> None:
    done = run("compare", "--images", files / "images.npy", "--captions", files / "captions.npy",
               "--test-images", files / "test.npz", "--test-captions", files / "test.npz",
               "--candidates", 50, "--resamples", 10, "--option", "vilu.epochs=1",
               "--option", "lvu.epochs=1", "--out", files / "captions.md")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    rows = {row["method"]: row for row in printed["methods"]}
    assert {"mcm", "margin", "lvu", "vilu"} < set(rows)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert len({row["accuracy"] for row in rows.values()}) == 1
    assert printed["settings"]["candidates"] == 50
    assert "certified" not in (files / "captions.md").read_text()


def test_methods_says_what_each_needs_and_uses() -> None:
    found = json.loads(run("methods").stdout)
    assert tuple(found) == METHODS == tuple(CATALOGUE)
    for name, card in found.items():
        assert set(card) == {"options", "labels", "needs", "source", "cost"}, name
        assert all(card[key] for key in ("labels", "needs", "source", "cost"))
    assert found["lda-probe"]["source"].startswith("ours")
    assert found["bayesvlm"]["needs"][-1] == "last layers"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either the folder that `classify embed` wrote, or arrays"),
        (("--images", "images.npy"), "--labels: missing"),
        (("--images", "images.npy", "--labels", "labels.npy"), "--texts: missing"),
        (("--labels", "labels.npy", "--texts", "texts.npy"), "--images: missing"),
        (("--test-images", "images.npy", "--test-labels", "labels.npy"), "--images: missing"),
        (("OWN", "--calibration-images", "images.npy", "--calibration-labels", "labels.npy"),
         "--test-images: missing"),
        (("OWN", "--test-images", "images.npy"), "--test-labels: missing"),
        (("OWN", "--out", "table.xlsx"), r"has the ending \.xlsx; valid: \.csv, \.tex, \.md"),
        (("OWN", "--option", "epochs=5"), r"is no METHOD\.OPTION=VALUE, such as trustvlm"),
        (("OWN", "--option", "vilu.epochs"), r"is no METHOD\.OPTION=VALUE"),
        (("OWN", "--option", "vilu.epoch=5"), 'has no option "epoch"'),
        (("OWN", "--option", "vilu.learning_rate=-1"), "learning_rate is -1"),
        (("OWN", "--option", "trustvlm.shots=0"), "shots is 0"),
        (("OWN", "--method", "mcm", "--option", "vilu.epochs=5"), "which is not compared"),
        (("OWN", "--method", "mmc"), 'did you mean "mcm"'),
        (("OWN", "--baseline", "vilo"), 'did you mean "vilu"'),
        (("OWN", "--convention", "ours"), 'convention "ours" is not known'),
        (("OWN", "--logit-scale", "0"), "logit_scale is 0"),
        (("OWN", "--classes", "classes.txt"), "class_names: 2 of them for 6 texts"),
        (("OWN", "--candidates", "50"), "these images have no captions"),
        (("OWN", "--study", "losses", "--option", "lvu.epochs=1"), "is of lvu, and this is vilu"),
        (("OWN", "--study", "losses", "--out", "t.tex"), r"a study is written as \.json"),
        (("folder", "--images", "images.npy"), "give either the folder"),
        (("--images", "texts.npy", "--texts", "texts.npy", "--labels", "labels.npy"),
         "labels: 600 of them for 6 images"),
        (("--images", "images.npy", "--texts", "texts.npy", "--labels", "images.npy"),
         "labels: have dtype float32"),
        (("--images", "images.npy", "--texts", "texts.npy", "--labels", "nothing.npy"),
         "nothing.npy: does not exist, and was given for labels"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_in_a_line(
    files: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    (files / "classes.txt").write_text("a\nb\n")
    arrays = ["--images", "images.npy", "--texts", "texts.npy", "--labels", "labels.npy"]
    given = [*arrays, *arguments[1:]] if arguments[:1] == ("OWN",) else list(arguments)
    with pytest.raises((InputError, FileError), match=message):
        run("compare", *given)
