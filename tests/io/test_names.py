"""Names: one Unicode form, and nothing in them that a file cannot hold."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialtrust.decision.rule import DecisionRule
from spatialtrust.graph import SceneGraph
from spatialtrust.graph.candidates import CANDIDATES
from spatialtrust.graph.formats import KINDS, parse, render
from spatialtrust.io.matching import match_names
from spatialtrust.io.names import few, plain_column, plain_name
from spatialtrust.tables import Detections

ANY = st.text(st.characters(codec=None, categories=None), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_a_cleaned_name_stays_clean_and_loads_back_from_every_format(text: str) -> None:
    name = plain_name(text)
    assert plain_name(name) == name
    name.encode()
    box = {"image_id": f"{name}.jpg", "object_id": f"{name}#0", "phrase": name,
           "x1": 0, "y1": 0, "x2": 9, "y2": 9}  # fmt: skip
    graph = SceneGraph(f"{name}.jpg", 20, 20, Detections.from_rows([box]),
                       CANDIDATES.empty_table(), DecisionRule.plain(0.8), False)  # fmt: skip
    for kind in KINDS:
        assert parse(render(graph, kind), kind) == graph


def test_a_column_is_cleaned_by_its_distinct_values() -> None:
    column = pa.chunked_array([["a\x01", None], ["cafe\u0301"]])
    assert plain_column(column).to_pylist() == ["a\ufffd", None, "café"]


@pytest.mark.parametrize(("recorded", "image"), [("the\u0301.jpg", "thé.jpg"),
                                                 ("thé.jpg", "x/the\u0301.jpg")])  # fmt: skip
def test_names_in_two_unicode_forms_are_one(recorded: str, image: str) -> None:
    assert match_names([recorded], [image]).image_of == {recorded: image}


def test_twins_in_two_unicode_forms_are_told_apart_by_the_very_letters() -> None:
    two = ["the\u0301.jpg", "thé.jpg"]
    assert match_names(two, two).image_of == dict(zip(two, two, strict=True))


def test_another_case_fits_only_where_nothing_else_does_and_is_said() -> None:
    found = match_names(["img_1.jpg", "B.jpg", "b.jpg"], ["IMG_1.JPG", "b.jpg"])
    assert found.image_of == {"img_1.jpg": "IMG_1.JPG", "b.jpg": "b.jpg"}
    assert found.by_case == ("img_1.jpg",)
    assert found.ambiguous == ("B.jpg",)
    assert match_names(["a.jpg"], ["A.jpg", "A.JPG"]).ambiguous == ("a.jpg",)


def test_of_many_names_a_few_are_shown() -> None:
    assert few("abc") == "a, b, c"
    assert few("abcd") == "a, b, c ..."
