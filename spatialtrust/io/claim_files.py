"""Files of claims with boxes: JSON lines, CSV and Parquet, into claims, grounding and answers.

The columns are those of VSR-style statements: ``caption``, or ``subject``, ``relation`` and
``object``; ``subject_box`` and ``object_box``; and, if at hand, ``claim_id``, ``image``, ``width``,
``height``, ``answer``, ``p_yes``, ``label``. Other columns are kept as they are.

A row that cannot be used stays in the result with its reason, and is named in ``faults``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, FileError, RowError, suggest
from spatialtrust.io.boxes import BoxConvention, choose_convention, parse_boxes, to_corners
from spatialtrust.io.rows import RawRows, read_rows
from spatialtrust.language import canonical_names, parse_answers, parse_claims
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES, PHRASES
from spatialtrust.tables import Answers, Claims, Grounding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TEXT_COLUMNS: Final = ("caption", "text")
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
    """

    claims: Claims
    grounding: Grounding
    answers: Answers | None
    given: pa.Table
    convention: BoxConvention
    faults: tuple[RowError, ...]
    broken: FileError | None


def read_claims(
    path: str | Path, *, box_format: str | None = None, box_unit: str | None = None
) -> ClaimFile:
    """Read a file of claims with boxes.

    Parameters
    ----------
    path: ``.jsonl``, ``.csv`` or ``.parquet``, the first two also with ``.gz``.
    box_format, box_unit: see ``boxes.FORMATS`` and ``boxes.UNITS``; None: from the numbers.

    Raises
    ------
    FileError: the file is missing, empty, or of an unknown kind.
    ColumnError: columns are missing.
    InputError: ``box_format`` or ``box_unit`` is not known.
    """
    return claims_from_rows(read_rows(path), box_format=box_format, box_unit=box_unit)


def read_statements(path: str | Path, phrases: Sequence[str] | None = None) -> ClaimFile:
    """Read a file of claims about images in which their boxes are looked for: it may have none.

    Parameters
    ----------
    path: see :func:`read_claims`.
    phrases: the names of what is looked for; sentences are read with them (``parse_claims``).

    Raises
    ------
    FileError, ColumnError: see :func:`read_claims`.
    """
    rows = read_rows(path)
    table = rows.table
    for name in ("subject_box", "object_box"):
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return claims_from_rows(replace(rows, table=table), phrases=phrases)


def claims_from_rows(
    rows: RawRows,
    *,
    box_format: str | None = None,
    box_unit: str | None = None,
    phrases: Sequence[str] | None = None,
) -> ClaimFile:
    """The same from rows that were read already."""
    _require_columns(rows)
    reader = _Reader(rows)
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
    boxes, convention, size = _boxes(reader, box_format, box_unit)
    answers = _answers(reader, claim_id)
    return ClaimFile(
        claims,
        Grounding.from_boxes(*boxes, size, reader.reasons),
        answers,
        rows.table,
        convention,
        tuple(sorted(reader.faults, key=lambda fault: fault.row)),
        rows.broken,
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


@dataclass(slots=True)
class _Reader:
    """The rows with what was found wrong in them so far."""

    rows: RawRows
    faults: list[RowError] = field(default_factory=list)
    reasons: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        self.faults.extend(self.rows.faults)
        self.reasons = np.zeros(len(self.rows.table), dtype=np.uint32)

    def text(self, *names: str) -> pa.Array | None:
        """The first of these columns that exists, as strings; None where none does."""
        for name in names:
            if name in self.rows.table.column_names:
                column = self.rows.table[name].combine_chunks()
                if pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                if pa.types.is_nested(column.type):
                    self.blame(column.is_valid(), name, "is not a text", "give a plain text")
                    return pa.nulls(len(column), pa.string())
                return column.cast(pa.string())
        return None

    def blame(
        self,
        wrong: NDArray[np.bool_] | pa.Array,
        field: str,
        problem: str | Callable[[int], str],
        remedy: str,
        reason: str | None = None,
    ) -> None:
        """Note a fault for every row of a mask, and its reason code where it has one."""
        mask = np.asarray(wrong) & ~self.rows.unreadable
        if reason is not None:
            self.reasons[mask] |= np.uint32(bit(reason))
        for row in np.flatnonzero(mask):
            said = problem if isinstance(problem, str) else problem(int(row))
            line = int(self.rows.lines[row])
            self.faults.append(RowError(self.rows.source, line, field, said, remedy))


def _parts(
    reader: _Reader, phrases: Sequence[str]
) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
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


def _claim_ids(reader: _Reader) -> pa.Array:
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


def _labels(reader: _Reader) -> pa.Array:
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


def _boxes(
    reader: _Reader, box_format: str | None, box_unit: str | None
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], BoxConvention, NDArray[np.float32]]:
    numbers = []
    for name in ("subject_box", "object_box"):
        column = reader.rows.table[name]
        values, unreadable = parse_boxes(column)
        listed = column
        reader.blame(
            unreadable,
            name,
            lambda row, listed=listed: f"is {listed[row].as_py()!r}"[:120],  # type: ignore[misc]
            "give four numbers, for example [0.1, 0.2, 0.3, 0.4]",
            "degenerate_box",
        )
        numbers.append(values)
    convention = choose_convention(np.concatenate(numbers), box_format, box_unit)
    size = _image_size(reader, convention)
    corners = []
    for role, values in zip(("subject", "object"), numbers, strict=True):
        name = f"{role}_box"
        box, reasons = to_corners(values, size, convention)
        explained = np.uint32(bit("degenerate_box") | bit("row_unreadable"))
        absent = np.isnan(values).all(axis=1) & (reader.reasons & explained == 0)
        reader.reasons |= reasons | (absent * np.uint32(bit(f"{role}_missing"))).astype(np.uint32)
        for code, problem in (
            ("degenerate_box", "is inverted, has no area inside the image or is not finite"),
            ("box_format_deviates", f"does not fit the file: {convention.describe()}"),
            ("box_outside_image", "reaches outside the image; it was cut"),
        ):
            mask = reasons & bit(code) != 0
            reader.blame(
                mask,
                name,
                lambda row, values=values, problem=problem: (  # type: ignore[misc]
                    f"{values[row].tolist()} {problem}"
                ),
                "",
            )
        corners.append(box)
    return (corners[0], corners[1]), convention, size.astype(np.float32)


