"""Nouns are described by vectors and kinds, and predicted without themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.scripts import load

fit_things = load("fit_things")

DATA = """  1 licence text
00000001 03 n 01 entity 0 000 | all
00000002 06 n 01 vessel 0 001 @ 00000001 n 0000 | holds things
00000003 06 n 02 cup 0 beaker 1 001 @ 00000002 n 0000 | to drink from
00000004 15 n 01 paris 0 001 @i 00000001 n 0000 | a city
00000005 07 n 01 calm 0 001 @ 00000001 n 0000 | cannot be seen
"""
INDEX = """  1 licence text
cup n 1 1 @ 1 0 00000003
coffee_beaker n 1 1 @ 1 0 00000003
paris n 1 1 @ 1 0 00000004
calm n 1 1 @ 1 0 00000005
"""


def test_the_dictionary_says_what_can_be_seen_and_its_kinds(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    dictionary = fit_things.Dictionary.read(tmp_path)
    assert set(dictionary.kinds("cup")) == {1, 2, 3}
    assert set(dictionary.kinds("coffee beaker")) == {1, 2, 3}
    assert dictionary.kinds("calm") == dictionary.kinds("paris") == dictionary.kinds("ox") == {}


def test_left_out_rows_are_those_of_a_fit_without_them() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3))
    gram, truth = points @ points.T, rng.normal(size=(12, 2))
    truth -= truth.mean(axis=0)
    head = np.arange(12) // 3
    guess = fit_things.left_out(gram, 0.3, truth, head)
    for group in range(4):
        rest, held = head != group, head == group
        square = gram[np.ix_(rest, rest)] + 0.3 * np.eye(9)
        refitted = gram[np.ix_(held, rest)] @ np.linalg.solve(square, truth[rest])
        np.testing.assert_allclose(guess[held], refitted, atol=1e-8)


def test_what_is_like_nothing_gets_the_mean() -> None:
    guess = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.3])
    target = np.array([1.0, 1, 0.6, 0, 0, 0.3])
    low, middle, high = fit_things.calibrated(guess, target, np.array([0.1, 0.5, 0.9]))
    assert low < 0.2 < middle < 0.8 < high
