"""What every fitted method promises: declared labels, one file, refusals that help."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from spatialtrust.errors import FileError, InputError, NotFittedError
from spatialtrust.failure import (
    LVU,
    BayesVLM,
    ConfidNet,
    FailurePredictor,
    RelU,
    TemperatureScaling,
    TrustVLM,
    ViLU,
    mcm,
)
from spatialtrust.metrics import auroc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCALE = 20.0
QUICK: dict[str, Any] = {"epochs": 3, "widths": (16, 8), "batch_size": 32, "device": "cpu"}


class World:
    """Unit embeddings of five classes, two of which are systematically mixed up."""

    def __init__(self, rows: int, seed: int, dtype: Any = np.float64) -> None:
        rng = np.random.default_rng(seed)
        centres = np.random.default_rng(7).normal(size=(5, 12))
        self.labels = rng.integers(0, 5, rows)
        shown = np.where((self.labels == 4) & (rng.random(rows) < 0.8), 3, self.labels)
        self.images = (centres[shown] + rng.normal(size=(rows, 12))).astype(dtype)
        self.texts = centres.astype(dtype)
        unit = self.images / np.linalg.norm(self.images, axis=1, keepdims=True)
        self.logits = SCALE * unit @ (centres / np.linalg.norm(centres, axis=1)[:, None]).T
        self.correct = self.logits.argmax(axis=1) == self.labels


TRAIN, TEST = World(400, 0), World(300, 1)

Case = tuple["Callable[[], Any]", "Callable[[Any], Any]"]
CASES: dict[str, Case] = {
    "temperature": (
        lambda: TemperatureScaling().fit(TRAIN.logits, TRAIN.labels),
        lambda model: model.score(TEST.logits),
    ),
    "relu": (
        lambda: RelU().fit(TRAIN.logits, TRAIN.labels),
        lambda model: model.score(TEST.logits),
    ),
    "confidnet": (
        lambda: ConfidNet(**QUICK).fit(TRAIN.images, TRAIN.logits, TRAIN.labels),
        lambda model: model.score(TEST.images),
    ),
    "bayesvlm": (
        lambda: BayesVLM().fit(TRAIN.images, TRAIN.texts[TRAIN.labels], logit_scale=SCALE),
        lambda model: model.score(TEST.images, TEST.texts),
    ),
    "trustvlm": (
        lambda: TrustVLM(shots=8).fit(TRAIN.images, TRAIN.labels),
        lambda model: model.score(TEST.logits, TEST.images),
    ),
    "trustvlm-star": (
        lambda: TrustVLM("star", shots=8, fine_tune_steps=5).fit(TRAIN.images, TRAIN.labels),
        lambda model: model.score(TEST.logits, TEST.images),
    ),
    "lvu": (
        lambda: LVU(**QUICK).fit(TRAIN.images, TRAIN.texts, TRAIN.labels, logit_scale=SCALE),
        lambda model: model.score(TEST.images, TEST.texts),
    ),
    "vilu": (
        lambda: ViLU(**QUICK).fit(TRAIN.images, TRAIN.texts, TRAIN.labels, logit_scale=SCALE),
        lambda model: model.score(TEST.images, TEST.texts),
    ),
    "vilu-learned": (
        lambda: ViLU(projection="learned", freeze_steps=5, **QUICK).fit(
            TRAIN.images, TRAIN.texts, TRAIN.labels, logit_scale=SCALE
        ),
        lambda model: model.score(TEST.images, TEST.texts),
    ),
    "vilu-paper": (
        lambda: ViLU("paper", projection="learned", freeze_steps=0, **QUICK).fit(
            TRAIN.images, TRAIN.texts, TRAIN.labels, logit_scale=SCALE
        ),
        lambda model: model.score(TEST.images, TEST.texts),
    ),
    "vilu-captions": (
        lambda: ViLU(**QUICK).fit_captions(
            TRAIN.images, TRAIN.texts[TRAIN.labels], logit_scale=SCALE
        ),
        lambda model: model.score_captions(TEST.images, TEST.texts[TEST.labels]),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_scores_are_one_finite_number_per_image(case: Case) -> None:
    fit, score = case
    values = score(fit())
    assert values.shape == (300,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()


def test_a_saved_method_scores_as_before(case: Case, tmp_path: Path) -> None:
    fit, score = case
    model = fit()
    loaded = FailurePredictor.load(model.save(tmp_path / "model.safetensors"))
    assert loaded == model
    np.testing.assert_array_equal(score(loaded), score(model))
    assert loaded.labelled_data == model.labelled_data
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_fitting_twice_gives_the_same_method_and_leaves_other_generators_alone(case: Case) -> None:
    fit, score = case
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = score(fit())
    assert (torch.get_rng_state() == before).all()
    np.testing.assert_array_equal(first, score(fit()))


def test_every_method_says_which_labels_it_used() -> None:
    said = {name: str(fit().labelled_data) for name, (fit, _) in CASES.items()}
    assert said == {
        "temperature": "400 labelled images (calibration)",
        "relu": "400 labelled images (calibration)",
        "confidnet": "400 labelled images (train)",
        "bayesvlm": "no labels",
        "trustvlm": "40 labelled images (few-shot)",
        "trustvlm-star": "40 labelled images (few-shot)",
        "lvu": "400 labelled images (train)",
        "vilu": "400 labelled images (train)",
        "vilu-learned": "400 labelled images (train)",
        "vilu-paper": "400 labelled images (train)",
        "vilu-captions": "no labels",
    }


@pytest.mark.parametrize(
    "model",
    [TemperatureScaling(), RelU(), ConfidNet(), BayesVLM(), TrustVLM(), LVU(), ViLU()],
)
def test_unfitted_methods_say_so(model: FailurePredictor, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        model.save(tmp_path / "model.safetensors")
    with pytest.raises(NotFittedError, match="call fit"):
        _ = model.labelled_data


def test_embeddings_of_another_model_are_refused() -> None:
    model = CASES["vilu"][0]().bind("clip:a@1")
    model.expect_model("clip:a@1")
    with pytest.raises(InputError, match=r"fitted on embeddings of clip:a@1, and these are of b"):
        model.expect_model("b")


@pytest.mark.parametrize("name", ["vilu", "trustvlm", "confidnet", "bayesvlm", "relu"])
def test_another_dimension_is_refused(name: str) -> None:
    model = CASES[name][0]()
    narrow = {
        "vilu": lambda: model.score(TEST.images[:, :5], TEST.texts[:, :5]),
        "trustvlm": lambda: model.score(TEST.logits, TEST.images[:, :5]),
        "confidnet": lambda: model.score(TEST.images[:, :5]),
        "bayesvlm": lambda: model.score(TEST.images[:, :5], TEST.texts),
        "relu": lambda: model.score(TEST.logits[:, :4]),
    }
    with pytest.raises(InputError, match="columns where"):
        narrow[name]()


@pytest.mark.parametrize("method", [TemperatureScaling, RelU])
def test_a_calibration_split_without_errors_teaches_nothing(method: Any) -> None:
    right = TRAIN.correct
    with pytest.raises(InputError, match=r"no prediction is wrong|every prediction is right"):
        method().fit(TRAIN.logits[right], TRAIN.labels[right])


@pytest.mark.parametrize("method", [ViLU, LVU])
def test_a_train_split_without_errors_or_without_successes_teaches_nothing(method: Any) -> None:
    for rows, kind in ((TRAIN.correct, "wrong"), (~TRAIN.correct, "right")):
        with pytest.raises(InputError, match=f"no prediction is {kind}"):
            method().fit(TRAIN.images[rows], TRAIN.texts, TRAIN.labels[rows], logit_scale=SCALE)


def test_logits_that_know_nothing_have_no_temperature() -> None:
    with pytest.raises(InputError, match="same order"):
        TemperatureScaling().fit(-TRAIN.logits, TRAIN.labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(400, 5), "row 0 is 5; with 5 classes valid labels are 0 to 4"),
        (np.full(400, -1), "row 0 is -1"),
        (np.zeros(399, dtype=int), "399 of them for 400 images"),
        (np.zeros(400), "whole numbers"),
    ],
)
def test_labels_are_checked(labels: Any, message: str) -> None:
    for method in (TemperatureScaling(), RelU()):
        with pytest.raises(InputError, match=message):
            method.fit(TRAIN.logits, labels)
    with pytest.raises(InputError, match=message):
        ViLU().fit(TRAIN.images, TRAIN.texts, labels)


def test_images_without_direction_are_refused() -> None:
    images = TRAIN.images.copy()
    images[7] = 0
    with pytest.raises(InputError, match="images: row 7 is all zeros"):
        ViLU().fit(images, TRAIN.texts, TRAIN.labels)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU is available"):
        ViLU(device="cuda").fit(TRAIN.images, TRAIN.texts, TRAIN.labels)


def _header(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _with_header(path: Path, header: dict[str, Any], body: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def test_files_that_are_no_saved_method_are_refused(tmp_path: Path) -> None:
    path = CASES["relu"][0]().save(tmp_path / "relu.safetensors")
    with pytest.raises(FileError, match="holds RelU, not ViLU"):
        ViLU.load(path)
    header, body = _header(path)
    ours = json.loads(header["__metadata__"]["spatialtrust"])
    other = tmp_path / "other.safetensors"

    header["__metadata__"]["spatialtrust"] = json.dumps(ours | {"format": 99})
    with pytest.raises(FileError, match="has format 99"):
        FailurePredictor.load(_with_header(other, header, body))

    header["__metadata__"]["spatialtrust"] = json.dumps(ours | {"method": "LabelledData"})
    with pytest.raises(FileError, match="holds LabelledData"):
        FailurePredictor.load(_with_header(other, header, body))

    header["__metadata__"] = {}
    with pytest.raises(FileError, match="is no saved predictor"):
        FailurePredictor.load(_with_header(other, header, body))

    other.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileError, match="cannot be read"):
        FailurePredictor.load(other)
    with pytest.raises(FileError, match="cannot be read"):
        FailurePredictor.load(tmp_path / "none.safetensors")


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    model = CASES["relu"][0]()
    taken = tmp_path / "taken"
    taken.write_text("a file, where a folder would have to be")
    with pytest.raises(FileError, match="cannot be written"):
        model.save(taken / "model.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_vilu_learns_which_class_is_mixed_up() -> None:
    model = ViLU(epochs=30, device="cpu").fit(
        TRAIN.images, TRAIN.texts, TRAIN.labels, logit_scale=SCALE
    )
    learned = auroc(model.score(TEST.images, TEST.texts), TEST.correct)
    assert learned > auroc(mcm(TEST.logits), TEST.correct)
