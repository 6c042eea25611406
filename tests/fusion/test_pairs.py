"""What a model of written claims is worth on enumerated pairs."""

import json
from dataclasses import replace

import numpy as np

from spatialtrust.evidence.readings import CUES, Readings
from spatialtrust.fusion.pairs import Judged, PairCalibration, of_pairs, shipped
from spatialtrust.relations import NAMES
from spatialtrust.tables import Fused


def said(cues, reasons):
    place = np.array([CUES.index(cue) for cue in cues], dtype=np.int8)
    half = np.full(len(cues), 0.9, dtype=np.float32)
    fused = Fused(half, half, np.zeros(len(cues), dtype=np.uint32))
    relation = np.full(len(cues), NAMES.index("on"))
    return of_pairs(fused, relation, Readings(place, np.array(reasons, dtype=np.uint32)))


def test_what_boxes_do_not_tell_is_unknown_and_says_why():
    found = said(["picture", "rests", "not_read"], [8, 0, 0])
    assert np.isnan(found.p_true).tolist() == [True, False, False]
    assert np.isnan(found.p_boxes).tolist() == [True, False, False]
    assert found.reasons.tolist() == [8, 0, 0]
    assert found.p_true[2] == np.float32(0.9)


def test_not_knowing_a_thing_costs_confidence():
    found = said(["rests", "rests_unknown"], [0, 0]).p_true
    assert found[1] < found[0]


def test_few_labels_move_it_little_and_many_far():
    cell = np.array(["on/rests"] * 400)
    label = np.tile([1, 0, 0, 0], 100)
    whole = Judged(np.zeros(400), cell, label, np.ones(400))
    few = PairCalibration.fit(whole.select(np.arange(400) < 4))
    many = PairCalibration.fit(whole)
    assert -0.8 < few.logit(np.zeros(1), cell[:1])[0] < 0
    assert abs(many.logit(np.zeros(1), cell[:1])[0] - np.log(1 / 3)) < 0.1


def test_a_calibration_comes_back_from_its_file():
    fitted = PairCalibration({"on/rests": (0.5, 0.125)}, (1.0, -0.25))
    assert PairCalibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert shipped().common[0] > 0


def test_rendered_scenes_teach_what_photos_do_not_show_and_count_no_more_than_they_may():
    photos = Judged(np.zeros(2), np.array(["on/rests"] * 2), np.ones(2), np.ones(2))
    cell = np.array(["on/stacked"] * 5000 + ["on/rests"] * 5000)
    label = np.tile([1.0, 1.0, 1.0, 0.0], 2500)
    scenes = Judged(np.zeros(10_000), cell, label, np.ones(10_000))
    fitted = PairCalibration.fit(photos, scenes)
    probability = 1 / (1 + np.exp(-fitted.logit(np.zeros(1), np.array(["on/stacked"]))))
    assert 0.6 < probability[0] < 0.8
    fewer = PairCalibration.fit(photos, scenes.select(np.arange(10_000) % 10 < 8))
    assert np.allclose(list(fitted.cells.values()), list(fewer.cells.values()), atol=0.02)


def test_what_was_judged_twice_counts_once():
    twice = Judged(np.zeros(2), np.array(["on/rests"] * 2), np.zeros(2), np.full(2, 0.5))
    once = twice.select(np.array([True, False]))
    fitted = [PairCalibration.fit(rows) for rows in (twice, replace(once, weight=np.ones(1)))]
    assert np.allclose(*(np.array(list(each.cells.values())) for each in fitted), atol=1e-6)
