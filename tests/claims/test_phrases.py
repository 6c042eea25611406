"""Prompts in every form that detectors take are the same phrases."""

from __future__ import annotations

import pytest

from spatialtrust.claims.phrases import split_phrases


@pytest.mark.parametrize(
    "text",
    [
        "red cube, blue pyramid, green cube",
        "red cube. blue pyramid. green cube.",
        "red cube. blue pyramid. green cube",
        "red cube . blue pyramid . green cube .",
        "red cube . blue pyramid . green cube",
        "red cube.. blue pyramid. . green cube. ",
        "red cube; blue pyramid; green cube",
        "red cube\nblue pyramid\r\ngreen cube\n",
        "red cube, blue pyramid. green cube.",
        "red cube,, blue pyramid ,green cube,",
        "red cube、blue pyramid，green cube。",
    ],
)
def test_every_form_is_three_phrases(text: str) -> None:
    assert split_phrases([text])[0] == ("red cube", "blue pyramid", "green cube")


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("a. b. c.", ("a", "b", "c")),
        ("A. B. C.", ("A", "B", "C")),
        ("mug.", ("mug",)),
        ("3.5 inch disk", ("3.5 inch disk",)),
        ("3.5 inch disk. 0.33 l can.", ("3.5 inch disk", "0.33 l can")),
        ("St. Bernard", ("St. Bernard",)),
        ("St. Bernard. mug.", ("St. Bernard", "mug")),
        ("st. bernard, mug", ("st. bernard", "mug")),
        ("Dr. Pepper can", ("Dr. Pepper can",)),
        ("can of Dr. Pepper. mug.", ("can of Dr. Pepper", "mug")),
        ("Mr. Coffee machine. Mrs. Smith pie", ("Mr. Coffee machine", "Mrs. Smith pie")),
        ("J. Lange watch. mug.", ("J. Lange watch", "mug")),
        ("no. 2 pencil. eraser.", ("no. 2 pencil", "eraser")),
        ("12 fl. oz. can. cup.", ("12 fl. oz. can", "cup")),
        ("U.S. flag. pole.", ("U.S. flag", "pole")),
        ("1. mug", ("1. mug",)),
        ("example.com sign", ("example.com sign",)),
        ("", ()),
        (" . , ; ", ()),
    ],
)
def test_a_full_stop_that_belongs_to_a_word_stays(text: str, phrases: tuple[str, ...]) -> None:
    assert split_phrases([text])[0] == phrases


def test_what_was_split_is_said_and_splitting_again_changes_nothing() -> None:
    phrases, notes = split_phrases(["red cube. blue pyramid.", "St. Bernard"])
    assert notes == ('"red cube. blue pyramid." is read as 2 phrases: "red cube", "blue pyramid"',)
    assert split_phrases(phrases) == (phrases, ())


def test_many_splits_are_counted_and_duplicates_merged_once() -> None:
    phrases, notes = split_phrases([f"a{n}. mug." for n in range(5)])
    assert phrases == ("a0", "mug", "a1", "a2", "a3", "a4")
    assert len(notes) == 5
    assert notes[3:] == ("2 more texts are read as several phrases each",
                         'phrases given twice are looked for once: "mug"')  # fmt: skip