def _image_size(reader: _Reader, convention: BoxConvention) -> NDArray[np.float64]:
    rows = len(reader.rows.table)
    if convention.unit == "fraction":
        return np.ones((rows, 2))
    size = np.full((rows, 2), np.nan)
    for place, name in enumerate(("width", "height")):
        values = reader.text(name)
        if values is None:
            continue
        size[:, place], wrong = _floats(values)
        wrong |= size[:, place] <= 0
        reader.blame(wrong, name, "is not a positive number", "give pixels")
        size[wrong, place] = np.nan
    unknown = np.isnan(size).any(axis=1)
    size[unknown] = np.nan
    reader.reasons[unknown] |= np.uint32(bit("image_size_unknown"))
    return size


def _answers(reader: _Reader, claim_id: pa.Array) -> Answers | None:
    said, share = reader.text("answer"), reader.text("p_yes")
    if said is None and share is None:
        return None
    rows = len(reader.rows.table)
    p_yes = np.full(rows, np.nan)
    if share is not None:
        p_yes, wrong = _floats(share)
        wrong |= (p_yes < 0) | (p_yes > 1)
        reader.blame(wrong, "p_yes", "is not a number from 0 to 1", "give P(yes), or nothing")
        p_yes[wrong] = np.nan
    from_share = pa.array(np.where(p_yes >= 0.5, "yes", "no"), mask=np.isnan(p_yes))
    answer = from_share if said is None else pc.coalesce(parse_answers(said), from_share)
    unparsed = pc.equal(answer, "unparsed").fill_null(False).to_numpy(zero_copy_only=False)
    missing = answer.is_null().to_numpy(zero_copy_only=False) & ~reader.rows.unreadable
    reader.reasons[unparsed] |= np.uint32(bit("answer_unparsed"))
    reader.reasons[missing] |= np.uint32(bit("answer_missing"))
    return Answers.from_columns(
        {
            "claim_id": claim_id,
            "model": pa.repeat("recorded", rows),
            "view": pa.repeat("plain", rows),
            "form": pa.repeat("claim", rows),
            "prompt_id": pa.repeat("default", rows),
            "answer": answer,
            "p_yes": pa.array(p_yes, pa.float32(), from_pandas=True),
            "status": pa.repeat("ok", rows),
        },
        reader.rows.source,
    ).select(answer.is_valid().to_numpy(zero_copy_only=False))


def _floats(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Text to numbers, NaN where empty, and a mask of what is neither empty nor a number."""
    clean = pc.utf8_trim_whitespace(column)
    empty = pc.or_(pc.is_null(clean), pc.equal(clean, "")).fill_null(True)
    number = pc.match_substring_regex(
        clean, pattern=r"^-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"
    ).fill_null(False)
    values = pc.cast(pc.if_else(number, clean, None), pa.float64()).to_numpy(zero_copy_only=False)
    wrong = pc.invert(pc.or_(number, empty)).to_numpy(zero_copy_only=False)
    return values.copy(), wrong
