"""Tables are checked once, where they enter."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.errors import ColumnError, RowError
from spatialtrust.reasons import CODES, decode, encode, prose
from spatialtrust.tables import Answers, Claims, Detections, Evidence, Grounding, Images, Verdicts

_CLAIM = {"claim_id": "0", "image_id": "a", "subject": "mug", "relation": "on", "object": "table"}


@pytest.mark.parametrize("kind", [Images, Claims, Answers, Detections, Evidence, Verdicts])
def test_every_table_carries_its_name_version_and_field_notes(kind: type[Claims]) -> None:
    empty = kind.empty()
    assert empty.data.schema.metadata[b"spatialtrust.table"] == kind.__name__.lower().encode()
    assert empty.data.schema.metadata[b"spatialtrust.schema"] == b"1"
    assert all(field.metadata[b"about"] for field in kind.schema)


def test_optional_columns_are_added_and_own_columns_kept_last() -> None:
    claims = Claims.from_rows([{**_CLAIM, "mine": 7}])
    assert claims.data.column_names == [*Claims.schema.names, "mine"]
    assert claims.strings("label") == [None]


def test_a_missing_column_names_the_file_and_the_columns_found() -> None:
    with pytest.raises(ColumnError, match=r'c\.parquet: column "image_id" is missing; .*claim_id'):
        Claims.from_columns({"claim_id": ["0"]}, "c.parquet")


def test_a_wrong_type_names_what_is_valid() -> None:
    with pytest.raises(ColumnError, match=r'column "label" holds string; valid: int8'):
        Claims.from_rows([{**_CLAIM, "label": "maybe"}])


def test_a_null_key_names_the_row() -> None:
    with pytest.raises(RowError, match=r"t:2: image_id is null"):
        Claims.from_columns({"claim_id": ["0", "1"], "image_id": ["a", None]}, "t")


def test_a_repeated_key_names_both_rows() -> None:
    row = {"image_id": "a", "object_id": "0", "phrase": "mug"}
    with pytest.raises(RowError, match=r"d:3: image_id \+ object_id repeats .* row 1 \(a, 0\)"):
        Detections.from_rows([row, {**row, "object_id": "1"}, row], "d")


def test_rows_are_sorted_selected_and_taken_by_key() -> None:
    claims = Claims.from_rows([{**_CLAIM, "claim_id": key} for key in ("2", "0", "1")])
    assert claims.sorted().strings("claim_id") == ["0", "1", "2"]
    assert claims.select(np.array([True, False, True])).strings("claim_id") == ["2", "1"]
    assert claims.take(np.array([1])).strings("claim_id") == ["0"]


def test_concat_refuses_keys_that_occur_in_both() -> None:
    claims = Claims.from_rows([_CLAIM])
    with pytest.raises(RowError):
        Claims.concat([claims, claims])
    assert len(Claims.concat([])) == 0


def test_missing_corners_are_nan() -> None:
    detections = Detections.from_rows([{"image_id": "a", "object_id": "0", "phrase": "mug"}])
    assert np.isnan(detections.boxes()).all()


def test_given_boxes_have_no_score() -> None:
    grounding = Grounding.from_boxes(np.zeros((3, 4)), np.ones((3, 4)))
    assert len(grounding) == 3
    assert np.isnan(grounding.subject_score).all()
    assert np.isnan(grounding.image_size).all()


@given(st.lists(st.integers(0, 2 ** len(CODES) - 1), max_size=20))
def test_reason_masks_survive_the_boundary(masks: list[int]) -> None:
    given_masks = np.array(masks, dtype=np.uint32)
    assert encode(decode(given_masks)).tolist() == masks
    as_text = pa.array(decode(given_masks).to_pylist(), pa.list_(pa.string()))
    assert encode(as_text).tolist() == masks


def test_reasons_in_words() -> None:
    assert prose(0) == ""
    assert prose(3).count(";") == 1
