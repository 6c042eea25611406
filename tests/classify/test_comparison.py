"""Comparing failure predictors on one split, the studies, and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from spatialtrust import failure, metrics
from spatialtrust.classify import METHODS, Splits, compare, divide, fit, fit_captions, load_method
from spatialtrust.classify import score as score_images
from spatialtrust.classify.image_set import EmbeddedImages, LastLayers
from spatialtrust.classify.studies import (
    candidates,
    caption_baseline,
    components,
    label_efficiency,
    losses,
    summary,
    transfer,
)
from spatialtrust.cli.classify import app
from spatialtrust.errors import FileError, InputError
from spatialtrust.failure.checks import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUICK: dict[str, Any] = {"epochs": 2, "widths": (8,), "device": "cpu"}
CLASSES = ("ant", "bee", "cat", "dog", "eel")


def images(rows: int, seed: int, *, model: str = "toy@1") -> EmbeddedImages:
    """Five classes, the last mistaken for its neighbour four times out of five."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(5, 12)).astype(np.float32)
    labels = rng.integers(0, 5, rows)
    shown = np.where((labels == 4) & (rng.random(rows) < 0.8), 3, labels)
    unit = centres[shown] + rng.normal(size=(rows, 12)).astype(np.float32)
    texts = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    captions = texts[labels] + 0.05 * rng.normal(size=(rows, 12))
    projection = np.random.default_rng(11).normal(size=(12, 12)).astype(np.float32)
    inverse = np.linalg.inv(projection).T
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return EmbeddedImages(
        images=unit.astype(np.float32),
        texts=texts,
        labels=labels,
        class_names=CLASSES,
        image_ids=np.array([f"{seed}/{row}" for row in range(rows)], dtype=object),
        digests=np.array([f"{seed}/{row}".encode() for row in range(rows)], dtype=object),
        model=model,
        logit_scale=20.0,
        captions=(captions / np.linalg.norm(captions, axis=1, keepdims=True)).astype(np.float32),
        last_layers=LastLayers(unit @ inverse, texts @ inverse, projection, projection),
    )


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(images(400, 0), images(400, 1), images(500, 2))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Any:
    """Learned methods train for two epochs here."""
    from spatialtrust.classify import methods

    patch = pytest.MonkeyPatch()
    quick = {
        name: (kind, {**options, **(QUICK if kind in ("ViLU", "LVU", "ConfidNet") else {})})
        for name, (kind, options) in methods.LEARNED.items()
    }
    patch.setattr(methods, "LEARNED", quick)
    yield
    patch.undo()


def test_a_comparison_holds_every_method_on_the_same_images(splits: Splits) -> None:
    found = compare(splits, resamples=50)
    rows = {row["method"]: row for row in found.table.to_pylist()}
    assert tuple(rows) == METHODS
    assert {row["status"] for row in rows.values()} == {"ok"}
    accuracy = splits.test.is_correct.mean()
    for name, row in rows.items():
        assert row["own_predictions"] == (name == "trustvlm-star")
        if name != "trustvlm-star":
            assert row["accuracy"] == accuracy
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
    assert rows["mcm"]["auroc"] == metrics.auroc(
        failure.mcm(splits.test.logits), splits.test.is_correct
    )
    assert rows["mcm"]["labelled_data"] == "no labels"
    assert rows["vilu"]["labelled_data"] == "400 labelled images (train)"
    assert rows["rel-u"]["labelled_data"] == "200 labelled images (calibration)"
    assert rows["bayesvlm"]["labelled_data"] == "400 labelled images (pairs)"
    assert found.settings["images"] == {
        "train": 400,
        "calibration": 200,
        "certification": 200,
        "test": 500,
    }
    json.dumps(found.to_dict())
    assert "grid" in found.to_dict()["rules"]["mcm"]
    assert "grid" not in found.to_dict(grids=False)["rules"]["mcm"]
    # The best has rank 1, what the paired interval tells from it rank 3, the rest 2.
    ranked = {name: row["auroc_rank"] for name, row in rows.items() if name != "trustvlm-star"}
    best = max(ranked, key=lambda name: rows[name]["auroc"])
    assert [name for name, rank in ranked.items() if rank == 1] == [best]
    wins = [win for win in found.wins.to_pylist() if win["metric"] == "auroc"]
    beaten = {win["worse"] for win in wins if win["better"] == best}
    assert {name for name, rank in ranked.items() if rank == 3} == beaten
    assert all(0 < win["low"] <= win["gain"] <= win["high"] for win in wins)
    assert rows["trustvlm-star"]["auroc_rank"] == 0
    losses = metrics.log_loss(softmax(splits.test.logits), splits.test.labels)
    assert rows["mcm"]["log_loss"] == pytest.approx(losses)
    assert rows["temperature-scaling"]["log_loss"] < rows["mcm"]["log_loss"]
    assert np.isnan(rows["vilu"]["brier"])
    assert "training ended at its last epoch (2" in rows["vilu"]["notes"]


