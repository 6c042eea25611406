"""What lies within noise of the threshold does not flip."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.tracking.steadiness import SUREST, EdgeFilter, Key

KEY: Key = ("mug-1", "on", "table-1")


def _run(edges: EdgeFilter, told: list[float], rate: float = 10.0) -> int:
    flips = 0
    for step, p_true in enumerate(told):
        edges.observe(step / rate, [KEY], np.array([p_true]))
        flips += len(edges.settle(edges.wished()))
    return flips


def test_noise_about_the_threshold_flips_once_at_most() -> None:
    generator = np.random.default_rng(0)
    told = np.clip(generator.normal(0.8, 0.08, 300), 0.01, 0.99).tolist()
    alone = _run(EdgeFilter(0.8, half_life=0, fade=0, band=0), told)
    assert alone > 100
    assert _run(EdgeFilter(0.8), told) <= 1


def test_a_lasting_change_is_followed_within_a_second() -> None:
    edges = EdgeFilter(0.8)
    assert _run(edges, [0.95] * 20) == 1
    for step in range(20, 30):
        edges.observe(step / 10, [KEY], np.array([0.1]))
        events = edges.settle(edges.wished())
        if events:
            assert (events[0].kind, events[0].why) == ("ended", "doubted")
            return
    pytest.fail("it is believed still")


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_a_belief_is_never_surer_than_the_frames_that_gave_it(told: list[float]) -> None:
    edges = EdgeFilter(0.8)
    for step, p_true in enumerate(told):
        edges.observe(step / 10, [KEY], np.array([p_true]))
    inside = np.clip(told, 1 / (1 + np.exp(SUREST)), 1 / (1 + np.exp(-SUREST)))
    assert inside.min() - 1e-6 <= edges.p_true[0] <= inside.max() + 1e-6


def test_what_is_hidden_fades_to_even_odds_and_ends() -> None:
    edges = EdgeFilter(0.8)
    _run(edges, [0.95] * 5)
    ended = []
    for step in range(5, 90):
        edges.observe(step / 10, [], np.zeros(0))
        ended += edges.settle(edges.wished())
    assert [event.kind for event in ended] == ["ended"]
    assert edges.keys == []


def test_unknown_says_nothing() -> None:
    edges = EdgeFilter(0.8)
    edges.observe(0.0, [KEY], np.array([np.nan]))
    assert edges.keys == []


def test_edges_of_a_thing_that_ended_are_forgotten() -> None:
    edges = EdgeFilter(0.8)
    _run(edges, [0.95] * 3)
    events = edges.drop(["table-1"])
    assert [(event.kind, event.why) for event in events] == [("ended", "thing_gone")]
    assert edges.keys == []


def test_what_is_an_edge_has_a_lead_where_two_contradict() -> None:
    edges = EdgeFilter(0.8)
    other: Key = ("table-1", "on", "mug-1")
    _run(edges, [0.9] * 5)
    edges.observe(0.5, [KEY, other], np.array([0.9, 0.92]))
    first, second = edges.standing()
    assert first > second


def test_the_memory_survives_json_exactly() -> None:
    first, second = EdgeFilter(0.8), EdgeFilter(0.8)
    told = np.random.default_rng(1).uniform(0.5, 1.0, 20).tolist()
    _run(first, told)
    second.restore(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
    for edges in (first, second):
        edges.observe(3.0, [KEY], np.array([0.77]))
    assert first.to_dict() == second.to_dict()
