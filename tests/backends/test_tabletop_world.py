"""The rendered world: the same scene twice, exact boxes, and a truth that obeys its own axioms."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.backends import tabletop
from spatialtrust.backends.tabletop.render import silhouettes
from spatialtrust.backends.tabletop.scene import Scene, SceneObject, project
from spatialtrust.backends.tabletop.truth import MARGIN, pair_truth
from spatialtrust.errors import FileError, InputError
from spatialtrust.relations import RELATIONS as VOCABULARY

scenes = st.builds(
    tabletop.sample_scene, st.integers(0, 10_000), st.sampled_from(tabletop.DIFFICULTIES)
)


def put(**places: float | int | str) -> SceneObject:
    """A cube in the middle of the table, changed as told."""
    given = {"shape": "cube", "colour": "red", "x": 0.0, "y": 0.0, "z": 3.0, "width": 0.5,
             "height": 0.5, "yaw": 0.0, "surface": -1}  # fmt: skip
    return SceneObject(**(given | places))  # type: ignore[arg-type]


def pair(first: SceneObject, second: SceneObject, touching: bool = False) -> Scene:
    contacts = frozenset({(0, 1)}) if touching else frozenset()
    return Scene(0, "clean", 128, (first, second), contacts)


@settings(max_examples=15, deadline=None)
@given(scenes)
def test_the_same_scene_gives_the_same_bytes(scene):
    again = tabletop.sample_scene(scene.seed, scene.difficulty)
    assert again == scene
    assert np.array_equal(tabletop.render(again), tabletop.render(scene))


@settings(max_examples=25, deadline=None)
@given(scenes)
def test_boxes_and_shares_are_those_of_the_visible_silhouettes(scene):
    boxes, shares = silhouettes(scene.objects, scene.size)
    assert [list(item.box) for item in scene.objects] == boxes.tolist()
    assert [item.visible for item in scene.objects] == pytest.approx(shares.tolist())
    assert (shares > 0).all()
    assert (shares <= 1).all()


def test_a_box_is_where_the_picture_changes():
    scene = tabletop.sample_scene(5)
    last = scene.objects[-1]  # painted last: nothing hides it
    without = Scene(scene.seed, "clean", scene.size, scene.objects[:-1], frozenset())
    x1, y1, x2, y2 = last.box
    alone, _ = silhouettes([last], scene.size)
    assert alone[0].tolist() == [x1, y1, x2, y2]
    assert len(without.objects) == len(scene.objects) - 1


@settings(max_examples=25, deadline=None)
@given(scenes)
def test_truth_agrees_with_converses_and_opposites(scene):
    truth = {(a, name, b): value for a, name, b, value in tabletop.scene_truth(scene)}
    for (a, name, b), value in truth.items():
        relation = VOCABULARY[name]
        if relation.converse in tabletop.RELATIONS:
            assert truth[b, relation.converse, a] == value
        if relation.opposite in tabletop.RELATIONS and value:
            assert truth[a, relation.opposite, b] is False
        if relation.symmetric:
            assert truth[b, name, a] == value
        if name == "on" and value:
            assert truth[a, "touching", b] is True
            assert truth[a, "above", b] is True


def test_truth_covers_every_ordered_pair_and_relation():
    scene = tabletop.sample_scene(11)
    keys = [(a, name, b) for a, name, b, _ in tabletop.scene_truth(scene)]
    count = len(scene.objects)
    assert len(set(keys)) == len(keys) == count * (count - 1) * len(tabletop.RELATIONS)


def test_farther_back_is_higher_in_the_picture_and_not_above():
    near, far = put(z=2.6), put(z=4.4, colour="blue")
    rows = project(np.array([[0.0, 0.0, near.z], [0.0, 0.0, far.z]]), 128)[:, 1]
    assert rows[1] < rows[0]
    truth = pair_truth(pair(far, near), 0, 1)
    assert (truth["above"], truth["below"], truth["behind"]) == (False, False, True)


def test_a_stack_is_above_on_and_touching_and_neither_before_nor_behind():
    low, high = put(), put(y=0.5, surface=0, shape="ball")
    truth = pair_truth(pair(low, high, touching=True), 1, 0)
    assert [truth[name] for name in ("above", "on", "touching")] == [True, True, True]
    assert truth["in front of"] is truth["behind"] is None


@pytest.mark.parametrize(("shift", "label"), [(MARGIN * 0.9, None), (MARGIN * 1.1, True)])
def test_near_ties_are_unlabelled(shift, label):
    assert pair_truth(pair(put(x=shift), put(z=3.6)), 0, 1)["right of"] is label


def test_contact_needs_contact():
    apart = pair(put(x=-0.6), put(x=0.6))
    assert pair_truth(apart, 0, 1)["touching"] is False
    assert pair_truth(pair(put(x=-0.25), put(x=0.25), touching=True), 0, 1)["touching"] is True


def test_two_objects_of_one_name_are_ambiguous():
    scene = pair(put(x=-1.0), put(x=1.0))
    assert scene.ambiguous(0)
    assert not pair(put(), put(colour="blue")).ambiguous(0)


def test_difficulties_differ_as_their_names_say():
    pictures = {
        name: np.stack([tabletop.render(tabletop.sample_scene(i, name)) for i in range(12)])
        for name in tabletop.DIFFICULTIES
    }
    sharpness = {
        name: np.mean([cv2.Laplacian(cv2.medianBlur(p, 3), cv2.CV_64F).var() for p in group])
        for name, group in pictures.items()
    }
    assert pictures["dim"].mean() < 0.6 * pictures["clean"].mean()
    assert sharpness["blurred"] < 0.5 * sharpness["clean"]
    hidden = [
        min(o.visible for o in tabletop.sample_scene(i, "occluded").objects) for i in range(12)
    ]
    assert max(hidden) < 0.7


def test_a_dataset_is_read_as_claims_with_boxes(tmp_path):
    from spatialtrust.io.claim_files import read_claims

    truth = tabletop.write_dataset(tmp_path, 3, seed=2, difficulty="occluded")
    rows = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    read = read_claims(truth)
    assert not read.faults
    assert len(read.claims) == len(rows)
    assert {row["label"] for row in rows} == {0, 1, None}
    picture = cv2.imread(str(tmp_path / rows[0]["image"]))[..., ::-1]
    assert np.array_equal(picture, tabletop.render(tabletop.sample_scene(2, "occluded")))


def test_a_dataset_of_twins_marks_claims_whose_phrases_name_two_objects(tmp_path):
    truth = tabletop.write_dataset(tmp_path, 4, seed=0, twins=True)
    rows = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    for place in range(4):
        scene = tabletop.sample_scene(place, twins=True)
        names = [item.phrase for item in scene.objects]
        mine = [row for row in rows if row["image"].endswith(f"{place:08d}.png")]
        assert any(row["ambiguous"] for row in mine)
        for row in mine:
            twice = max(names.count(row["subject"]), names.count(row["object"])) > 1
            assert row["ambiguous"] is twice


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((-1,), "seed -1"), ((0, "foggy"), '"foggy"'), ((0, "clean", 8), "size 8")],
)
def test_scenes_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        tabletop.sample_scene(*arguments)


def test_a_dataset_of_nothing_or_nowhere_is_refused(tmp_path):
    with pytest.raises(InputError, match="n is 0"):
        tabletop.write_dataset(tmp_path, 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        tabletop.write_dataset(tmp_path / "file", 1)