def test_bayesvlm_without_the_models_last_layers_is_left_out_with_the_reason(
    splits: Splits,
) -> None:
    parts = (splits.train, splits.calibration, splits.test)
    bare = Splits(*(replace(part, last_layers=None) for part in parts))
    found = compare(bare, ["mcm", "bayesvlm"], resamples=5)
    assert "cannot be what was published, and is left out" in found.table["status"][1].as_py()
    assert np.isnan(found.table["auroc"][1].as_py())
    with pytest.raises(InputError, match="come without the model's last layers"):
        fit("bayesvlm", splits).score(bare.test)


def test_last_layers_that_are_not_the_models_are_refused(splits: Splits) -> None:
    layers = splits.test.last_layers
    assert layers is not None
    for changed, message in (
        ({"image_projection": layers.image_projection[::-1]}, "image_projection: does not make"),
        ({"text_projection": -layers.text_projection}, "text_projection: does not make"),
        ({"image_activations": layers.image_activations[:5]}, r"image_activations: have shape \(5"),
        ({"text_projection": layers.text_projection[:5]}, "text_projection: makes 5 columns"),
    ):
        with pytest.raises(InputError, match=message):
            replace(splits.test, last_layers=replace(layers, **changed))


def test_options_are_of_single_methods_and_wrong_ones_stop_everything(splits: Splits) -> None:
    found = compare(splits, ["mcm", "trustvlm"], resamples=5, options={"trustvlm": {"shots": 4}})
    assert found.table["labelled_data"][1].as_py() == "20 labelled images (few-shot)"
    assert found.settings["options"] == {"trustvlm": {"shots": 4}}
    for options, message in (
        ({"vilu": {"epochs": 3}}, 'options of "vilu", which is not compared'),
        ({"trustvlm": {"shot": 4}}, r'has no option "shot"; valid: variant'),
        ({"trustvlm": {"labelled_split": "x"}}, 'has no option "labelled_split"'),
        ({"trustvlm": {"shots": 0}}, "shots is 0"),
        ({"mcm": {"temperature": 2}}, "mcm has no option"),
    ):
        with pytest.raises(InputError, match=message):
            compare(splits, ["mcm", "trustvlm"], resamples=5, options=options)


def test_a_convention_replaces_the_metrics_and_is_named(splits: Splits) -> None:
    found = compare(splits, ["mcm", "energy"], resamples=5, convention="trustvlm")
    confidence, correct = failure.mcm(splits.test.logits), splits.test.is_correct
    expected = metrics.published(confidence, correct, "trustvlm")
    row = found.table.to_pylist()[0]
    assert {name: row[name] for name in expected} == expected
    assert found.settings["convention"] == "trustvlm"
    assert "log_loss" not in row
    with pytest.raises(InputError, match='did you mean "vilu"'):
        compare(splits, ["mcm"], convention="vilo")


