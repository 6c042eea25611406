"""What a model of written claims is worth on enumerated pairs."""

import json

import numpy as np

from spatialtrust.evidence.readings import CUES, Readings
from spatialtrust.fusion.pairs import PairCalibration, of_pairs, shipped
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
    few = PairCalibration.fit(np.zeros(4), cell[:4], label[:4])
    many = PairCalibration.fit(np.zeros(400), cell, label)
    assert -0.8 < few.logit(np.zeros(1), cell[:1])[0] < 0
    assert abs(many.logit(np.zeros(1), cell[:1])[0] - np.log(1 / 3)) < 0.1


def test_a_calibration_comes_back_from_its_file():
    fitted = PairCalibration(0.5, -0.25, {"on/rests": 0.125})
    assert PairCalibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert shipped().slope > 0
