"""The original GroundingDINO in an environment of its own, against the one in transformers.

The original makes a model with random weights and detects with it; here the weights are converted,
and transformers' model is asked the same. ``SPATIALTRUST_TEST_HOME`` names a folder that keeps the
environment between runs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from spatialtrust.backends.base import Options
from spatialtrust.backends.grounding_dino.hf import open_backend
from spatialtrust.backends.grounding_dino.original import SIDES
from spatialtrust.io.parquet import read_table
from spatialtrust.tables import Detections
from tests.backends.tiny import bert_tokenizer
from tests.conftest import ROOT
from tests.slow.groundingdino_converter import convert

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ORIGINAL = Path(__file__).with_name("groundingdino_original.py")
NEEDED = ("groundingdino-py==0.4.0", "torchvision==0.28.0", "pyarrow", "torch", "transformers")
OPTIONS = {"device": "cpu", "score_threshold": 0.45, "top_k": 4, "memory": 4 << 30}
LAYERS = {"enc_layers": 1, "dec_layers": 2, "num_queries": 60}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
PHRASES = ["mug", "red mug", "kettle", "blue box", "mugs", "table on the left", "left", "", "杯"]


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """An interpreter that has the original package, this one's constraints, and nothing else."""
    kept = os.environ.get("SPATIALTRUST_TEST_HOME")
    with tempfile.TemporaryDirectory() as fresh:
        folder = Path(kept or fresh) / "envs" / "groundingdino-py"
        stamp = folder / "installed"
        if not stamp.exists():
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, "-c", str(ROOT / "constraints.txt"), *NEEDED])
            stamp.touch()
        yield folder / "bin" / "python"


def _run(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the original's, images, phrases, and what the original detects."""
    from transformers import BertConfig

    place = tmp_path_factory.mktemp("exchange")
    tokenizer = bert_tokenizer()
    tokenizer.save_pretrained(place / "bert-base-uncased")
    BertConfig(vocab_size=len(tokenizer), **BERT).save_pretrained(place / "bert-base-uncased")
    shipped = python.parent.parent.glob("lib/*/site-packages/groundingdino/config/*SwinT*.py")
    text = next(shipped).read_text()
    for name, value in LAYERS.items():
        text = re.sub(rf"^{name} = .*", f"{name} = {value}", text, flags=re.MULTILINE)
    (place / "config.py").write_text(text)
    # Of three images of one size, the original may batch the two asked for the same phrases.
    shapes = {"a.png": (6, 6), "b.png": (6, 7), "c.png": (6, 6), "d.png": (6, 6)}
    generator = np.random.default_rng(0)
    blocks = {name: generator.integers(0, 256, (*shape, 3)) for name, shape in shapes.items()}
    large = {name: np.kron(block, np.ones((40, 40, 1))) for name, block in blocks.items()}
    np.savez(place / "images.npz", **{n: pixels.astype(np.uint8) for n, pixels in large.items()})
    phrases = {"a.png": PHRASES, "b.png": PHRASES[:4], "c.png": PHRASES[2:6], "d.png": PHRASES}
    phrases["gone.png"] = ["mug"]
    (place / "phrases.json").write_text(json.dumps(phrases))
    (place / "options.json").write_text(json.dumps(OPTIONS))
    _run([str(python), "-W", "ignore", str(ORIGINAL), "make", str(place)])
    return place


@pytest.fixture(scope="module")
def detected(python: Path, folder: Path) -> Detections:
    printed = _run([str(python), "-W", "ignore", str(ORIGINAL), "detect", str(folder),
                    "model.safetensors"])  # fmt: skip
    assert printed == ""  # stdout is the command line's JSON
    return Detections.from_arrow(read_table(folder / "model.safetensors.parquet"))


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    """The same weights as a checkpoint of transformers."""
    import transformers

    place = folder / "converted"
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=224, embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24],
            window_size=7, out_features=["stage2", "stage3", "stage4"],
        ),
        text_config={"model_type": "bert", "vocab_size": len(bert_tokenizer()), **BERT},
        encoder_layers=LAYERS["enc_layers"], decoder_layers=LAYERS["dec_layers"],
        num_queries=LAYERS["num_queries"],
    )  # fmt: skip
    model = transformers.GroundingDinoForObjectDetection(config)
    state = convert(load_file(folder / "model.safetensors"))
    missing, unexpected = model.load_state_dict(state, strict=False)
    # Swin's last norm is not used by a detector, BERT's pooler neither.
    assert [name for name in missing if ".swin.layernorm." not in name] == []
    assert [name for name in unexpected if "relative_position_index" not in name
            and ".pooler." not in name] == []  # fmt: skip
    model.save_pretrained(place)
    bert_tokenizer().save_pretrained(place)
    transformers.GroundingDinoImageProcessorPil(size=SIDES).save_pretrained(place)
    return place