def test_equal_images_are_resampled_together(splits: Splits) -> None:
    digests = np.repeat(splits.test.digests[:250], 2)
    found = compare(replace(splits, test=replace(splits.test, digests=digests)), ["mcm"])
    groups = np.repeat(np.arange(250), 2)
    test = splits.test
    expected = metrics.bootstrap(
        metrics.auroc, failure.mcm(test.logits), test.is_correct, groups=groups
    )
    alone = compare(splits, ["mcm"])
    wide, narrow = (one.table["auroc_high"][0].as_py() for one in (found, alone))
    assert wide == pytest.approx(expected.high, abs=0.01)
    assert wide != narrow


def test_the_baseline_gains_nothing_on_itself_and_intervals_are_paired(splits: Splits) -> None:
    rows = compare(splits, ["mcm", "max-cosine", "max-logit"], resamples=50).table.to_pylist()
    assert (rows[0]["auroc_gain"], rows[0]["auroc_gain_low"], rows[0]["auroc_gain_high"]) == (
        0.0,
        0.0,
        0.0,
    )
    # Scores that rank alike gain alike, draw by draw.
    for name in ("auroc_gain", "auroc_gain_low", "auroc_gain_high"):
        assert rows[1][name] == pytest.approx(rows[2][name], abs=1e-6)


def test_certified_coverage_is_what_the_rule_accepts(splits: Splits) -> None:
    splits = replace(splits, calibration=images(1000, 3))
    found = compare(splits, ["mcm", "trustvlm"], accuracy=0.8, resamples=10)
    for row in found.table.to_pylist():
        rule = found.rules[row["method"]]
        assert rule.certified
        method = fit(row["method"], splits)
        accepted = rule.accepts(method.score(splits.test))
        assert row["certified_coverage"] == pytest.approx(accepted.mean())
        assert 0 < row["certified_coverage"] < 1
        assert row["certified_accuracy"] == pytest.approx(splits.test.is_correct[accepted].mean())


def test_certifying_rows_never_fit_a_method(splits: Splits) -> None:
    fitting, certifying = divide(splits.calibration, (0.5, 0.5))
    assert not set(fitting.image_ids) & set(certifying.image_ids)
    expected = fit("rel-u", replace(splits, calibration=fitting)).score(splits.test)
    row = compare(splits, ["rel-u"], resamples=5).table.to_pylist()[0]
    assert row["auroc"] == metrics.auroc(expected, splits.test.is_correct)


def test_a_method_that_cannot_be_fitted_says_why_and_does_not_stop_the_others(
    splits: Splits,
) -> None:
    right = splits.train.rows(splits.train.is_correct)
    few = right.rows(np.arange(20))
    found = compare(replace(splits, train=few), ["vilu", "trustvlm", "mcm"], resamples=5)
    status = {row["method"]: row["status"] for row in found.table.to_pylist()}
    assert status["mcm"] == "ok"
    assert "no prediction is wrong" in status["vilu"]
    assert "shots are asked" in status["trustvlm"]
    assert np.isnan(found.table["auroc"].to_pylist()[0])


def test_prototypes_are_made_of_the_second_encoder_where_there_is_one(splits: Splits) -> None:
    rng = np.random.default_rng(0)
    parts = [
        replace(
            part,
            auxiliary=(np.eye(5)[part.labels] + 0.1 * rng.normal(size=(len(part), 5))).astype(
                np.float32
            ),
        )
        for part in (splits.train, splits.calibration, splits.test)
    ]
    method = fit("trustvlm", Splits(*parts))
    test = parts[2]
    assert metrics.auroc(method.score(test), test.is_correct) > 0.9
    with pytest.raises(InputError, match="second image encoder"):
        method.score(splits.test)


def test_shots_that_are_scored_do_not_vouch_for_themselves(splits: Splits, tmp_path: Path) -> None:
    method = fit("trustvlm", splits)
    predictor = method.predictor
    assert isinstance(predictor, failure.TrustVLM)
    train = splits.train
    expected = predictor.score(train.logits, train.images, fitted_rows=np.arange(len(train)))
    assert (expected != predictor.score(train.logits, train.images)).any()
    loaded = load_method(str(predictor.save(tmp_path / "trust.safetensors")))
    order = np.random.default_rng(0).permutation(len(train))
    np.testing.assert_allclose(loaded.score(train.rows(order)), expected[order], rtol=1e-6)


