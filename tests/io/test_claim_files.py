"""Whatever state a file is in, its good rows come out and its bad rows are named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.io.boxes import BoxConvention, parse_boxes, to_corners
from spatialtrust.io.claim_files import ClaimFile, read_claims
from spatialtrust.io.encodings import as_utf8
from spatialtrust.reasons import decode

_ROW = {
    "caption": "The mug is left of the cup.",
    "subject_box": [0.2, 0.5, 0.2, 0.2],
    "object_box": [0.7, 0.5, 0.2, 0.2],
}


def _write(path: Path, rows: list[dict[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _read(tmp_path: Path, *rows: dict[str, Any] | str, **options: Any) -> ClaimFile:
    return read_claims(_write(tmp_path / "claims.jsonl", list(rows)), **options)


def _reasons(file: ClaimFile) -> list[list[str]]:
    listed: list[list[str]] = decode(file.grounding.reasons).to_pylist()
    return listed


def test_the_three_kinds_of_file_read_alike(tmp_path: Path) -> None:
    rows: list[dict[str, Any] | str] = [{**_ROW, "label": 1, "p_yes": 0.25, "answer": "no"}, _ROW]
    jsonl = _write(tmp_path / "c.jsonl", rows)
    zipped = tmp_path / "c.jsonl.gz"
    zipped.write_bytes(gzip.compress(jsonl.read_bytes()))
    parquet = tmp_path / "c.parquet"
    pq.write_table(pa.Table.from_pylist([r for r in rows if isinstance(r, dict)]), parquet)
    text = tmp_path / "c.csv"
    text.write_text(
        "caption,subject_box,object_box,label,p_yes,answer\n"
        'The mug is left of the cup.,"[0.2, 0.5, 0.2, 0.2]","[0.7, 0.5, 0.2, 0.2]",1,0.25,no\n'
        'The mug is left of the cup.,"[0.2, 0.5, 0.2, 0.2]","[0.7, 0.5, 0.2, 0.2]",,,\n'
    )
    first, *others = (read_claims(path) for path in (jsonl, zipped, parquet, text))
    assert first.claims.strings("label") == [1, None]
    assert first.answers is not None
    assert first.answers.strings("claim_id") == ["000000"]
    for other in others:
        assert not other.faults
        assert other.answers is not None
        assert other.claims.data.equals(first.claims.data)
        assert other.answers.data.equals(first.answers.data)
        np.testing.assert_array_equal(other.grounding.subject_box, first.grounding.subject_box)
        np.testing.assert_array_equal(other.grounding.reasons, first.grounding.reasons)


def test_every_fault_names_file_row_and_field_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        _ROW,
        {"subject": "a", "relation": "leftof", "object": "b", **_boxes()},
        {**_ROW, "subject_box": [0.1, 0.1, 0.2]},
        "not json",
        {**_ROW, "object_box": None},
        {**_ROW, "subject_box": [0.5, 0.5, 0.2, -0.2]},
        {**_ROW, "subject_box": [100, 100, 50, 50]},
        {**_ROW, "object_box": [0.95, 0.5, 0.4, 0.2]},
        {**_ROW, "caption": "Nothing of note."},
        {**_ROW, "p_yes": 1.5, "label": "perhaps"},
    )
    source = str(tmp_path / "claims.jsonl")
    said = [str(fault) for fault in file.faults]
    assert [fault.row for fault in file.faults] == [2, 3, 4, 6, 7, 8, 9, 10, 10]
    assert said[0].startswith(
        f'{source}:2: relation "leftof" is not known; did you mean "left of"?'
    )
    assert "give four numbers" in said[1]
    assert "is not JSON" in said[2]
    assert "label" in said[7]
    assert "p_yes is not a number from 0 to 1" in said[8]
    reasons = _reasons(file)
    assert reasons[0] == ["answer_missing"]
    assert "relation_unknown" in reasons[1]
    assert "degenerate_box" in reasons[2]
    assert reasons[3] == ["row_unreadable"]
    assert "object_missing" in reasons[4]
    assert "degenerate_box" in reasons[5]
    assert "box_format_deviates" in reasons[6]
    assert "box_outside_image" in reasons[7]
    assert "claim_unparsed" in reasons[8]
    assert len(file.claims) == len(file.grounding) == file.given.num_rows == 10
    assert np.isfinite(file.grounding.subject_box[[0, 4, 7, 9]]).all()


def _boxes() -> dict[str, Any]:
    return {"subject_box": _ROW["subject_box"], "object_box": _ROW["object_box"]}


def test_repeated_ids_are_suffixed_without_colliding(tmp_path: Path) -> None:
    rows = [{**_ROW, "claim_id": name} for name in ("a", "a", "a#2", "a")]
    file = _read(tmp_path, *rows)
    assert file.claims.strings("claim_id") == ["a", "a#3", "a#2", "a#4"]
    assert [fault.field for fault in file.faults] == ["claim_id", "claim_id"]


def test_default_ids_sort_in_the_order_of_the_file(tmp_path: Path) -> None:
    ids = _read(tmp_path, *([_ROW] * 12)).claims.strings("claim_id")
    assert ids == sorted(ids, key=str)


def test_a_truncated_archive_gives_the_rows_before_the_break(tmp_path: Path) -> None:
    body = "\n".join(json.dumps({**_ROW, "note": str(np.random.default_rng(i).random(9))})
                     for i in range(400))  # fmt: skip
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(body.encode())[:-4000])
    file = read_claims(path)
    assert 0 < len(file.claims) < 400
    assert file.broken is not None
    assert "truncated" in str(file.broken)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", b"", "is empty"),
        ("c.jsonl", b"\n \n", "is empty"),
        ("c.csv", b"caption,subject_box,object_box\n", "holds no claims"),
        ("c.txt", b"x", "valid: .jsonl, .csv, .parquet"),
        ("c.parquet", b"PAR1 nonsense", "cannot be read as Parquet"),
        ("c.jsonl.gz", b"plain text", "gzip"),
        ("c.jsonl", b"\xff\xfe\x00\x01", "no readable row"),
    ],
)
def test_an_unusable_file_says_why(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=said):
        read_claims(path)


def test_missing_files_and_columns_say_what_is_valid(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        read_claims(tmp_path / "none.jsonl")
    with pytest.raises(ColumnError, match=r'"object_box" is missing; did you mean "objct_box"'):
        _read(tmp_path, {"caption": "x", "subject_box": [0] * 4, "objct_box": [0] * 4})
    with pytest.raises(ColumnError, match="give the whole claim as a sentence in caption"):
        _read(tmp_path, {**_boxes(), "subject": "a", "object": "b"})


def test_a_line_of_another_encoding_is_one_lost_row(tmp_path: Path) -> None:
    good = json.dumps({**_ROW, "caption": "The café is near the bar."}, ensure_ascii=False)
    path = tmp_path / "c.jsonl"
    path.write_bytes(good.encode() + b"\n" + good.encode("latin-1") + b"\n" + good.encode())
    file = read_claims(path)
    assert file.claims.strings("subject") == ["café", None, "café"]
    assert [fault.row for fault in file.faults] == [2]
    table = tmp_path / "c.csv"
    table.write_bytes(
        b"caption,subject_box,object_box\n"
        + 'The café is near the bar.,"[1,1,5,5]","[2,2,6,6]"\n'.encode("latin-1")
        + 'The café is near the bar.,"[1,1,5,5]","[2,2,6,6]"\n'.encode()
        + b"too,few\n"
    )
    file = read_claims(table)
    assert file.claims.strings("subject") == [None, "café", None]
    assert [fault.row for fault in file.faults] == [2, 4]


def test_the_convention_is_one_for_the_file_and_can_be_told(tmp_path: Path) -> None:
    pixels = {**_ROW, "subject_box": [10, 10, 50, 60], "object_box": [70, 10, 90, 60]}
    file = _read(tmp_path, pixels, pixels, _ROW)
    assert (file.convention.format, file.convention.unit) == ("xyxy", "pixel")
    assert "box_format_deviates" in _reasons(file)[2]
    assert "image_size_unknown" in _reasons(file)[0]
    sized = _read(tmp_path, {**pixels, "width": 100, "height": 80}, box_format="xywh")
    np.testing.assert_allclose(sized.grounding.subject_box, [[10, 10, 60, 70]])
    np.testing.assert_allclose(sized.grounding.image_size, [[100, 80]])
    with pytest.raises(InputError, match="valid: xyxy, xywh, cxcywh"):
        _read(tmp_path, _ROW, box_format="yolo")


def test_fractions_and_pixels_of_one_box_agree() -> None:
    fractions = np.array([[0.5, 0.5, 0.25, 0.5]])
    pixels = fractions * [200, 100, 200, 100]
    given = BoxConvention("cxcywh", "fraction", assumed=True)
    told = BoxConvention("cxcywh", "pixel", assumed=False)
    first, _ = to_corners(fractions, np.ones((1, 2)), given)
    second, _ = to_corners(pixels, np.array([[200.0, 100.0]]), told)
    np.testing.assert_allclose(second, first * [200, 100, 200, 100])


def test_boxes_as_text() -> None:
    column = pa.array(
        ["[1, 2, 3, 4]", "1 2 3 4", "(1e0,2.,.3,4)", "[1,2,3]", "", None, "[1,2,3,x]"]
    )
    boxes, unreadable = parse_boxes(column)
    assert unreadable.tolist() == [False, False, False, True, False, False, True]
    np.testing.assert_allclose(boxes[2], [1, 2, 0.3, 4])


def test_all_labelled_statements_read_without_a_fault(shared_data: Path) -> None:
    file = read_claims(shared_data / "vsr_boxes" / "statements.jsonl.gz")
    assert len(file.claims) == 6458
    assert not file.faults
    assert not file.grounding.reasons.any()
    assert file.convention.describe().startswith("boxes are read as cxcywh in fractions")


def _said(tmp_path: Path, name: str, answers: list[Any]) -> ClaimFile:
    rows = [{**_ROW, "answer": answer} for answer in answers]
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table({key: [row[key] for row in rows] for key in rows[0]}), path)
    elif ".csv" in name:
        boxes = ["[0.2, 0.5, 0.2, 0.2]", "[0.7, 0.5, 0.2, 0.2]"]
        written = pa.table(
            {
                "caption": [_ROW["caption"]] * len(rows),
                "subject_box": [boxes[0]] * len(rows),
                "object_box": [boxes[1]] * len(rows),
                "answer": [None if answer is None else str(answer) for answer in answers],
            }
        )
        pa.csv.write_csv(written, path)
    else:
        _write(path, list(rows))
    return read_claims(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_what_is_neither_yes_nor_no_is_counted_with_the_first_of_it(tmp_path, kind) -> None:
    said = ["Yes, it is.", "Not sure", "No doubt, it is.", "Yes and no.", "no", None]
    file = _said(tmp_path, f"c.{kind}", said)
    assert file.answers is not None
    assert file.answers.strings("answer") == ["yes", "unparsed", "yes", "unparsed", "no"]
    line = 3 if kind == "csv" else 2
    assert file.unparsed == (
        f"{tmp_path / 'c.'}{kind}: 2 of 5 answers are neither yes nor no "
        f'(first: row {line} "Not sure")'
    )
    assert _reasons(file)[3] == ["answer_unparsed"]
    assert _reasons(file)[5] == ["answer_missing"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_number_is_no_answer_and_the_note_says_where_it_belongs(tmp_path, kind) -> None:
    file = _said(tmp_path, f"c.{kind}", [0.93, 0.07])
    assert file.answers is not None
    assert file.answers.strings("answer") == ["unparsed", "unparsed"]
    assert str(file.unparsed).endswith('"0.93"); a number belongs in p_yes')
    flags = _said(tmp_path, f"d.{kind}", [1, 0])
    assert flags.answers is not None
    assert flags.answers.strings("answer") == ["yes", "no"]
    assert flags.unparsed is None


_CAFE = {**_ROW, "subject": "café", "relation": "left of", "object": "naïve “cup”"}


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16: every other byte is zero"),
        ("utf-16-be", "UTF-16: every other byte is zero"),
        ("utf-32", "UTF-32"),
        ("cp1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "jsonl.gz"])
def test_text_in_any_common_encoding_is_the_same_text(
    tmp_path: Path, kind: str, encoding: str, said: str | None
) -> None:
    if kind == "csv":
        text = (
            "subject,relation,object,subject_box,object_box\r\n"
            'café,left of,"naïve “cup”","[0.2, 0.5, 0.2, 0.2]","[0.7, 0.5, 0.2, 0.2]"\r\n'
        )
    else:
        text = json.dumps(_CAFE, ensure_ascii=False) + "\n"
    content = text.encode(encoding)
    path = tmp_path / f"c.{kind}"
    path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    file = read_claims(path)
    assert not file.faults
    assert file.claims.strings("subject") == ["café"]
    assert file.claims.strings("object") == ["naïve “cup”"]
    assert [note for note in file.notes if "text" in note] == (
        [] if said is None else [file.notes[0]]
    )
    assert said is None or said in file.notes[0]


def test_bytes_that_windows_lacks_are_latin() -> None:
    text, note = as_utf8(b"caf\xe9 \x81")
    assert text.decode() == "café \x81"
    assert note is not None
    assert "Latin-1" in note


def test_what_of_utf_16_cannot_be_decoded_costs_its_row(tmp_path: Path) -> None:
    line = json.dumps(_CAFE, ensure_ascii=False) + "\n"
    bad = line.encode("utf-16-le").replace("é".encode("utf-16-le"), b"\x00\xd8")
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\xff\xfe" + line.encode("utf-16-le") + bad + line.encode("utf-16-le"))
    file = read_claims(path)
    assert file.claims.strings("subject") == ["café", None, "café"]
    assert [fault.row for fault in file.faults] == [2]


@pytest.mark.parametrize(("delimiter", "said"), [(";", "semicolons"), ("\t", "tabs"), (",", None)])
def test_the_delimiter_is_told_by_the_header(
    tmp_path: Path, delimiter: str, said: str | None
) -> None:
    rows = [
        ["caption", "subject_box", "object_box", "note"],
        ["The mug is left of the cup.", '"[0.2, 0.5, 0.2, 0.2]"', '"[0.7, 0.5, 0.2, 0.2]"', "a"],
    ]
    path = tmp_path / "c.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n", encoding="utf-8")
    file = read_claims(path)
    assert file.claims.strings("relation") == ["left of"]
    assert np.isfinite(file.grounding.subject_box).all()
    assert any("parted by" in note for note in file.notes) == (said is not None)
    assert said is None or any(said in note for note in file.notes)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_quote_left_open_costs_one_row(tmp_path: Path, place: int) -> None:
    good = ["The mug is left of the cup.", '"[0.2, 0.5, 0.2, 0.2]"', '"[0.7, 0.5, 0.2, 0.2]"', "a"]
    bad = list(good)
    bad[place] = '"' + bad[place].strip('"')
    table = [["caption", "subject_box", "object_box", "note"], good, bad, good, good]
    path = tmp_path / "c.csv"
    path.write_text("\n".join(",".join(row) for row in table) + "\n", encoding="utf-8")
    file = read_claims(path)
    assert file.claims.strings("subject") == ["mug", None, "mug", "mug"]
    assert [fault.row for fault in file.faults] == [3]


def test_cells_of_several_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "\ncaption,subject_box,object_box,note\n"
        'The mug is left of the cup.,"[0.2,0.5,0.2,0.2]","[0.7,0.5,0.2,0.2]","one\n\ntwo"\n'
        'The mug is left of the cup.,"[0.2,0.5,0.2,0.2]","[0.7,0.5,0.2,0.2]",\n'
    )
    file = read_claims(path)
    assert not file.faults
    assert file.given["note"].to_pylist() == ["one\n\ntwo", None]
