"""Sentences are read right or refused: what people write, by kind."""

from __future__ import annotations

from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.io.claim_files import claims_from_rows
from spatialtrust.io.rows import RawRows
from spatialtrust.language import claims, parse_claim, parse_claims, sentence
from spatialtrust.language.cleaning import clean_sentences
from spatialtrust.language.refusals import NEGATIONS
from spatialtrust.relations import NAMES, PHRASES

READ = """
The square above the circle|square|above|circle
A black square touching the wall|black square|touching|wall
butterflies above the flower|butterflies|above|flower
nightstands beside the bed|nightstands|beside|bed
The iris next to the vase|iris|next to|vase
debris on the road|debris|on|road
tennis on the screen|tennis|on|screen
hardware on the bench|hardware|on|bench
The cat's on the mat|cat|on|mat
The cat’s on the mat|cat|on|mat
the man's hat is on the table|man's hat|on|table
The dog's bowl near the door|dog's bowl|near|door
The mug is slightly to the left of the kettle.|mug|left of|kettle
The mug is located directly below the shelf|mug|below|shelf
The mug appears to be just behind the pan|mug|behind|pan
The mug can be seen next to the pan|mug|next to|pan
The mug is positioned immediately to the right of the kettle|mug|right of|kettle
The mug is right of the kettle|mug|right of|kettle
The mug is right next to the kettle|mug|next to|kettle
The mug is right behind the kettle|mug|behind|kettle
The mug is far away from the kettle|mug|far away from|kettle
The mug is far from the kettle|mug|far from|kettle
The mug is very close to the kettle|mug|close to|kettle
In the image, the mug is left of the kettle.|mug|left of|kettle
In this picture the mug is left of the kettle.|mug|left of|kettle
I think that the mug is left of the kettle|mug|left of|kettle
I believe the mug is left of the kettle|mug|left of|kettle
It looks like the mug is left of the kettle|mug|left of|kettle
Caption: The mug is left of the kettle.|mug|left of|kettle
"The mug is left of the kettle."|mug|left of|kettle
“The mug is left of the kettle”|mug|left of|kettle
Is there a mug left of the kettle?|mug|left of|kettle
Are there any cups on the table?|cups|on|table
Does the mug touch the kettle?|mug|touching|kettle
Does the box contain a ball?|box|contains|ball
The cups are on the table|cups|on|table
a mug sitting on a table|mug|on|table
a dog standing next to a car|dog|next to|car
A mug placed under a chair|mug|under|chair
The notebook is on the knot|notebook|on|knot
The norwegian flag is behind the none-stick pan|norwegian flag|behind|none-stick pan
There is a mug on top of the table|mug|on top of|table
The person with the hat is behind the dog.|person with the hat|behind|dog
THE MUG IS NEAR THE CUP|MUG|near|CUP
The trash can is left of the soda can|trash can|left of|soda can
The left shoe is right of the right shoe|left shoe|right of|right shoe
Is the left shoe touching the right shoe?|left shoe|touching|right shoe
The TV stand is next to the bed|TV stand|next to|bed
The fruit stand next to the shop|fruit stand|next to|shop
The old well near the house|old well|near|house
The old well is near the house|old well|near|house
Is the old well near the house?|old well|near|house
the town's well near the house|town's well|near|house
The TV set near the wall|TV set|near|wall
The black and white cat is on the mat|black and white cat|on|mat
A dog stands next to a car|dog|next to|car
The man stands behind the horse|man|behind|horse
A photo of a mug on a table|mug|on|table
A picture of a dog is on the wall|picture of a dog|on|wall
Is it true that the mug is left of the kettle?|mug|left of|kettle
Would you say that the mug is left of the kettle?|mug|left of|kettle
Is this correct: the mug is left of the kettle?|mug|left of|kettle
In this picture, is the mug left of the kettle?|mug|left of|kettle
A scene where the mug is left of the kettle.|mug|left of|kettle
The mug is left of the kettle in the image.|mug|left of|kettle
The bed is below the picture|bed|below|picture
The lamp is above the painting|lamp|above|painting
The café is near the bank|café|near|bank
The cup of tea is on the table|cup of tea|on|table
The parking meter is left of the car|parking meter|left of|car
a potted plant on a dining table|potted plant|on|dining table
The hot dog stands beside the road|hot dog|beside|road
the software on the screen|software|on|screen
the sunrise above the hill|sunrise|above|hill
The horse is in the middle of the road|horse|in the middle of|road
The ball is inside of the box|ball|inside|box
The horse's head is in the barn|horse's head|in|barn
- The mug is on the table.|mug|on|table
1. The mug is on the table.|mug|on|table
The mug is definitely on the table!|mug|on|table
The mug clearly touches the kettle|mug|touching|kettle
The red ball is partially under the couch|red ball|under|couch
The mug is on my desk|mug|on|desk
Yes, the mug is on the table|mug|on|table
Can you see a mug on the table?|mug|on|table
There's a mug on the table|mug|on|table
The corner of the table is near the wall|corner of the table|near|wall
"""
"""A sentence and how it is read."""

