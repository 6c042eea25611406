"""Which reading of a claim boxes and everyday knowledge support."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.evidence.readings import CUES, PICTURE, SPACE, read
from spatialtrust.reasons import decode
from spatialtrust.relations import NAMES, RELATIONS
from spatialtrust.tables import Claims, Grounding

WORDS = ("cup", "dining table", "bowl", "person", "stop sign", "car", "spoon", "zorblax")


def readings(rows, boxes, size=(1, 1)):
    claims = Claims.from_rows(
        [
            {"claim_id": f"{i:03d}", "image_id": "a", "subject": s, "relation": r, "object": o}
            for i, (s, r, o) in enumerate(rows)
        ]
    )
    pairs = np.asarray(boxes, dtype=np.float32)
    return read(claims, Grounding.from_boxes(pairs[:, 0], pairs[:, 1], [size] * len(rows)))


def cue_of(subject, relation, other, ours, theirs):
    return str(readings([(subject, relation, other)], [[ours, theirs]]).cue[0])


TABLE = [0.1, 0.5, 0.9, 0.9]


@pytest.mark.parametrize(
    ("subject", "relation", "other", "ours", "theirs", "cue"),
    [
        ("lamp", "above", "dining table", [0.4, 0.1, 0.6, 0.3], TABLE, "over"),
        ("bench", "above", "dining table", [0.9, 0.1, 1.0, 0.3], [0.1, 0.5, 0.6, 0.9], "picture"),
        ("stop sign", "above", "car", [0.8, 0.1, 0.9, 0.2], [0.1, 0.5, 0.6, 0.9], "hangs"),
        ("cup", "on", "dining table", [0.4, 0.4, 0.5, 0.6], TABLE, "stacked"),
        ("cup", "on", "dining table", [0.2, 0.4, 0.3, 0.6], TABLE, "rests"),
        ("red cube", "on", "blue cube", [0.4, 0.3, 0.5, 0.45], [0.4, 0.4, 0.5, 0.6], "stacked"),
        ("red cube", "on", "blue ball", [0.4, 0.3, 0.5, 0.45], [0.4, 0.4, 0.5, 0.6], "picture"),
        ("fork", "on", "pizza", [0.4, 0.4, 0.5, 0.6], TABLE, "picture"),
        ("book", "in", "bed", [0.4, 0.6, 0.5, 0.7], TABLE, "picture"),
        ("cat", "in", "bed", [0.4, 0.6, 0.5, 0.7], TABLE, "holds"),
        ("cup", "in", "shelf", [0.4, 0.45, 0.5, 0.7], TABLE, "picture"),
        ("dining table", "under", "cup", TABLE, [0.2, 0.4, 0.3, 0.6], "rests"),
        ("dining table", "on", "cup", TABLE, [0.4, 0.4, 0.5, 0.6], "picture"),
        ("cup", "on", "spoon", [0.4, 0.4, 0.5, 0.6], TABLE, "picture"),
        ("cup", "on", "zorblax", [0.4, 0.4, 0.5, 0.6], TABLE, "rests_unknown"),
        ("apple", "in", "bowl", [0.4, 0.5, 0.5, 0.6], [0.3, 0.4, 0.7, 0.7], "holds"),
        ("bowl", "contains", "apple", [0.3, 0.4, 0.7, 0.7], [0.4, 0.5, 0.5, 0.6], "holds"),
        ("knife", "inside", "dining table", [0.4, 0.6, 0.5, 0.7], TABLE, "picture"),
        ("bench", "inside", "handbag", [0.4, 0.6, 0.5, 0.7], TABLE, "picture"),
        ("apple", "in", "zorblax", [0.4, 0.6, 0.5, 0.7], TABLE, "holds_unknown"),
        ("cup", "touching", "dining table", [0.4, 0.4, 0.5, 0.6], TABLE, "rests"),
        ("person", "touching", "person", [0.1, 0.1, 0.4, 0.9], [0.3, 0.1, 0.6, 0.9], "depth"),
        ("person", "in front of", "car", [0.3, 0.3, 0.4, 0.9], [0.1, 0.4, 0.6, 0.7], "nearer"),
        ("car", "behind", "person", [0.1, 0.4, 0.6, 0.7], [0.3, 0.3, 0.4, 0.9], "nearer"),
        ("car", "in front of", "person", [0.1, 0.4, 0.6, 0.7], [0.3, 0.3, 0.4, 0.9], "depth"),
        (
            "person",
            "next to",
            "person",
            [0.1, 0.1, 0.3, 0.9],
            [0.35, 0.1, 0.6, 0.9],
            "side by side",
        ),
        ("person", "next to", "person", [0.1, 0.1, 0.3, 0.9], [0.35, 0.1, 0.6, 0.5], "close"),
        ("person", "next to", "person", [0.1, 0.1, 0.2, 0.3], [0.25, 0.1, 0.6, 0.9], "depth"),
        ("person", "left of", "person", [0.1, 0.1, 0.3, 0.9], [0.35, 0.1, 0.6, 0.9], "beside"),
        ("cup", "left of", "dining table", [0.4, 0.4, 0.5, 0.6], TABLE, "picture"),
        ("cup", "facing", "dining table", [0.4, 0.4, 0.5, 0.6], TABLE, "not_read"),
        ("cup", "on", "dining table", [np.nan] * 4, TABLE, "not_read"),
    ],
)
def test_what_a_reading_stands_on(subject, relation, other, ours, theirs, cue):
    assert cue_of(subject, relation, other, ours, theirs) == cue


def test_picture_alone_and_depth_abstain_by_name():
    found = readings(
        [("bench", "above", "person"), ("person", "touching", "person"), ("cup", "left of", "cup")],
        [[[0.8, 0.1, 0.9, 0.2], [0.1, 0.5, 0.3, 0.9]]] * 3,
    )
    assert found.meaning.to_pylist() == [PICTURE, None, "in space"]
    assert decode(found.reasons).to_pylist() == [["picture_only"], ["needs_depth"], []]


def test_only_some_rows():
    found = readings([("cup", "left of", "cup")] * 2, [[[0, 0, 0.1, 0.1], [0.5, 0, 0.6, 0.1]]] * 2)
    some = found.only(np.array([False, True]))
    assert some.meaning.to_pylist() == [None, SPACE]
    assert not some.reasons.any()


@st.composite
def scenes(draw):
    corner = st.integers(0, 80)
    extent = st.integers(4, 40)
    boxes = []
    for _ in range(2):
        x, y, w, h = draw(corner), draw(corner), draw(extent), draw(extent)
        boxes.append([x / 128, y / 128, min(x + w, 128) / 128, min(y + h, 128) / 128])
    return draw(st.sampled_from(WORDS)), draw(st.sampled_from(WORDS)), boxes


@given(scenes())
def test_a_mirrored_picture_is_read_alike(scene):
    subject, other, boxes = scene
    rows = [(subject, name, other) for name in NAMES]
    mirrored = [[1 - box[2], box[1], 1 - box[0], box[3]] for box in boxes]
    here = readings(rows, [boxes] * len(rows)).place
    assert here.tolist() == readings(rows, [mirrored] * len(rows)).place.tolist()


@given(scenes(), st.sampled_from([2, 512]))
def test_pixels_are_read_as_fractions_are(scene, scale):
    subject, other, boxes = scene
    rows = [(subject, name, other) for name in NAMES]
    pixels = np.asarray(boxes) * scale
    here = readings(rows, [boxes] * len(rows)).place
    there = readings(rows, [pixels] * len(rows), (scale, scale)).place
    assert here.tolist() == there.tolist()


@given(scenes())
def test_a_converse_is_read_alike(scene):
    subject, other, boxes = scene
    for name in ("above", "left of", "in front of", "next to", "near", "touching", "contains"):
        converse = RELATIONS[name].converse
        here = readings([(subject, name, other)], [boxes]).place
        there = readings([(other, converse, subject)], [boxes[::-1]]).place
        assert CUES[int(here[0])] == CUES[int(there[0])]