def test_trustvlm_star_is_judged_by_its_own_predictions(splits: Splits) -> None:
    method = fit("trustvlm-star", splits)
    assert (method.predict(splits.test) != splits.test.logits.argmax(axis=1)).any()
    correct = method.predict(splits.test) == splits.test.labels
    np.testing.assert_array_equal(method.is_correct(splits.test), correct)


@pytest.mark.parametrize("name", ["vilu", "rel-u", "trustvlm", "bayesvlm", "confidnet"])
def test_embeddings_of_another_model_are_refused(splits: Splits, name: str, tmp_path: Path) -> None:
    method = fit(name, splits)
    assert method.predictor is not None
    loaded = load_method(str(method.predictor.save(tmp_path / "method.safetensors")))
    np.testing.assert_array_equal(loaded.score(splits.test), method.score(splits.test))
    with pytest.raises(InputError, match="fitted on embeddings of toy@1, and these are of toy@2"):
        loaded.score(replace(splits.test, model="toy@2"))


def test_unknown_names_are_answered_with_the_valid_ones(splits: Splits) -> None:
    with pytest.raises(InputError, match='did you mean "trustvlm"'):
        compare(splits, ["trustvm"])
    with pytest.raises(InputError, match=r'ViLU has no option "epoch"; valid: .*epochs'):
        fit("vilu", splits, epoch=3)
    with pytest.raises(InputError, match="must be fitted first"):
        load_method("vilu")
    with pytest.raises(FileError, match="cannot be read"):
        load_method("mcmm")
    with pytest.raises(InputError, match="valid: vilu, lvu"):
        fit_captions("confidnet", splits.train)


def test_an_undivided_set_is_cut_at_random_and_equal_images_stay_together() -> None:
    whole = images(300, 0)
    digests = np.repeat(whole.digests[:100], 3)
    cut = Splits.of({"all": replace(whole, digests=digests)}, seed=1)
    sets = [set(part.digests) for part in (cut.train, cut.calibration, cut.test)]
    assert len(set.union(*sets)) == sum(map(len, sets))
    assert [len(part) for part in (cut.train, cut.calibration, cut.test)] == [120, 60, 120]
    again = Splits.of({"all": replace(whole, digests=digests)}, seed=1)
    np.testing.assert_array_equal(cut.test.image_ids, again.test.image_ids)


def test_calibration_is_cut_from_train_where_it_is_missing() -> None:
    cut = Splits.of({"train": images(300, 0), "test": images(50, 1)})
    assert (len(cut.train), len(cut.calibration), len(cut.test)) == (200, 100, 50)
    kept = {"train": images(30, 0), "calibration": images(20, 1), "test": images(10, 2)}
    assert len(Splits.of(kept).calibration) == 20
    with pytest.raises(InputError, match="splits here: train; give train and test"):
        Splits.of({"train": images(300, 0)})


def test_splits_that_do_not_fit_together_are_refused(splits: Splits) -> None:
    with pytest.raises(InputError, match=r"test: has embeddings of other@1"):
        replace(splits, test=images(10, 3, model="other@1"))
    unlabelled = replace(splits.test, labels=np.full(500, -1))
    with pytest.raises(InputError, match="test: image 2/0 has no class"):
        replace(splits, test=unlabelled)
    with pytest.warns(UserWarning, match="400 images are in more than one of the splits"):
        replace(splits, test=splits.train)


def test_unknown_predictors_cannot_score_embedded_images(splits: Splits) -> None:
    class Other(failure.FailurePredictor):
        labelled_split = "none"

    other = Other()
    other.facts_["labelled_rows"] = 0
    with pytest.raises(InputError, match="Other cannot score"):
        score_images(other, splits.test)