REFUSED = """
The mug isn’t left of the kettle.
The mug is not directly left of the kettle.
The mug isn't really left of the kettle.
The mug cannot be left of the kettle.
The mug can't be left of the kettle.
The mug is no longer left of the kettle.
There is no mug left of the kettle.
None of the mugs are left of the kettle.
Neither the mug nor the pot is left of the kettle.
It is false that the mug is left of the kettle.
It is not true that the mug is left of the kettle.
It isn't true that the mug is left of the kettle.
Is it false that the mug is left of the kettle?
The mug is left of nothing, not of the kettle.
The mug is not left of the kettle.
No mug is left of the kettle.
Isn't the mug left of the kettle?
Isn’t the mug left of the kettle?
The mug is nowhere near the kettle.
The mug doesn’t contain the kettle.
Does the mug not touch the kettle?
Is the mug not left of the kettle?
The mug is hardly left of the kettle
The mug is never on the table
Nobody is next to the car
Nothing is on the table
The man without a hat is next to the car
The mug is anything but left of the kettle
The mug is unlikely to be left of the kettle
It is unlikely that the mug is left of the kettle
I don't think the mug is left of the kettle
I do not believe that the mug is left of the kettle
I doubt the mug is left of the kettle
False: the mug is left of the kettle
The mug is left of the kettle, isn't it?
The mug is left of the kettle. The cup is on the table.
The mug is left of the kettle and behind the pan
The mug is left of the kettle but the cup is right
The mug is to the left of and behind the kettle
The mug is left or right of the kettle
The mug that is left of the kettle is red
The mug is left of the kettle which is red
The mug is left of the kettle because it is red
The mug and the kettle are next to each other
The mug is left of the kettle behind the pan
The mug is on the left side of the picture
The mug is in the upper part of the image
The mug is at the left
The mug is on the left
The mug is at the left side of the image
The mug is in the image
The mug is to the left of the image
The mug is in the background
The mug is in the upper left corner
The man riding a horse
The man is riding a horse on the road
Exactly 2 mugs are touching the kettle
exactly two mugs on the table
There are 2 mugs left of the kettle
All mugs are left of the kettle
At least one mug is left of the kettle
Only the mug is left of the kettle
One of the mugs is left of the kettle
The mug is almost left of the kettle
The mug might be left of the kettle
The mug was said to be left of the kettle
It is on the table
He is next to the car
The mug is next to it
On the table is a mug
Next to the mug is a kettle on the table
Under the table the cat is on the mat
The woman left the house
The man walks on the road
tv stands near wall
A person with a hat behind a dog
The left image contains exactly two dogs.
The left image contains a dog
In the left image, a dog is on the couch
One image shows a dog on a couch
There is exactly one black triangle not touching any edge
There is a box with 2 yellow items
The tower has a blue block over a black block
There is a black block as the base of a tower
ll 3 different colors are touching the wall.
If the mug is left of the kettle, the cup is on the table
The mug is left of the kettle when the light is on
the left of the
Hello there.
The mug is no-longer left of the kettle
The mug is n't left of the kettle
The mug isnt left of the kettle
The mug aint left of the kettle
The mug is far from being left of the kettle
The mug fails to touch the kettle
the mug, left of the kettle, is red
The mug is left of the kettle?? No.
Is the mug left of the kettle or behind the pan?
The mug is between the kettle and the pan
The mug can touch the kettle
The mug is NOT left of the kettle
The mug is at the bottom of the box
The mug lacks contact with the kettle
Not the mug is left of the kettle
The mug would be left of the kettle
The mug used to be left of the kettle
The mug is left of the kettle, not right of it
It is not the case that the mug is left of the kettle
It's not true that the mug is on the table
It's false that the mug is on the table
The claim that the mug is on the table is false
The mug is on the table is false
The mug is on the table. False.
The mug is on the table (false)
The mug is on the table - not!
Hardly any mug is on the table
Few mugs are on the table
The mug is less than left of the kettle
The mug is not on the table but on the chair
The mug is supposedly left of the kettle
The mug supposedly left of the kettle
"""
"""Denied, counted, more than one claim, of no two things, or of the picture."""

