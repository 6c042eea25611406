"""The real thing: the environment from the shipped pins, tiny LAVIS models, answers in order.

``SPATIALTRUST_TEST_HOME`` names a folder that keeps the environment between runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialtrust.backends.base import Options
from spatialtrust.backends.install import ENVIRONMENTS, install, interpreter
from spatialtrust.backends.lavis import open_backend
from spatialtrust.backends.lavis.client import TYPES
from spatialtrust.errors import BackendError
from spatialtrust.questions.prompts import STATEMENT, caption, question
from spatialtrust.questions.views import mirror
from spatialtrust.tables import Answers, Claims

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TINY = Path(__file__).with_name("lavis_tiny.py")
ARCHITECTURES = tuple(TYPES)
TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def python() -> Iterator[Path]:
    kept = os.environ.get("SPATIALTRUST_TEST_HOME")
    # Gone at once afterwards: it is 2 GB, and pytest keeps its folders for three runs.
    with tempfile.TemporaryDirectory() as fresh, pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPATIALTRUST_LAVIS_PYTHON", raising=False)
        patch.setenv("SPATIALTRUST_HOME", kept or fresh)
        yield install("lavis")


@pytest.fixture(scope="module")
def tiny(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    _run(python, folder, "make", ".")
    return folder


def _run(python: Path, folder: Path, *arguments: str) -> str:
    command = [str(python), "-I", "-W", "ignore", str(TINY), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "TRANSFORMERS_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] if done.stdout else ""


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = {"a.png": (40, 60), "b.png": (64, 32), "c.png": (1080, 1920), "d.png": (28, 28)}
    return {
        name: generator.integers(0, 256, (*size, 3), dtype=np.uint8) * (place > 0)
        for place, (name, size) in enumerate(sizes.items())
    }


def _claims(images: dict[str, np.ndarray]) -> Claims:
    """Claims whose images alternate, so that their order is not that of the pictures."""
    triples = [("mug", "left of", "kettle"), ("a red mug", "above", "yes"), ("no", "on", "mug"),
               ("kettle", "in front of", "the left kettle"), ("mug", "contains", "x")]  # fmt: skip
    rows = [(image, triple) for triple in triples for image in images]
    return Claims.from_rows(
        {"claim_id": f"{place:03}", "image_id": image, "subject": subject, "relation": relation,
         "object": object_}
        for place, (image, (subject, relation, object_)) in enumerate(rows)
    )  # fmt: skip


def _asked_alone(
    answers: Answers, claims: Claims, images: dict[str, np.ndarray], folder: Path, captions: bool
) -> list[dict[str, Any]]:
    """The same questions as rows for ``lavis_tiny.py answer``, in the order of the answers."""
    said = {row["claim_id"]: row for row in claims.data.to_pylist()}
    for name, pixels in images.items():
        np.save(folder / f"{name}.plain.npy", pixels)
        np.save(folder / f"{name}.mirror.npy", np.ascontiguousarray(mirror(pixels)))
    asked = []
    for row in answers.data.to_pylist():
        claim = said[row["claim_id"]]
        triple = (claim["subject"], claim["relation"], claim["object"])
        reply = captions or row["prompt_id"] != STATEMENT
        text = (caption if captions else question)(triple, row["prompt_id"])
        if reply and not captions:
            text = f"Question: {text} Answer:"
        image = str(folder / f"{claim['image_id']}.{row['view']}.npy")
        asked.append({"image": image, "text": text, "reply": reply})
    return asked


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_answers_come_back_in_order_and_equal_lavis_asked_one_by_one(
    architecture: str, python: Path, tiny: Path, images: dict[str, np.ndarray], tmp_path: Path
) -> None:
    reference = f"lavis:{tiny / architecture}.yaml"
    asker = open_backend(f"{tiny / architecture}.yaml", reference, Options(memory=1 << 22))
    claims = _claims(images)
    answers = asker.ask(
        images, claims, views=("plain", "mirror"), prompts=("default", "picture", STATEMENT)
    )
    assert asker.revision is not None
    assert asker.revision.startswith("sha256:")
    asker.close()
    captions = architecture == "blip2_image_text_matching"
    asked = _asked_alone(answers, claims, images, tmp_path, captions)
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    yaml = str(tiny / f"{architecture}.yaml")
    printed = _run(python, tiny, "answer", yaml, str(tmp_path / "asked.json"))
    alone = json.loads(printed)

    rows = answers.data.to_pylist()
    assert [row["claim_id"] for row in rows[::6]] == claims.strings("claim_id")
    assert {row["status"] for row in rows} == {"ok"}
    replies = [(row, one) for row, one in zip(rows, alone, strict=True) if "margin" in one]
    for row, one in replies:
        assert row["entropy"] == pytest.approx(one["entropy"], abs=TOLERANCE)
        assert (row["answer"] == "unparsed") == (one["mass"] < 0.05)
        if row["answer"] != "unparsed":
            assert row["margin"] == pytest.approx(one["margin"], abs=TOLERANCE)
            p_yes = 1 / (1 + np.exp(-one["margin"]))
            # A statement asks nothing, of a matching model either.
            expected = (
                None if row["prompt_id"] == STATEMENT else pytest.approx(p_yes, abs=TOLERANCE)
            )
            assert row["p_yes"] == expected
        if captions:
            assert row["similarity"] == pytest.approx(one["similarity"], abs=TOLERANCE)
    for row, one in zip(rows, alone, strict=True):
        if "loglik" in one:
            assert row["loglik_per_token"] == pytest.approx(one["loglik"], abs=TOLERANCE)
            assert row["answer"] is None
    # The comparison would see rows that changed places: answers differ, and most are answers.
    assert sum(row["answer"] != "unparsed" for row, _ in replies) > len(replies) / 2
    assert len({round(one["margin"], 3) for _, one in replies}) > len(replies) / 2


def test_a_text_that_would_be_cut_is_refused_alone(tiny: Path, images: dict[str, Any]) -> None:
    target = str(tiny / "blip2_image_text_matching.yaml")
    asker = open_backend(target, f"lavis:{target}", Options())
    long = " ".join(["mug"] * 40)
    rows = [
        {"claim_id": str(place), "image_id": "b.png", "subject": subject, "relation": "left of",
         "object": "kettle"}
        for place, subject in enumerate(("mug", long))
    ]  # fmt: skip
    answers = asker.ask(images, Claims.from_rows(rows))
    asker.close()
    assert answers.strings("status") == ["ok", "text_too_long"]
    assert answers.strings("p_yes")[1] is None


def test_a_checkpoint_that_is_missing_is_a_clear_error(tiny: Path, images: dict[str, Any]) -> None:
    text = (tiny / "blip2_opt.yaml").read_text().replace("blip2_opt.pth", "nowhere.pth")
    (tiny / "broken.yaml").write_text(text)
    asker = open_backend(str(tiny / "broken.yaml"), "lavis:broken.yaml", Options())
    with pytest.raises(BackendError, match=r"could not load the model.*path is invalid"):
        asker.ask(images, _claims(images))


def test_an_architecture_that_is_not_ours_is_a_clear_error(tiny: Path, images: Any) -> None:
    text = (tiny / "blip2_opt.yaml").read_text().replace("arch: blip2_opt", "arch: albef_vqa")
    (tiny / "other.yaml").write_text(text)
    asker = open_backend(str(tiny / "other.yaml"), "lavis:other.yaml", Options())
    with pytest.raises(BackendError, match=r"model.arch is 'albef_vqa'; valid: blip2_opt"):
        asker.ask(images, _claims(images))


def test_the_types_we_list_are_those_that_lavis_knows(python: Path) -> None:
    code = (
        "import json, runpy, sys; runpy.run_path(sys.argv[1])['import_torchvision']()\n"
        "from lavis.common.registry import registry; import lavis.models\n"
        "print(json.dumps({n: list(registry.get_model_class(n).PRETRAINED_MODEL_CONFIG_DICT)"
        " for n in sys.argv[2:]}))"
    )
    operators = Path(__file__).parents[2] / "spatialtrust/backends/torchvision_operators.py"
    printed = subprocess.run(
        [str(python), "-I", "-W", "ignore", "-c", code, str(operators), *TYPES],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(printed.splitlines()[-1]) == {k: list(v) for k, v in TYPES.items()}


def test_installing_again_finds_it_made(python: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("lavis") == python == interpreter("lavis")
    assert "already installed" in capsys.readouterr().err


def test_the_environment_is_whole(python: Path) -> None:
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {
        f"{_plain_name(entry['name'])}=={entry['version'].partition('+')[0]}"
        for entry in json.loads(listed)
    }
    lines = ENVIRONMENTS["lavis"].pins.read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert {f"{_plain_name(name)}=={version}" for name, version in pins} <= found


def _plain_name(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
