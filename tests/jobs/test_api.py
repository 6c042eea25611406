"""Three lines of Python give what the command gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialtrust import SpatialTrust
from spatialtrust.errors import InputError
from tests.conftest import ROOT

LIFES = ROOT / "data" / "still_lifes"


def _recorded(**settings: object) -> SpatialTrust:
    return SpatialTrust(detector=f"recorded:{LIFES / 'boxes.json'}", **settings)


def test_unknown_settings_name_the_closest() -> None:
    with pytest.raises(InputError, match='did you mean "min_confidence"'):
        SpatialTrust(min_confidense=0.9)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"uint8 \(height, width, 3\) RGB"):
        _recorded().graph(np.zeros((4, 4)), objects=["mug"])
    with pytest.raises(InputError, match="no objects were given"):
        _recorded().graph(LIFES / "shelf.jpg")


def test_a_detector_is_named_or_it_is_an_error() -> None:
    for asker in (None, "tabletop:clip"):
        with pytest.raises(InputError, match=r"no detector is set.*--detections FILE"):
            SpatialTrust(asker)


def test_two_thresholds_at_once_are_an_error() -> None:
    with pytest.raises(InputError, match=r"min_confidence .* and accuracy"):
        _recorded(min_confidence=0.8, accuracy=0.9)
    assert _recorded(min_confidence=0.7, accuracy=0.0).config.min_confidence == 0.7


@pytest.mark.parametrize("objects", ["kettle. mug.", "kettle, mug", ["kettle. mug."]])
def test_a_prompt_is_as_good_as_a_list(objects: Any) -> None:
    wanted = _recorded().graph(LIFES / "breakfast.jpg", ["kettle", "mug"])
    found = _recorded().graph(LIFES / "breakfast.jpg", objects)
    assert found.objects.strings("phrase") == wanted.objects.strings("phrase") != []
    set_once = _recorded(objects=objects).graph(LIFES / "breakfast.jpg")
    assert set_once.objects.strings("phrase") == wanted.objects.strings("phrase")


def test_a_run_folder_holds_what_the_command_writes(tmp_path: Path) -> None:
    found = _recorded(overlays=False).graphs([LIFES], tmp_path / "run")
    assert found["graphs"] == 4
    assert found["edges"] > 0


@pytest.mark.parametrize("asker", [None, "tabletop:blip2", "tabletop:clip"])
def test_an_image_becomes_a_graph_through_live_models(asker: str | None) -> None:
    st = SpatialTrust(asker=asker, detector="tabletop:grounding-dino", min_confidence=0.7)
    scene = ROOT / "data" / "tabletop" / "clean-00000012.png"
    graph = st.graph(scene, objects=["turquoise pyramid", "yellow mug", "green cone"])
    assert sorted(graph.objects.strings("phrase")) == ["turquoise pyramid", "yellow mug"]
    found = graph.query(subject="turquoise pyramid", relation="left of", object="yellow mug")
    assert [edge.confidence > 0.7 for edge in found] == [True]
    assert {edge.relation for edge in graph.query(subject="yellow mug", relation="right of")} == {
        "right of"
    }
    assert graph.prune(min_confidence=1.0).edges.num_rows <= graph.edges.num_rows