_WORDS = ["red", "mug", "potted", "plant", "square", "nightstands", "iris", "notebook",
          "norwegian", "knot", "tv", "stand", "hot", "dog", "left", "shoe", "can"]  # fmt: skip
_THINGS = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map(" ".join)
_DENIALS = [*NEGATIONS, "isn't", "isn\u2019t", "is not", "no longer", "not really", "cannot be",
            "it is false that", "by no means"]  # fmt: skip


def _nouns(phrase: str) -> bool:
    """Not ending like a verb or a direction."""
    return phrase.rsplit(maxsplit=1)[-1] not in ("can", "left", "stand")


def test_what_people_write_is_read_right() -> None:
    expected = [line.split("|") for line in READ.strip().splitlines()]
    parsed = parse_claims([text for text, *_ in expected]).to_pylist()
    found = [
        [text, *(row or {}).values()] for (text, *_), row in zip(expected, parsed, strict=True)
    ]
    assert found == expected


def test_what_is_not_one_claim_about_two_things_is_refused() -> None:
    texts = REFUSED.strip().splitlines()
    parsed = parse_claims(texts).to_pylist()
    assert [(text, row) for text, row in zip(texts, parsed, strict=True) if row] == []


@settings(max_examples=40)
@given(_THINGS.filter(_nouns), st.sampled_from(NAMES), _THINGS.filter(_nouns))
def test_every_plain_claim_is_given_back(subject: str, relation: str, object_: str) -> None:
    assert parse_claim(sentence(subject, relation, object_)) == (subject, relation, object_)


@settings(max_examples=40)
@given(_THINGS.filter(_nouns), st.sampled_from(sorted(PHRASES)), _THINGS.filter(_nouns))
def test_every_wording_is_read_after_is(subject: str, wording: str, object_: str) -> None:
    text = f"The {subject} is {wording} the {object_}."
    assert parse_claim(text) == (subject, PHRASES[wording], object_)


@settings(max_examples=40)
@given(
    _THINGS,
    st.sampled_from(NAMES),
    _THINGS,
    st.sampled_from(_DENIALS),
    st.integers(0, 12),
    st.sampled_from(["{}", "Is it true that {}?", "In the image, {}", "I think {}"]),
)
def test_a_denial_anywhere_never_leaves_the_claim(
    subject: str, relation: str, object_: str, denial: str, place: int, frame: str
) -> None:
    words = frame.format(sentence(subject, relation, object_)).split()
    place = min(place, len(words))
    text = " ".join([*words[:place], denial, *words[place:]])
    assert parse_claims([text]).to_pylist() == [None]