def test_studies_report_every_variant_and_seed(splits: Splits) -> None:
    for study, variants in ((components, 5), (losses, 5)):
        table = study(splits, seeds=(0, 1), **QUICK)
        assert table.num_rows == 2 * variants
        assert len(summary(table)) == variants
        assert set(table["status"].to_pylist()) == {"ok"}
    efficiency = label_efficiency(splits, shares=(0.001, 0.5, 1.0), seeds=(0,), **QUICK)
    names = efficiency["variant"].to_pylist()
    assert names == ["mcm", "vilu, 0 images", "vilu, 200 images", "vilu, 400 images"]
    assert efficiency["status"].to_pylist()[1] != "ok"
    assert np.isnan(summary(efficiency)[1]["auroc"])
    found = summary(efficiency)[0]
    assert found["auroc"] == metrics.auroc(failure.mcm(splits.test.logits), splits.test.is_correct)
    moved = transfer(splits.train, {"here": splits.test}, seeds=(0,), **QUICK)
    assert moved["variant"].to_pylist() == ["mcm on here", "vilu from captions on here"]


def test_candidate_captions_are_those_of_the_batch(splits: Splits) -> None:
    table = candidates(splits.train, splits.test, sizes=(8, 64), seeds=(0,), **QUICK)
    assert table["variant"].to_pylist() == [
        f"{name}, {size} captions" for size in (8, 64) for name in ("mcm", "lvu", "vilu")
    ]
    few, many = (caption_baseline(splits.test, size)[0].mean() for size in (8, 64))
    assert few > many
    correct, confidence = caption_baseline(splits.test.rows(np.arange(9)), 8)
    assert correct[8]
    assert confidence[8] == 1.0
    with pytest.raises(InputError, match="have no captions"):
        candidates(replace(splits.train, captions=None), splits.test)


