"""The main job, live, on scenes whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from spatialtrust.backends.tabletop import scene_truth
from spatialtrust.backends.tabletop.training.pool import TRAINING_SEEDS
from spatialtrust.cli.commands import app
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph.files import load_graph
from spatialtrust.jobs.demo import (
    ASKERS,
    CLAIMS,
    FIRST_SEED,
    claims_about,
    demo,
    draw_scenes,
    examine,
    write_pictures,
)
from spatialtrust.plots import save_curves
from spatialtrust.run.config import SHIPPED_FOR


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(
        app, ["demo", "--out", str(out), "--scenes", "8", "--resamples", "20"]
    )
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


@pytest.mark.parametrize("asker", ASKERS)
def test_both_askers_get_graphs_pictures_and_every_way_to_trust_them(shown, asker: str) -> None:
    out, found = shown
    ways = found[asker]["ways"]
    assert list(ways) == [
        "VLM confidence", "five-prompt text", "geometry alone", "base method", "trust model",
        "trust model, may correct", "verifier alone",
    ]  # fmt: skip
    assert found[asker]["true"] == 0.5
    assert found[asker]["unanswered"] == 0
    assert ways["trust model"]["auroc"]["value"] > ways["VLM confidence"]["auroc"]["value"] + 0.1
    assert ways["trust model"]["auroc"]["low"] < ways["trust model"]["auroc"]["value"]
    assert found[asker]["certified"]["promise"].startswith("at most 5.0% wrong")
    run = out / asker.replace(":", "-")
    graphs = sorted((run / "graphs").iterdir())
    assert len(graphs) == len(list((run / "overlays").iterdir())) == 8
    assert sum(len(load_graph(path).edges) for path in graphs) > 8


def test_the_pictures_of_curves_and_the_figures_are_there(shown) -> None:
    out, found = shown
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((out / "demo.json").read_text())
    for asker in ASKERS:
        curves = kept[asker].pop("curves")
        assert set(curves) == set(found[asker]["ways"])
        for curve in curves.values():
            assert curve["coverage"][-1] == 1.0
            assert len(curve["coverage"]) == len(curve["accuracy"])
    assert kept == found


def test_a_second_run_goes_on_from_the_first(shown) -> None:
    out, found = shown
    seen: list[int] = []
    again = demo(out, scenes=8, resamples=20, progress=lambda asker, count: seen.append(count))
    assert again[ASKERS[0]]["ways"] == found[ASKERS[0]]["ways"]


def test_half_of_the_claims_of_every_relation_are_true_and_all_are_told_from_the_scene() -> None:
    scenes = draw_scenes(12, 40)
    claims = claims_about(scenes)
    rows = claims.data.to_pylist()
    assert claims_about(scenes).data.equals(claims.data)
    for image_id, scene in scenes.items():
        truth = {
            (scene.objects[s].phrase, r, scene.objects[o].phrase): t
            for s, r, o, t in scene_truth(scene)
        }
        here = [row for row in rows if row["image_id"] == image_id]
        said = [(row["subject"], row["relation"], row["object"]) for row in here]
        assert len(set(said)) == len(said)
        assert [truth[claim] for claim in said] == [bool(row["label"]) for row in here]
        for relation in {row["relation"] for row in here}:
            labels = [row["label"] for row in here if row["relation"] == relation]
            assert np.mean(labels) == 0.5
            assert len(labels) <= 2 * CLAIMS


@pytest.mark.parametrize("asker", ASKERS)
def test_what_ships_for_an_asker_has_not_seen_the_scenes_it_is_judged_on(asker: str) -> None:
    model = TrustModel.load(SHIPPED_FOR[asker])
    assert model.asker == asker
    assert model.uses_answers
    assert not model.for_pairs
    assert "rendered tabletop scenes" in model.calibrated_on
    assert model.seen_share(claims_about(draw_scenes(96, FIRST_SEED))) == 0.0
    assert FIRST_SEED + 96 < TRAINING_SEEDS


def test_edges_to_boxes_where_nothing_is_seldom_go_out(tmp_path: Path) -> None:
    """Every phrase of the world is looked for: most are not there, some get a box all the same."""
    scenes = draw_scenes(24, 750_000)
    write_pictures(scenes, tmp_path / "scenes")
    stages = ("detect", "claims", "ask", "gather")
    exam = examine(ASKERS[0], scenes, tmp_path, stages, vocabulary=True)
    p_true = TrustModel.load(SHIPPED_FOR[ASKERS[0]]).predict(exam.features).p_true
    edges = p_true >= 0.8
    assert edges.sum() > 100
    assert exam.label[edges].mean() > 0.85
    assert exam.label[edges].mean() > 1.5 * exam.label.mean()


def test_bad_input_to_the_demo_is_one_clear_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--scenes", "2", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "greater than or equal to 8" in result.output


def test_a_panel_is_drawn_for_each_vlm(tmp_path: Path) -> None:
    curve = {"coverage": [0.5, 1.0], "accuracy": [1.0, 0.5]}
    save_curves({"one": {"a": curve, "b": curve}}, tmp_path / "one.png")
    save_curves({"one": {"a": curve}, "two": {"a": curve}}, tmp_path / "two.png")
    assert (tmp_path / "two.png").stat().st_size > (tmp_path / "one.png").stat().st_size
