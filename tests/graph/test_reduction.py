from __future__ import annotations

import pytest

from spatialtrust.graph.drawing import choose_arrows
from spatialtrust.graph.formats import KINDS, render
from spatialtrust.graph.reduction import left_out
from tests.graph.test_drawing import boxes_of
from tests.helpers.graphs import Claim, graph

ROW = [("o0", "left of", "o1", 0.9), ("o1", "left of", "o2", 0.9), ("o0", "left of", "o2", 0.99)]


def why(rows: list[Claim], phrases: tuple[str, ...] = ("a", "b", "c")) -> list[str | None]:
    reasons = graph(rows, phrases).reduce().candidates["left_out"].to_pylist()
    return [None if reason is None else str(reason) for reason in reasons]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (ROW, [None, None, "implied"]),
        ([("o0", "left of", "o1", 0.9), ("o1", "right of", "o0", 0.95)], ["implied", None]),
        ([("o0", "on", "o1", 0.85), ("o0", "above", "o1", 0.95)], [None, "implied"]),
        (
            [("o0", "on", "o1", 0.9), ("o1", "above", "o2", 0.9), ("o0", "above", "o2", 0.9)],
            [None, None, "implied"],
        ),
        ([("o1", "contains", "o0", 0.9), ("o0", "inside", "o1", 0.85)], [None, "implied"]),
        ([("o1", "near", "o0", 0.9), ("o0", "touching", "o1", 0.9)], ["implied", None]),
        (
            [("o0", "next to", "o1", 0.9), ("o1", "next to", "o2", 0.9),
             ("o0", "next to", "o2", 0.9)],
            [None, None, "far"],
        ),
    ],
)  # fmt: skip
def test_what_need_not_be_shown(rows: list[Claim], expected: list[str | None]) -> None:
    assert why(rows) == expected


def test_objects_on_a_circle_keep_their_edges() -> None:
    circle = [("o0", "left of", "o1", 0.9), ("o1", "left of", "o2", 0.9),
              ("o2", "left of", "o0", 0.9)]  # fmt: skip
    assert why(circle) == [None] * 3


def test_beyond_the_bound_the_farthest_directions_go_first_and_support_never() -> None:
    boxes = {name: [x, 0, x + 1, 1] for name, x in (("a", 0), ("b", 5), ("c", 50))}
    found = left_out(
        ["a", "a", "b"], ["on", "left of", "in front of"], ["c", "c", "a"], [0.9] * 3,
        boxes, per_object=2 / 3,  # type: ignore[arg-type]
    )  # fmt: skip
    assert found == [None, "far", None]


def test_a_path_names_the_chain_and_there_is_none_the_other_way() -> None:
    found = graph(ROW, ("cup", "plate", "lamp")).reduce()
    assert [edge.subject for edge in found.path("cup", "left of", "lamp")] == ["cup", "plate"]
    assert [edge.object for edge in found.path("lamp", "right of", "cup")] == ["plate", "lamp"]
    assert found.path("lamp", "left of", "cup") == []
    assert len(found.query("cup", "left of", "lamp")) == 1, "left out, and still answered"


def test_a_prompt_lists_objects_and_what_holds_what_first() -> None:
    rows = [("o0", "left of", "o1", 0.99), ("o0", "on", "o2", 0.85)]
    assert render(graph(rows, ("mug", "kettle", "ta\nble")), "txt").splitlines() == [
        "Objects: mug; kettle; ta ble",
        "Relations (left and right as seen in the picture; what is not listed is not known):",
        "mug on ta ble (0.85)",
        "mug left of kettle (0.99)",
    ]
    assert "txt" not in KINDS, "it is not read back"


def test_pictures_draw_support_first_and_not_what_is_left_out() -> None:
    found = graph([*ROW, ("o0", "on", "o1", 0.85)]).reduce()
    arrows = choose_arrows(found, boxes_of(found))
    drawn = [(arrow.subject_id, arrow.object_id, arrow.relations) for arrow in arrows]
    assert drawn == [("o0", "o1", ("on", "left of")), ("o1", "o2", ("left of",))]
    assert arrows[0].p_true == (pytest.approx(0.85), pytest.approx(0.9))