class Toy:
    """An embedder of 4 x 4 images whose pixels are the embedding."""

    needs_pixels, logit_scale = True, 20.0

    def __init__(self, reference: str = "toy:pixels") -> None:
        self.reference, self.revision = reference, "1"

    def embed_images(self, images: Sequence[Any]) -> Any:
        return np.array([image[..., 0].ravel() + 1.0 for image in images], dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Any:
        place = [sum(map(ord, text)) % 3 for text in texts]
        return np.repeat(np.eye(4, dtype=np.float32)[place], 4, axis=1) + 0.1


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixty images a split of three classes: a bright row under noise."""
    from PIL import Image

    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    for split in ("train", "val", "test"):
        for label in CLASSES[:3]:
            (root / split / label).mkdir(parents=True)
            row = sum(map(ord, f"a photo of a {label}.")) % 3
            for number in range(20):
                pixels = rng.integers(0, 120, (4, 4))
                pixels[row] += rng.integers(0, 80)
                Image.fromarray(np.repeat(pixels[..., None], 3, 2).astype(np.uint8)).save(
                    root / split / label / f"{number}.png"
                )
    return root


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("spatialtrust.backends.registry.open_embedder", Toy)

    def invoke(*arguments: Any) -> dict[str, Any]:
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return invoke


def test_the_command_line_embeds_trains_scores_and_compares(
    photos: Path, tmp_path: Path, run: Any
) -> None:
    cache = tmp_path / "cache"
    (photos / "test" / "ant" / "broken.png").write_bytes(b"")
    embedded = run("embed", photos, "--out", cache, "--backend", "toy:pixels")
    assert embedded["splits"] == {"test": 61, "train": 60, "calibration": 60}
    assert (embedded["unreadable"], embedded["captions"]) == (1, 0)
    run("embed", photos, "--out", cache, "--backend", "toy:second", "--images-only")

    which = ("--model", "toy:pixels")
    file = tmp_path / "trust.safetensors"
    trained = run(
        "train", cache, "--method", "trustvlm", "--out", file, "--option", "shots=4",
        "--auxiliary", "toy:second", *which,
    )  # fmt: skip
    assert trained["labelled_data"] == "12 labelled images (few-shot)"

    scores = tmp_path / "scores.parquet"
    scored = run(
        "score", cache, "--method", file, "--out", scores, "--auxiliary", "toy:second", *which
    )
    table = pq.read_table(scores)
    assert table.column_names == ["image_id", "predicted", "confidence", "is_correct"]
    assert table.num_rows == scored["images"] == 60
    confidence, correct = table["confidence"].to_numpy(), np.array(table["is_correct"])
    assert scored["auroc"] == metrics.auroc(confidence, correct)

    out = tmp_path / "comparison.json"
    compared = run(
        "compare", cache, "--method", "mcm", "--method", "rel-u", "--resamples", 20, "--out", out,
        *which,
    )  # fmt: skip
    assert [row["method"] for row in compared["methods"]] == ["mcm", "rel-u"]
    assert json.loads(out.read_text()) == compared
    study = run("compare", cache, "--study", "components", "--option", "epochs=1", *which)
    assert len(study["summary"]) == 5


def test_the_command_line_learns_from_captions(photos: Path, tmp_path: Path, run: Any) -> None:
    rows = [
        {"image": path.relative_to(photos).as_posix(), "caption": path.parent.name,
         "split": path.parent.parent.name}
        for path in sorted(photos.rglob("*.png"))
    ]  # fmt: skip
    source = tmp_path / "pairs.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    cache = tmp_path / "cache"
    run("embed", source, "--images", photos, "--out", cache, "--backend", "toy:pixels",
        "--name", "pairs")  # fmt: skip
    run("embed", photos, "--out", cache, "--backend", "toy:pixels")
    trained = run(
        "train", cache, "--name", "pairs", "--captions", "--out", tmp_path / "v.safetensors",
        "--option", "epochs=1", "--option", "widths=[8]",
    )  # fmt: skip
    assert trained["labelled_data"] == "no labels"
    moved = run(
        "compare", cache, "--name", "pairs", "--study", "transfer", "--label-set", "images",
        "--option", "epochs=1",
    )  # fmt: skip
    assert [row["variant"] for row in moved["summary"]] == [
        "mcm on images",
        "vilu from captions on images",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "--study", "transfer"), "needs --label-set"),
        (("compare", "--study", "losses", "--option", "epochs"), "is no NAME=VALUE"),
        (("score", "--split", "dev", "--out", "x.parquet"), 'split "dev" is not there'),
        (("train", "--method", "mcm", "--out", "x"), "needs no training"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(
    photos: Path, tmp_path: Path, run: Any, arguments: tuple[str, ...], message: str
) -> None:
    cache = tmp_path / "cache"
    run("embed", photos, "--out", cache, "--backend", "toy:pixels")
    command, *rest = arguments
    with pytest.raises(InputError, match=message):
        run(command, cache, *rest)


def test_class_lists_are_read_from_a_file(photos: Path, tmp_path: Path, run: Any) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("cat\nbee\nant\n\n")
    cache = tmp_path / "cache"
    run("embed", photos, "--out", cache, "--backend", "toy:pixels", "--classes", names)
    from spatialtrust.classify.embedded_images import load_embedded

    assert load_embedded(cache)["test"].class_names == ("cat", "bee", "ant")
    with pytest.raises(FileError, match="one per line"):
        run("embed", photos, "--out", cache, "--backend", "toy:pixels", "--classes", tmp_path)


def test_a_fresh_process_loads_what_another_embedded(
    photos: Path, tmp_path: Path, run: Any
) -> None:
    """Nothing may lean on a module that the tests happen to have imported."""
    cache = tmp_path / "cache"
    run("embed", photos, "--out", cache, "--backend", "toy:pixels")
    code = "from spatialtrust.cli.commands import main; main()"
    arguments = ["classify", "score", str(cache), "--out", str(tmp_path / "s.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 60


@pytest.fixture(scope="module")
def digits() -> Any:
    return pytest.importorskip("benchmarks.digits", reason="runs from a checkout")


@pytest.mark.slow
def test_visual_only_scores_fall_short_where_the_candidates_change(digits: Any) -> None:
    """The paper's caption setting on real images: the right answer depends on the rivals."""
    train, test = digits.embedded("train", 6000, 1), digits.embedded("test", 3000, 2)
    found = {
        row["variant"].partition(",")[0]: row["auroc"]
        for row in candidates(train, test, sizes=(128,), seeds=(0,), epochs=30).to_pylist()
    }
    assert found["vilu"] > found["lvu"] + 0.03
    assert found["vilu"] > found["mcm"] + 0.03
