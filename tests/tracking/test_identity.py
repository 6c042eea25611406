"""Things keep their ids."""

from __future__ import annotations

import json

import numpy as np

from spatialtrust.tracking.identity import KEEP, Tracker


def _boxes(*lefts: float, size: float = 20.0) -> np.ndarray:
    return np.array([[x, 10.0, x + size, 10.0 + size] for x in lefts])


def test_two_things_of_one_name_keep_their_ids_whatever_the_order_of_boxes() -> None:
    tracker = Tracker()
    for step in range(20):
        x = 3.0 * step
        boxes = _boxes(x, 200 - x) if step % 2 else _boxes(200 - x, x)
        tracks = tracker.step(step / 10, boxes, ["cup", "cup"])
    first = tracks.boxes[:, 0]
    left, right = (tracks.ids[place] for place in np.argsort(first))
    assert {left, right} == {"cup-1", "cup-2"}
    started = Tracker().step(0.0, _boxes(200, 0), ["cup", "cup"])
    assert started.boxes[started.ids.index(left), 0] < started.boxes[started.ids.index(right), 0]


def test_a_thing_that_moves_fast_is_expected_where_it_will_be() -> None:
    tracker = Tracker()
    ids = set()
    for step in range(12):
        ids.update(tracker.step(step / 10, _boxes(12.0 * step), ["cup"]).ids)
    assert ids == {"cup-1"}


def test_a_hidden_thing_is_remembered_and_found_again_where_it_comes_out() -> None:
    tracker = Tracker()
    for step in range(10):
        tracker.step(step / 10, _boxes(5.0 * step), ["cup"])
    for step in range(10, 16):
        hidden = tracker.step(step / 10, np.zeros((0, 4)), [])
        assert hidden.rows.tolist() == [-1]
    assert abs(hidden.boxes[0, 0] - 75) < 6
    assert tracker.step(1.6, _boxes(80.0), ["cup"]).ids == ("cup-1",)


def test_a_thing_that_stays_away_ends_and_its_id_is_not_used_again() -> None:
    tracker = Tracker()
    tracker.step(0.0, _boxes(0.0), ["cup"])
    gone = tracker.step(KEEP + 0.1, np.zeros((0, 4)), [])
    assert gone.ended == ("cup-1",)
    tracker.step(KEEP + 0.2, _boxes(0.0), ["cup"])
    assert tracker.step(KEEP + 0.3, _boxes(0.0), ["cup"]).ids == ("cup-2",)


def test_a_box_that_is_seen_once_is_no_thing() -> None:
    tracker = Tracker()
    tracker.step(0.0, _boxes(0.0), ["cup"])
    assert tracker.step(0.1, _boxes(0.0, 300.0), ["cup", "ghost"]).ids == ("cup-1",)
    assert tracker.step(0.2, _boxes(0.0), ["cup"]).ids == ("cup-1",)


def test_a_thing_that_leaves_the_picture_ends_at_once() -> None:
    tracker = Tracker()
    for step in range(6):
        tracker.step(step / 10, _boxes(60.0 + 7 * step), ["cup"], size=(100, 100))
    gone = [tracker.step(0.6 + s / 10, np.zeros((0, 4)), [], size=(100, 100)) for s in range(3)]
    assert any(tracks.ended == ("cup-1",) for tracks in gone)


def test_boxes_of_another_name_are_another_thing() -> None:
    tracker = Tracker()
    tracker.step(0.0, _boxes(0.0), ["cup"])
    tracker.step(0.1, _boxes(0.0), ["pan"])
    assert set(tracker.step(0.2, _boxes(0.0), ["pan"]).ids) == {"cup-1", "pan-1"}


def test_a_clock_that_goes_back_ends_everything() -> None:
    tracker = Tracker()
    tracker.step(5.0, _boxes(0.0), ["cup"])
    after = tracker.step(1.0, _boxes(0.0), ["cup"])
    assert after.ended == ("cup-1",)
    assert after.ids == ("cup-2",)


def test_the_memory_survives_json_exactly() -> None:
    generator = np.random.default_rng(0)
    frames = [_boxes(*(generator.normal(50 * k + s, 2) for k in range(3))) for s in range(12)]
    whole, first, second = Tracker(), Tracker(), Tracker()
    for step, boxes in enumerate(frames):
        expected = whole.step(step / 10, boxes, ["cup"] * 3, np.array([0.5, np.nan, 0.7]))
        half = first if step < 6 else second
        if step == 6:
            second.restore(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
        found = half.step(step / 10, boxes, ["cup"] * 3, np.array([0.5, np.nan, 0.7]))
        assert found.ids == expected.ids
        assert (found.smooth == expected.smooth).all()
