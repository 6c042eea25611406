"""Scenes with things that contain and support, and what is true of them in space."""

from __future__ import annotations

import numpy as np

from spatialtrust.backends.tabletop.furnished import furnished_scene
from spatialtrust.backends.tabletop.render import render, silhouettes
from spatialtrust.backends.tabletop.scene import FURNITURE, HOLLOW
from spatialtrust.backends.tabletop.truth import truth_in_space

SCENES = [furnished_scene(seed) for seed in range(80)]


def _pairs():
    for scene in SCENES:
        for first, item in enumerate(scene.objects):
            for second, other in enumerate(scene.objects):
                if first != second:
                    truth = truth_in_space(scene, first, second)
                    yield scene, (first, item), (second, other), truth


def test_every_kind_of_furniture_is_drawn_and_used():
    shapes = {item.shape for scene in SCENES for item in scene.objects}
    assert shapes >= set(FURNITURE)
    used = {s.objects[i.surface].shape for s in SCENES for i in s.objects if i.surface >= 0}
    assert used >= set(FURNITURE)


def test_boxes_are_those_of_what_is_visible_and_lie_in_the_picture():
    for scene in SCENES[:5]:
        boxes, shares = silhouettes(scene.objects, scene.size)
        assert [list(item.box) for item in scene.objects] == boxes.tolist()
        assert (shares > 0.3).all()
        assert render(scene).shape == (scene.size, scene.size, 3)


def test_a_wall_hides_the_foot_of_what_stands_in_a_bowl():
    hidden = [item for scene in SCENES for item in scene.objects
              if item.surface >= 0 and scene.objects[item.surface].shape in HOLLOW]  # fmt: skip
    assert hidden
    assert np.mean([item.visible for item in hidden]) < 0.95


def test_things_are_in_what_is_hollow_and_on_what_is_not():
    for _, (_, item), (second, other), truth in _pairs():
        if item.surface != second:
            assert truth["in"] is not True
            assert truth["on"] is not True
        elif other.shape in HOLLOW:
            assert (truth["in"], truth["on"]) == (True, None)
        else:
            assert truth["on"] is True
            assert truth["above"] is True


def test_above_needs_more_than_height_and_neighbours_share_a_surface():
    for _, (_, item), (_, other), truth in _pairs():
        if truth["above"]:
            assert item.y > other.y
            assert np.hypot(item.x - other.x, item.z - other.z) < item.reach + other.reach
        if truth["next to"]:
            assert item.surface == other.surface
