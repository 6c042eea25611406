from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from spatialtrust.io.parquet import write_table
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare
from spatialtrust.tables import Answers
from tests.conftest import ROOT
from tests.helpers.runs import TABLES, close, copies, settings, tables

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_ray_gives_what_the_local_engine_gives(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings(action="ignore"):
        ray = pytest.importorskip("ray")
    images, boxes = copies(tmp_path / "photos", 9)
    execute(prepare(settings(boxes), tmp_path / "local", [images]))
    claims = tables(tmp_path / "local")["claims"]["claim_id"]
    answers = Answers.from_columns(
        {"claim_id": claims, "model": ["m"] * len(claims), "view": ["plain"] * len(claims),
         "form": ["claim"] * len(claims), "prompt_id": ["default"] * len(claims),
         "answer": ["yes"] * len(claims), "p_yes": np.linspace(0.5, 1, len(claims))}
    )  # fmt: skip
    write_table(answers.data, tmp_path / "answers.parquet")
    asker = f"recorded:{tmp_path / 'answers.parquet'}"
    names = (*TABLES, "answers")
    execute(prepare(settings(boxes, asker=asker), tmp_path / "both", [images]))
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        job = prepare(settings(boxes, asker=asker, engine="ray"), tmp_path / "ray", [images])
        counts: list[int] = []
        execute(job, progress=counts.append)
        assert sum(counts) == 9
        assert close(tables(tmp_path / "ray", names), tables(tmp_path / "both", names))
        again = prepare(
            settings(boxes, asker=asker, engine="ray", min_confidence=0.9), tmp_path / "ray"
        )
        execute(again, ("decide", "link"))
    finally:
        ray.shutdown()
    strict = settings(boxes, asker=asker, min_confidence=0.9)
    execute(prepare(strict, tmp_path / "both"), ("decide", "link"))
    assert close(tables(tmp_path / "ray", names), tables(tmp_path / "both", names))


def test_live_models_are_actors_and_give_what_they_give_here(tmp_path, monkeypatch) -> None:
    """The tabletop demo: detector and asker each in an actor, two parts at once."""
    pytest.importorskip("torch")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings(action="ignore"):
        ray = pytest.importorskip("ray")
    objects = tuple((ROOT / "data/tabletop/objects.txt").read_text().split("\n"))
    config = RunConfig(
        detector="tabletop:grounding-dino", asker="tabletop:blip2", part_size=2, overlays=False,
        objects=tuple(name for name in objects if name),
    )  # fmt: skip
    names = (*TABLES, "answers")
    images = [ROOT / "data" / "tabletop"]
    execute(prepare(config, tmp_path / "local", images))
    try:
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
        execute(prepare(replace(config, engine="ray"), tmp_path / "ray", images))
    finally:
        ray.shutdown()
    local = tables(tmp_path / "local", names)
    assert local["answers"].num_rows > 5
    assert close(tables(tmp_path / "ray", names), local)


def test_photos_with_recorded_boxes_are_equal_on_both(tmp_path, monkeypatch, shared_data) -> None:
    photos = shared_data / "photos"
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings(action="ignore"):
        ray = pytest.importorskip("ray")
    config = settings(photos / "annotations.json", part_size=6)
    execute(prepare(config, tmp_path / "local", [photos / "images"]))
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        execute(prepare(replace(config, engine="ray"), tmp_path / "ray", [photos / "images"]))
    finally:
        ray.shutdown()
    local = tables(tmp_path / "local")
    assert len(local["images"]) == 24
    assert close(tables(tmp_path / "ray"), local)
