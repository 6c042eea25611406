"""Texts are read as what they say, or not at all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.errors import InputError, UnknownRelationError
from spatialtrust.language import (
    canonical_names,
    parse_claim,
    parse_claims,
    sentence,
)
from spatialtrust.relations import NAMES, PHRASES

_THINGS = st.sampled_from(["mug", "potted plant", "red cube", "traffic light", "Person", "café"])


@given(_THINGS, st.sampled_from(NAMES), _THINGS)
def test_a_sentence_we_say_is_read_back(subject: str, relation: str, object_: str) -> None:
    assert parse_claim(sentence(subject, relation, object_)) == (subject, relation, object_)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The mug is to the left of the kettle.", ("mug", "left of", "kettle")),
        ("Is the mug left of the kettle?", ("mug", "left of", "kettle")),
        ("Does the box contain a ball?", ("box", "contains", "ball")),
        ("There is a mug on top of the table", ("mug", "on top of", "table")),
        ("a  cat  underneath a   chair", ("cat", "under", "chair")),
        ("The person with the hat is behind the dog.", ("person with the hat", "behind", "dog")),
        ("The cat's on the mat", ("cat", "on", "mat")),
        ("THE MUG IS NEAR THE CUP", ("MUG", "near", "CUP")),
    ],
)
def test_everyday_wordings(text: str, parts: tuple[str, str, str]) -> None:
    assert parse_claim(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello there.",
        "The mug is not left of the cup",
        "The mug isn't on it",
        "the left of the",
    ],
)
def test_what_is_not_a_claim_is_an_error_that_shows_one(text: str) -> None:
    with pytest.raises(InputError, match="The mug is left of the kettle"):
        parse_claim(text)


def test_null_and_unreadable_texts_keep_their_place() -> None:
    parsed = parse_claims(["The mug is near the cup.", None, "?"])
    assert parsed.is_valid().to_pylist() == [True, False, False]


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=5))
def test_any_text_is_survived(texts: list[str | None]) -> None:
    assert len(parse_claims(texts)) == len(texts)


def test_canonical_names_of_a_column() -> None:
    column = pa.array(["Left-of", "to_the_right_of", "nowhere near", None, *PHRASES])
    names = canonical_names(column).to_pylist()
    assert names[:4] == ["left of", "right of", None, None]
    assert names[4:] == list(PHRASES.values())


def test_a_sentence_needs_a_canonical_relation() -> None:
    with pytest.raises(UnknownRelationError):
        sentence("mug", "leftish", "cup")


def test_every_labelled_caption_is_read_as_annotated(shared_data: Path) -> None:
    with gzip.open(shared_data / "vsr_boxes" / "statements.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    parsed = parse_claims([row["caption"] for row in rows]).to_pylist()
    fields = ("subject", "relation", "object")
    assert parsed == [{name: row[name] for name in fields} for row in rows]
