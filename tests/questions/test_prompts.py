"""What is asked: each relation has a question, five wordings, and forms that mean what they say."""

from __future__ import annotations

import pytest

from spatialtrust.errors import InputError, UnknownRelationError
from spatialtrust.language import parse_claims
from spatialtrust.questions.prompts import (
    FORMS,
    PARAPHRASES,
    PROMPTS,
    alternatives,
    caption,
    question,
    reform,
)
from spatialtrust.relations import NAMES, RELATIONS


@pytest.mark.parametrize("name", NAMES)
def test_a_question_and_a_caption_can_be_read_back(name):
    claim = ("mug", name, "kettle")
    for text in (caption(claim), question(claim, "statement")):
        assert parse_claims([text]).to_pylist() == [
            {"subject": "mug", "relation": name, "object": "kettle"}
        ]


@pytest.mark.parametrize("name", NAMES)
def test_the_wordings_of_a_claim_differ(name):
    claim = ("mug", name, "kettle")
    assert len({question(claim, prompt) for prompt in PARAPHRASES}) == 5
    assert len({caption(claim, prompt) for prompt in PARAPHRASES}) == 5
    said = alternatives(claim)
    assert len(set(said)) == len(said) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_forms_mean_what_they_say(name):
    claim = ("mug", name, "kettle")
    assert reform(claim, "claim") == claim
    assert reform(claim, "swapped") == ("kettle", name, "mug")
    converse, opposite = reform(claim, "converse"), reform(claim, "opposite")
    assert converse == (
        None if RELATIONS[name].converse is None else ("kettle", RELATIONS[name].converse, "mug")
    )
    assert opposite is None or opposite[0] == "mug"


def test_articles_are_not_said_twice():
    assert question(("a mug", "on", "The table")) == "Is the mug on the table?"
    assert caption(("an", "on", "theatre")) == "The an is on the theatre."


def test_unknown_names_are_refused_with_the_valid_ones():
    claim = ("mug", "on", "table")
    with pytest.raises(InputError, match='did you mean "picture"'):
        question(claim, "pictures")
    with pytest.raises(InputError, match=", ".join(FORMS)):
        reform(claim, "inverse")
    with pytest.raises(UnknownRelationError):
        question(("mug", "onto", "table"))
    assert len(PROMPTS) == 7
