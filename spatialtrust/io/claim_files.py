"""Files of claims with boxes: JSON lines, CSV and Parquet, into claims, grounding and answers.

The columns are those of VSR-style statements: ``caption``, or ``subject``, ``relation`` and
``object``; ``subject_box`` and ``object_box``; and, if at hand, ``claim_id``, ``image``, ``width``,
``height``, ``answer``, ``p_yes``, ``label``; a column ``box_format`` or ``box_unit`` of one value
says how the file's boxes are written. Other columns are kept as they are.

A row that cannot be used stays in the result with its reason, and is named in ``faults``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, FileError, RowError, suggest
from spatialtrust.io.boxes import (
    BoxConvention,
)
from spatialtrust.io.claim_answers import answers_of, heard_in
from spatialtrust.io.claim_boxes import boxes_of
from spatialtrust.io.claim_reader import Reader
from spatialtrust.io.given import rows_of
from spatialtrust.io.rows import RawRows, read_rows
from spatialtrust.language import canonical_names, parse_claims
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES, PHRASES
from spatialtrust.tables import Answers, Claims, Grounding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.io.given import Held

TEXT_COLUMNS: Final = ("caption", "text")
_BOX_COLUMNS: Final = ("subject_box", "object_box", "box_format", "box_unit")
_TRUTH: Final = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """A file of claims, read.

    Attributes
    ----------
    claims: one row per row of the file, in its order.
    grounding: the boxes of each claim, row by row.
    answers: what a VLM said; None where the file has no answer column.
    given: the file's own columns, row by row.
    convention: how the boxes were read.
    faults: what was wrong with single rows, in the file's order.
    broken: why the file ends early; None where it was read whole.
    notes: what was inferred about the whole file, a sentence each: its encoding, how its boxes are
        read, how else they could be read, and how many do not fit.
    box_misfits: rows with a box that could not be used as it stands, by reason code.
    unparsed: how many answers are neither yes nor no, in a sentence; None where all are.
    source: what the claims are called in messages: their file, or what held them.
    """

    claims: Claims
    grounding: Grounding
    answers: Answers | None
    given: pa.Table
    convention: BoxConvention
    faults: tuple[RowError, ...]
    broken: FileError | None
    notes: tuple[str, ...]
    box_misfits: Mapping[str, int]
    unparsed: str | None = None
    source: str = ""


def read_claims(
    claims: Held, *, box_format: str | None = None, box_unit: str | None = None
) -> ClaimFile:
    """Read claims with boxes.

    Parameters
    ----------
    claims: a file (``.jsonl``, ``.csv`` or ``.parquet``, the first two also with ``.gz``), or what
        holds them in Python, see :func:`spatialtrust.io.given.rows_of`.
    box_format, box_unit: see ``boxes.FORMATS`` and ``boxes.UNITS``; None: from the file's columns
        of these names, else from the numbers (:func:`conventions.choose_convention`).

    Raises
    ------
    FileError: the file is missing, empty, or of an unknown kind, or its boxes fit no convention.
    ColumnError: columns are missing, or the file names several conventions.
    InputError: ``box_format`` or ``box_unit`` is not known.
    """
    return claims_from_rows(rows_of(claims), box_format=box_format, box_unit=box_unit)


def read_statements(path: str | Path, phrases: Sequence[str] | None = None) -> ClaimFile:
    """Read a file of claims about images in which their boxes are looked for.

    It may have boxes of its own; they are not read, and that is noted.

    Parameters
    ----------
    path: see :func:`read_claims`.
    phrases: the names of what is looked for; sentences are read with them (``parse_claims``).

    Raises
    ------
    FileError, ColumnError: see :func:`read_claims`.
    """
    rows = read_rows(path)
    own = [name for name in _BOX_COLUMNS if name in rows.table.column_names]
    table = rows.table.drop_columns(own)
    for name in ("subject_box", "object_box"):
        table = table.append_column(name, pa.nulls(table.num_rows))
    notes = rows.notes
    if set(own) & {"subject_box", "object_box"}:
        notes += ("boxes of claims are not used here: those that are found or recorded are",)
    found = claims_from_rows(replace(rows, table=table), phrases=phrases)
    return replace(found, given=rows.table, notes=notes)


def claims_from_rows(
    rows: RawRows,
    *,
    box_format: str | None = None,
    box_unit: str | None = None,
    phrases: Sequence[str] | None = None,
) -> ClaimFile:
    """The same from rows that were read already."""
    _require_columns(rows)
    reader = Reader(rows)
    reader.reasons[rows.unreadable] |= np.uint32(bit("row_unreadable"))
    subject, relation, object_, text = _parts(reader, phrases or ())
    claim_id = _claim_ids(reader)
    image_id = reader.text("image", "image_id")
    # A row without an image is an image of its own.
    image_id = claim_id if image_id is None else pc.coalesce(image_id, claim_id)
    claims = Claims.from_columns(
        {
            "claim_id": claim_id,
            "image_id": image_id,
            "subject": subject,
            "relation": relation,
            "object": object_,
            "text": text,
            "source": pa.repeat("user", len(rows.table)),
            "label": _labels(reader),
        },
        rows.source,
    )
    boxes = boxes_of(reader, box_format, box_unit)
    heard = heard_in(reader)
    answers = None if heard is None else answers_of(heard, reader, claim_id)
    return ClaimFile(
        claims,
        Grounding.from_boxes(boxes.corners[0], boxes.corners[1], boxes.size, reader.reasons),
        answers,
        rows.table,
        boxes.convention,
        tuple(sorted(reader.faults, key=lambda fault: fault.row)),
        rows.broken,
        (*rows.notes, *boxes.notes),
        boxes.misfits,
        unparsed=None if heard is None else heard.unparsed,
        source=rows.source,
    )


def _require_columns(rows: RawRows) -> None:
    names = rows.table.column_names
    has_text = any(name in names for name in TEXT_COLUMNS)
    needed = ["subject_box", "object_box"]
    if not has_text:
        needed = ["subject", "relation", "object", *needed]
    for name in needed:
        if name not in names:
            either = "" if has_text else " (or give the whole claim as a sentence in caption)"
            hint = suggest(name, names)
            raise ColumnError(
                rows.source,
                name,
                "is missing",
                f"{hint}a claim needs {', '.join(needed)}{either}; "
                f"columns found: {', '.join(names) or 'none'}",
            )


def _parts(reader: Reader, phrases: Sequence[str]) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """Subject, canonical relation and object, from their columns or else from the sentence."""
    nothing = pa.nulls(len(reader.rows.table), pa.string())
    text = reader.text(*TEXT_COLUMNS)
    given = {name: reader.text(name) for name in ("subject", "relation", "object")}
    named = {name: nothing if column is None else column for name, column in given.items()}
    relation = canonical_names(named["relation"])
    wording = named["relation"]
    unknown = pc.and_(pc.is_valid(wording), pc.is_null(relation))
    reader.blame(
        unknown.to_numpy(zero_copy_only=False),
        "relation",
        lambda row: (
            f'"{wording[row].as_py()}" is not known; '
            f"{suggest(wording[row].as_py().lower(), PHRASES)}"
            f"(spatialtrust backends --relations lists all {len(NAMES)})"
        ),
        "",
        "relation_unknown",
    )
    subject, object_ = named["subject"], named["object"]
    if text is not None:
        incomplete = pc.or_(
            pc.or_(pc.is_null(subject), pc.is_null(object_)), pc.is_null(wording)
        ).to_numpy(zero_copy_only=False)
        if incomplete.any():
            unread = pc.if_else(pa.array(incomplete), text, None)
            parsed = parse_claims(unread, _known_phrases(subject, object_, phrases))
            subject = pc.coalesce(subject, pc.struct_field(parsed, "subject"))
            object_ = pc.coalesce(object_, pc.struct_field(parsed, "object"))
            relation = pc.if_else(
                pc.is_null(wording), pc.struct_field(parsed, "relation"), relation
            )
            unparsed = incomplete & ~parsed.is_valid().to_numpy(zero_copy_only=False)
            reader.blame(
                unparsed,
                "caption",
                lambda row, text=text: f'"{text[row].as_py()}" could not be read as a claim',  # type: ignore[misc]
                'say it as "The mug is left of the kettle."',
                "claim_unparsed",
            )
    else:
        text = nothing
    known_reason = reader.reasons & np.uint32(bit("claim_unparsed") | bit("relation_unknown"))
    for name, column in (("subject", subject), ("relation", relation), ("object", object_)):
        missing = column.is_null().to_numpy(zero_copy_only=False) & (known_reason == 0)
        reader.blame(missing, name, "is missing", "every claim needs one", "claim_incomplete")
    return subject, relation, object_, text


def _known_phrases(
    subject: pa.Array, object_: pa.Array, phrases: Sequence[str]
) -> list[str] | list[tuple[str, ...]]:
    """The things known to be meant, those that rows name in columns of their own included."""
    if subject.null_count == len(subject) and object_.null_count == len(object_):
        return list(phrases)
    pairs = zip(subject.to_pylist(), object_.to_pylist(), strict=True)
    return [(*phrases, *(phrase for phrase in pair if phrase)) for pair in pairs]


def _claim_ids(reader: Reader) -> pa.Array:
    """The user's ids, repeated ones suffixed; else zero-padded row numbers."""
    rows = len(reader.rows.table)
    width = max(6, len(str(rows)))
    numbered = pc.utf8_lpad(pa.array(np.arange(rows)).cast(pa.string()), width, "0")
    given = reader.text("claim_id")
    if given is None:
        return numbered
    ids = pc.coalesce(given, numbered)
    if pc.count_distinct(ids).as_py() == rows:
        return ids
    listed = ids.to_pylist()
    taken = set(listed)
    seen: dict[str, int] = {}
    repeated = np.zeros(rows, dtype=bool)
    for row, name in enumerate(listed):
        seen[name] = count = seen.get(name, 0) + 1
        if count > 1:
            repeated[row] = True
            while f"{name}#{count}" in taken:
                count += 1
            seen[name] = count
            listed[row] = f"{name}#{count}"
            taken.add(listed[row])
    reader.blame(
        repeated,
        "claim_id",
        lambda row: f'"{ids[row].as_py()}" occurs before; kept as "{listed[row]}"',
        "claim ids should be unique",
        "duplicate_claim_id",
    )
    return pa.array(listed)


def _labels(reader: Reader) -> pa.Array:
    label = reader.text("label")
    if label is None:
        return pa.nulls(len(reader.rows.table), pa.int8())
    clean = pc.utf8_lower(pc.utf8_trim_whitespace(label))
    places = pc.index_in(clean, value_set=pa.array(list(_TRUTH)))
    values = pc.take(pa.array(list(_TRUTH.values()), pa.int8()), places)
    given = pc.and_(pc.is_valid(clean), pc.not_equal(clean, ""))
    wrong = pc.and_(given, pc.is_null(values)).fill_null(False)
    reader.blame(
        wrong.to_numpy(zero_copy_only=False),
        "label",
        lambda row: f'"{label[row].as_py()}" is not a label',
        "give 1 (true), 0 (false) or nothing; the row counts as not labelled",
    )
    return values
