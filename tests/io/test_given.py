"""Claims and boxes in whatever people hold them: a result, or a clear error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from spatialtrust.errors import InputError
from spatialtrust.io.detections import boxes_held
from spatialtrust.io.given import rows_of
from spatialtrust.jobs.verification import verify

ROWS = [
    {"caption": "The mug is left of the kettle.", "subject_box": [0.2, 0.5, 0.1, 0.1],
     "object_box": [0.8, 0.5, 0.2, 0.3], "answer": "yes", "label": 1},
    {"caption": "The mug is right of the kettle.", "subject_box": [0.2, 0.5, 0.1, 0.1],
     "object_box": [0.8, 0.5, 0.2, 0.3], "answer": None, "label": 0},
]  # fmt: skip


def frame():
    return pytest.importorskip("pandas").DataFrame(ROWS)


def test_every_way_to_hold_claims_is_judged_alike() -> None:
    wanted = verify(ROWS).verdicts.numbers("p_true").tolist()
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    table = pa.Table.from_pylist(ROWS)
    for held in (frame(), table, pa.RecordBatch.from_pylist(ROWS), iter(ROWS), columns):
        assert verify(held).verdicts.numbers("p_true").tolist() == wanted
    assert verify(ROWS[0]).verdicts.numbers("p_true").tolist() == wanted[:1]
    assert verify(frame().iloc[0]).verdicts.numbers("p_true").tolist() == wanted[:1]


def test_the_index_of_a_frame_comes_back() -> None:
    pd = pytest.importorskip("pandas")
    levels = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["room", None])
    for index in ([7, 3], pd.Index(["a", "b"], name="claim_id"), levels):
        given = frame().set_axis(index, axis=0)
        assert verify(given).to_pandas().index.equals(given.index)
    named = frame().set_axis(pd.Index(["a", "b"], name="claim_id"), axis=0)
    assert verify(named).verdicts.strings("claim_id") == ["a", "b"]
    assert verify(frame()[1:]).to_pandas().index.tolist() == [1]


def odd_frames():
    pd = pytest.importorskip("pandas")
    base = frame()
    nan = float("nan")
    yield base.assign(answer=base.answer.astype("category"))
    yield base.assign(answer=pd.array(["yes", pd.NA], dtype="string"))
    yield base.assign(label=pd.array([1, pd.NA], dtype="Int64"))
    yield base.assign(subject_box=[np.array([0.2, 0.5, 0.1, 0.1]), nan])
    yield base.assign(subject_box=["[0.2, 0.5, 0.1, 0.1]", "x"])
    yield base.assign(subject_box=[5, 6.0])
    yield base.assign(caption=[1, 2])
    yield base.assign(answer=[1, "no"])
    yield base.assign(extra=[object(), {1, 2}], when=pd.to_datetime(["2020", "2021"]), c=[1j, 2j])
    yield base.assign(label=["maybe", float("inf")])
    yield base.assign(claim_id=[1.0, nan])
    yield base.iloc[:0]
    yield base.rename(columns={"answer": 3})


def test_odd_frames_give_a_row_each() -> None:
    for given in odd_frames():
        found = verify(given)
        assert len(found) == len(given)
        assert len(found.to_pandas()) == len(given)
        assert "Verification of" in repr(found)
        assert "<table>" in found._repr_html_()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([], "the list of claims is empty"),
        ({}, "the row is empty"),
        (None, "claims are a NoneType; give a path, a DataFrame"),
        (3, "claims are a int"),
        (b"x", "claims are a bytes"),
        (["a"], "row 1 of the claims is a str"),
        ({"caption": ["a", "b"], "subject_box": [[0, 0, 1, 1]]}, "different lengths"),
    ],
)
def test_what_holds_no_claims_is_refused_by_name(held, said) -> None:
    with pytest.raises(InputError, match=said):
        rows_of(held)


def test_two_columns_of_one_name_are_refused() -> None:
    pd = pytest.importorskip("pandas")
    twice = pd.concat([frame(), frame()[["answer"]]], axis=1)
    with pytest.raises(InputError, match='two columns "answer"'):
        verify(twice)


def names_of(boxes: object, phrases: tuple[str, ...] = ()) -> list[str]:
    return boxes_held(boxes, "a.png", phrases).boxes["phrase"].to_pylist()


def test_boxes_may_be_ours_or_anybodys() -> None:
    ours = {"label": "mug", "bbox_xyxy": np.array([10, 40, 30, 60])}
    coco = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 40, 20, 20], "area": 400}
    arrays = {"labels": ["mug"], "boxes": np.array([[10.0, 40, 30, 60]]), "scores": np.ones(1)}
    seen = SimpleNamespace(xyxy=np.array([[10, 40, 30, 60]]), class_id=np.array([1]), data={})
    for held in ([ours], [coco], arrays, seen, {"file_name": "b.jpg", "boxes": [ours]}):
        assert names_of(held, ("pan", "mug")) == ["mug"]
        box = boxes_held(held, "a.png", ("pan", "mug")).boxes
        assert box["name"].to_pylist() == ["a.png"]
        assert np.array(box["box"].to_pylist()[0])[:2].tolist() == [10, 40]
    assert names_of([]) == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (3, "boxes are a int"),
        (np.zeros((2, 4)), "box 1 is a list"),
        ([{"a": 1}], "no known form"),
        ([{"bbox": [1, 2, 3, 4], "category_id": 1, "image_id": 1}], "by number; give objects"),
        ([{"label": "a", "bbox_xyxy": [0, 0, 1, 1], "image_id": n} for n in (1, 2)], "of 2 images"),
        ([{"file_name": f"{n}.jpg", "boxes": []} for n in "bc"], "none of which is a.png"),
        (SimpleNamespace(xyxy=np.ones((1, 4)), class_id=np.array([5]), data={}), "class names"),
    ],
)
def test_boxes_in_no_known_form_are_refused_by_name(held, said) -> None:
    with pytest.raises(InputError, match=said):
        boxes_held(held, "a.png")
