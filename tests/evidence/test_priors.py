"""What is known of things by name."""

from __future__ import annotations

import numpy as np
import pytest

from spatialtrust.evidence import priors
from spatialtrust.evidence.columns import FULL, THINGS


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [
        ("The red mugs", "mug"),
        ("cup of coffee", "cup"),
        ("man in a black shirt", "man"),
        ("two wine glasses", "wine glass"),
        ("my big teddy-bear", "teddy bear"),
        ("wolves", "wolf"),
        ("dining table", "dining table"),
    ],
)
def test_the_head_noun_is_found(phrase: str, noun: str) -> None:
    np.testing.assert_array_equal(priors.attributes([phrase]), priors.attributes([noun]))
    assert np.isfinite(priors.attributes([phrase])).all()


@pytest.mark.parametrize("phrase", ["gizmo", "", None, "the", "of", "cats thing"])
def test_unknown_words_are_never_guessed(phrase: str | None) -> None:
    assert np.isnan(priors.attributes([phrase])).all()


def test_the_table_of_things_is_sound() -> None:
    known = priors.attributes(priors.nouns())
    assert len(priors.nouns()) > 600
    assert np.isin(known[:, :-1], (0, 1)).all()
    assert (known[:, -1] > np.log(0.01)).all()
    assert len(THINGS) == 2 * len(priors.COLUMNS)
    assert len(set(FULL)) == len(FULL)
