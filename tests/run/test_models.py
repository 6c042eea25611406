"""A run opens each of its models once and hands it down."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spatialtrust import Claims, SpatialTrust
from spatialtrust.cli.commands import app
from spatialtrust.fusion import model_file
from spatialtrust.run import models
from spatialtrust.run.plan import STAGES, execute, prepare, stages_of
from tests.conftest import ROOT
from tests.helpers.runs import copies, settings

SCENE = ROOT / "data" / "tabletop" / "clean-00000012.png"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kind of model was opened."""
    count: Counter[str] = Counter()

    def counting(name: str, original: Any) -> Any:
        def spy(*arguments: Any) -> Any:
            count[name] += 1
            return original(*arguments)

        return spy

    monkeypatch.setattr(model_file, "read", counting("trust", model_file.read))
    for name in ("detector", "asker"):
        spy = counting(name, getattr(models, f"open_{name}"))
        monkeypatch.setattr(models, f"open_{name}", spy)
    return count


def test_a_certified_run_reads_its_trust_model_once(tmp_path: Path, opened: Counter[str]) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    claims = Claims.from_rows(
        [{"claim_id": "0", "image_id": "a/0000.jpg", "subject": "kettle", "relation": "left of",
          "object": "mug", "source": "user"}]
    )  # fmt: skip
    config = settings(boxes, accuracy=0.8, repair=False)
    found = execute(prepare(config, tmp_path / "run", [images], claims))
    assert found["decided_by"].startswith("approximately, at most 20.0% wrong")
    assert opened == {"trust": 1}


def test_a_live_run_opens_its_backends_once(tmp_path: Path, opened: Counter[str]) -> None:
    st = SpatialTrust("tabletop:clip", "tabletop:grounding-dino", overlays=False)
    st.graphs([SCENE], tmp_path / "run", ["yellow mug", "green cone"])
    first = st.graph(SCENE, ["yellow mug", "turquoise pyramid"])
    second = st.graph(SCENE, ["yellow mug"])
    assert set(first.objects.strings("phrase")) == {"yellow mug", "turquoise pyramid"}
    assert set(second.objects.strings("phrase")) == {"yellow mug"}
    assert st.config.objects == ()
    assert opened == {"trust": 1, "detector": 1, "asker": 1}


def test_a_stage_that_travels_leaves_its_model_and_its_opener_behind(tmp_path: Path) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    job = prepare(settings(boxes, asker="tabletop:clip"), tmp_path / "run", [images])
    for stage in stages_of(job, STAGES):
        assert "_opened" not in pickle.loads(pickle.dumps(stage)).__dict__


def test_recorded_boxes_are_read_once_also_where_claims_are_read_with_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    claims = tmp_path / "claims.csv"
    claims.write_text("image,caption\na/0000.jpg,The kettle is left of the mug.\n")
    read: list[Path] = []

    def counting(path: Path) -> Any:
        read.append(path)
        return original(path)

    original = models.read_detections
    monkeypatch.setattr(models, "read_detections", counting)
    arguments = ["graph", images, "--detections", boxes, "--claims", claims, "--asker", "none"]
    arguments += ["--no-overlays", "--out", tmp_path / "run"]
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    assert len(read) == 1