def test_the_first_reading_and_the_careful_one_agree() -> None:
    things = ["hot dog stands", "man with a hat", "cat and dog"]
    texts = [f"The {a} is {w} the {b}." for a, w, b in product(things, PHRASES, things)]
    # Curly quotes keep a text from the plain pattern, and are then cleaned away.
    other = [f"\u201c{text}\u201d" for text in texts]
    assert parse_claims(texts).equals(parse_claims(other))


def test_known_phrases_are_kept_whole() -> None:
    names = ["drive in sign", "mug", "Cups", "person", "no parking sign", "picture", "table"]
    texts = [
        "The drive in sign is over the mugs",
        "The big mugs are left of the people",
        "A cup on the table top",
        "There is no parking sign left of the mug",
        "The no parking sign is left of the mug",
        "The mug is left of the picture",
        "The mug's handle is near two cups",
    ]
    parsed = parse_claims(texts, names).to_pylist()
    assert [None if row is None else tuple(row.values()) for row in parsed] == [
        ("drive in sign", "over", "mug"),
        ("big mugs", "left of", "person"),
        ("Cups", "on", "table top"),
        None,
        ("no parking sign", "left of", "mug"),
        ("mug", "left of", "picture"),
        None,
    ]


def test_each_text_may_have_its_own_phrases() -> None:
    texts = ["A hat with ears on a cat", "A hat with ears on a cat", None]
    parsed = parse_claims(texts, [["hat with ears"], None, ["cat"]])
    assert parsed.is_valid().to_pylist() == [True, False, False]
    with pytest.raises(ValueError, match="2 sets of phrases were given for 3 texts"):
        parse_claims(texts, [["hat"], ["cat"]])


@pytest.mark.parametrize("name", ["is", "on", "not", "the", "left", ""])
def test_no_name_hides_a_word_of_the_claim(name: str) -> None:
    texts = ["The mug is left of the pan", "The mug is not left of the pan"]
    assert parse_claims(texts, [name]).equals(parse_claims(texts))


def test_cleaning_keeps_nulls() -> None:
    assert clean_sentences(pa.array(["Statement: 'a cat.'", None])).to_pylist() == ["a cat", None]


def test_a_denied_row_of_a_file_is_unparsed_and_named() -> None:
    rows = [
        {"caption": "The mug isn\u2019t left of the pan.", "subject": None, "object": None},
        {"caption": "The drive in sign is left of the pan.", "subject": "drive in sign",
         "object": None},
    ]  # fmt: skip
    box = {"subject_box": [0, 0, 4, 4], "object_box": [8, 0, 12, 4]}
    table = pa.Table.from_pylist([row | box for row in rows])
    found = claims_from_rows(RawRows.from_table(table, "claims"))
    assert found.claims.data["subject"].to_pylist() == [None, "drive in sign"]
    assert "could not be read as a claim" in str(found.faults[0])


def test_sentences_of_a_file_are_read_with_what_is_looked_for() -> None:
    table = pa.table({"caption": ["The hat with ears is left of two mugs."]})
    boxes = {"subject_box": pa.nulls(1), "object_box": pa.nulls(1)}
    for name, column in boxes.items():
        table = table.append_column(name, column)
    rows = RawRows.from_table(table, "claims")
    assert claims_from_rows(rows).claims.data["object"].to_pylist() == [None]
    found = claims_from_rows(rows, phrases=["two mugs"]).claims.data
    assert found["object"].to_pylist() == ["two mugs"]


def test_a_sentence_that_comes_again_is_parsed_once(monkeypatch) -> None:
    seen: list[str | None] = []
    parse = claims._parse
    monkeypatch.setattr(
        claims, "_parse", lambda texts: seen.extend(texts.to_pylist()) or parse(texts)
    )
    again = ["The mug is on the table.", None, "Hello.", "The mug is on the table."]
    found = parse_claims(again).to_pylist()
    assert sorted(map(str, seen)) == ["Hello.", "The mug is on the table."]
    assert found == [{"subject": "mug", "relation": "on", "object": "table"}, None, None, found[0]]
