"""The shipped checkpoints: whole, small, and opened by the code that opens the large models."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra hf")

from spatialtrust.backends import tabletop
from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.backends.tabletop.training.manifest import LIMIT, NAME, hashes
from spatialtrust.backends.tabletop.training.measure import asker_figures, detector_figures
from spatialtrust.tables import Claims

MODELS = ("blip2", "clip", "grounding-dino")


@pytest.fixture(scope="module")
def manifest():
    return json.loads((tabletop.CHECKPOINTS / NAME).read_text("utf-8"))


def test_files_are_those_that_were_measured_and_small(manifest):
    assert manifest["files"] == hashes(tabletop.CHECKPOINTS)
    size = sum((tabletop.CHECKPOINTS / name).stat().st_size for name in manifest["files"])
    assert size <= LIMIT


@pytest.mark.parametrize("model", MODELS)
def test_weights_are_safetensors_and_no_file_can_run(model):
    kinds = {path.suffix for path in (tabletop.CHECKPOINTS / model).iterdir()}
    assert kinds <= {".safetensors", ".json"}


def test_the_detector_still_finds_what_the_manifest_says(manifest):
    scenes = 25
    found = detector_figures(tabletop.CHECKPOINTS / "grounding-dino", scenes, 0)["clean"]
    stated = manifest["figures"]["grounding-dino"]["clean"]["found"]
    slack = 3 * np.sqrt(stated * (1 - stated) / found["phrases"]) + 0.01
    assert found["found"] >= stated - slack


def test_a_phrase_of_several_pieces_gets_its_own_box():
    seed = next(
        seed
        for seed in range(1000)
        if {"turquoise cylinder", "yellow pyramid"}
        <= {item.phrase for item in tabletop.sample_scene(seed).objects}
    )
    scene = tabletop.sample_scene(seed)
    detector = open_detector("tabletop", Options(device="cpu", top_k=1))
    asked = [item.phrase for item in scene.objects]
    found = detector.detect({"a.png": tabletop.render(scene)}, {"a.png": asked}).data.to_pylist()
    best = {row["phrase"]: [row["x1"], row["y1"], row["x2"], row["y2"]] for row in found}
    for item in scene.objects:
        if item.phrase in {"turquoise cylinder", "yellow pyramid"}:
            assert np.abs(np.array(best[item.phrase]) - item.box).max() < 8


@pytest.mark.parametrize("reference", ["tabletop", "tabletop:clip", "tabletop:blip2"])
def test_askers_answer_every_claim_of_the_world(reference):
    scene = tabletop.sample_scene(1)
    rows = [
        {"claim_id": f"{place:04d}", "image_id": "a.png", "subject": scene.objects[a].phrase,
         "relation": relation, "object": scene.objects[b].phrase}
        for place, (a, relation, b, _) in enumerate(tabletop.scene_truth(scene))
    ]  # fmt: skip
    answers = open_asker(reference, Options(device="cpu")).ask(
        {"a.png": tabletop.render(scene)}, Claims.from_rows(rows)
    )
    p_yes = answers.data["p_yes"].to_numpy()
    assert len(p_yes) == len(rows)
    assert ((p_yes >= 0) & (p_yes <= 1)).all()


@pytest.mark.parametrize("model", ["blip2", "clip"])
def test_askers_are_as_good_as_the_manifest_says(model, manifest):
    found = asker_figures(f"tabletop:{model}", 25, 0)["clean"]
    stated = manifest["figures"][model]["clean"]
    assert found["unparsed"] == stated["unparsed"] == 0
    # Few scenes have few claims of "on", so relations weigh as much as each other here.
    here, there = (
        np.mean(list(figures["accuracy_by_relation"].values())) for figures in (found, stated)
    )
    assert abs(here - there) < 3 * 0.5 / np.sqrt(found["claims"]) + 0.01


def test_blip2_knows_much_and_is_blind_to_left_and_right_and_clip_knows_nothing(manifest):
    clean = {name: manifest["figures"][name]["clean"] for name in ("blip2", "clip")}
    known = clean["blip2"]["accuracy_by_relation"]
    assert min(known[name] for name in ("above", "below", "on", "touching")) > 0.9
    assert max(abs(known[name] - 0.5) for name in ("left of", "right of")) < 0.05
    assert abs(clean["clip"]["accuracy"] - 0.5) < 0.03