def test_the_environment_is_apart_and_has_another_torchvision_problem(python: Path) -> None:
    assert importlib.util.find_spec("groundingdino") is None
    code = (
        "import runpy, sys, transformers; print(transformers.__version__.split('.')[0]); "
        "print(runpy.run_path(sys.argv[1])['import_torchvision']()); import torchvision.transforms"
    )
    operators = str(ROOT / "spatialtrust/backends/torchvision_operators.py")
    major, declared = _run([str(python), "-c", code, operators]).split()
    assert int(major) >= 5
    assert declared in ("True", "False")


def test_boxes_and_scores_equal_those_of_transformers(
    folder: Path, detected: Detections, converted: Path
) -> None:
    detector = open_backend(str(converted), f"grounding-dino:{converted}", Options(**OPTIONS))
    images = dict(np.load(folder / "images.npz", allow_pickle=False))
    phrases = json.loads((folder / "phrases.json").read_text())
    ours = detector.detect(images, phrases)
    assert ours.strings("object_id") == detected.strings("object_id")
    assert ours.strings("status") == detected.strings("status")
    np.testing.assert_allclose(ours.numbers("score"), detected.numbers("score"), atol=1e-4)
    np.testing.assert_allclose(ours.boxes(), detected.boxes(), atol=0.02)  # pixels
    # The comparison would see mistakes: there are found and absent phrases, and boxes differ.
    found = np.isfinite(detected.numbers("score"))
    assert 5 < found.sum() < len(detected)
    assert np.unique(detected.boxes()[found].round(), axis=0).shape[0] > found.sum() / 3


def test_rows_say_what_is_absent_and_why(detected: Detections) -> None:
    rows = detected.data.to_pylist()
    status = {(row["image_id"], row["phrase"]): row["status"] for row in rows}
    assert status["gone.png", "mug"] == "image_unreadable"
    assert status["a.png", ""] == "phrase_empty"
    assert {row["model"] for row in rows} == {"groundingdino-py:model.safetensors"}
    assert all((row["x1"] is None) == (row["status"] != "ok") for row in rows)
    assert all(row["x1"] < row["x2"] and row["y1"] < row["y2"] for row in rows if row["x1"])


def test_a_checkpoint_as_it_is_published_gives_the_same(
    python: Path, folder: Path, detected: Detections
) -> None:
    _run([str(python), "-W", "ignore", str(ORIGINAL), "detect", str(folder), "model.pth"])
    again = Detections.from_arrow(read_table(folder / "model.pth.parquet"))
    assert again.boxes().tobytes() == detected.boxes().tobytes()
    assert again.numbers("score").tobytes() == detected.numbers("score").tobytes()


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("incomplete.pth", r"1 tensors are missing \(feat_map.bias\)"),
        ("pickled.pth", "cannot be read as tensors alone"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    python: Path, folder: Path, checkpoint: str, message: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)BackendError.*{message}"):
        _run([str(python), "-W", "ignore", str(ORIGINAL), "detect", str(folder), checkpoint])
