"""Files of claims with boxes: JSON lines, CSV and Parquet, into claims, grounding and answers.

The columns are those of VSR-style statements: ``caption``, or ``subject``, ``relation`` and
``object``; ``subject_box`` and ``object_box``; and, if at hand, ``claim_id``, ``image``, ``width``,
``height``, ``answer``, ``p_yes``, ``label``; a column ``box_format`` or ``box_unit`` of one value
says how the file's boxes are written. Other columns are kept as they are.

A row that cannot be used stays in the result with its reason, and is named in ``faults``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, FileError, RowError, suggest
from spatialtrust.io.boxes import (
    FORMATS,
    UNITS,
    WHOLE_IMAGE,
    BoxConvention,
    parse_boxes,
    to_corners,
)
from spatialtrust.io.conventions import choose_convention, declared
from spatialtrust.io.rows import RawRows, read_rows
from spatialtrust.language import canonical_names, parse_claims
from spatialtrust.reasons import bit
from spatialtrust.relations import NAMES, PHRASES
from spatialtrust.replies import NUMBER, parse_answers, texts_of
from spatialtrust.tables import Answers, Claims, Grounding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

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
    notes: what was assumed of the whole file, a sentence each: its text, how its boxes are read,
        how else they could be, and how many do not fit.
    box_misfits: rows with a box that could not be used as it stands, by reason code.
    unparsed: how many answers are neither yes nor no, in a sentence; None where all are.
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


def read_claims(
    path: str | Path, *, box_format: str | None = None, box_unit: str | None = None
) -> ClaimFile:
    """Read a file of claims with boxes.

    Parameters
    ----------
    path: ``.jsonl``, ``.csv`` or ``.parquet``, the first two also with ``.gz``.
    box_format, box_unit: see ``boxes.FORMATS`` and ``boxes.UNITS``; None: from the file's columns
        of these names, else from the numbers (:func:`conventions.choose_convention`).

    Raises
    ------
    FileError: the file is missing, empty, or of an unknown kind, or its boxes fit no convention.
    ColumnError: columns are missing, or the file names several conventions.
    InputError: ``box_format`` or ``box_unit`` is not known.
    """
    return claims_from_rows(read_rows(path), box_format=box_format, box_unit=box_unit)


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
    boxes = _boxes(reader, box_format, box_unit)
    heard = _heard(reader)
    answers = None if heard is None else _answers(heard, reader, claim_id)
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
    )


def answers_from_rows(rows: RawRows) -> tuple[Heard, tuple[RowError, ...]]:
    """What a VLM said in each row, read as in a file of claims, and what is wrong with rows.

    Raises
    ------
    ColumnError: there is neither a column ``answer`` nor ``p_yes``.
    """
    reader = _Reader(rows)
    heard = _heard(reader)
    if heard is None:
        found = ", ".join(rows.table.column_names) or "none"
        remedy = f"give what the VLM said there, or P(yes) in p_yes; columns found: {found}"
        raise ColumnError(rows.source, "answer", "is missing", remedy)
    return heard, tuple(reader.faults)


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


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Subject's and object's corners in the frame of ``size``, and what is to be said of them."""

    corners: tuple[NDArray[np.float32], NDArray[np.float32]]
    size: NDArray[np.float32]
    convention: BoxConvention
    notes: tuple[str, ...]
    misfits: Mapping[str, int]


_BOX_PROBLEMS: Final = {
    "degenerate_box": "is inverted, has no area inside the image or is not finite",
    "box_format_deviates": "does not fit the file",
    "box_outside_image": "reaches outside the image; it was cut",
}


def _boxes(reader: _Reader, box_format: str | None, box_unit: str | None) -> _Boxes:
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
    recorded, wrong_size = _recorded_size(reader)
    choice = choose_convention(
        numbers,
        recorded,
        box_format or declared(reader.text("box_format"), FORMATS, reader.rows, "box_format"),
        box_unit or declared(reader.text("box_unit"), UNITS, reader.rows, "box_unit"),
        reader.rows.source,
    )
    convention = choice.convention
    size = _image_size(reader, convention, recorded, wrong_size)
    corners = []
    for role, values in zip(("subject", "object"), numbers, strict=True):
        name = f"{role}_box"
        box, reasons = to_corners(values, size, convention)
        explained = np.uint32(bit("degenerate_box") | bit("row_unreadable"))
        absent = np.isnan(values).all(axis=1) & (reader.reasons & explained == 0)
        reader.reasons |= reasons | (absent * np.uint32(bit(f"{role}_missing"))).astype(np.uint32)
        for code, problem in _BOX_PROBLEMS.items():
            said = f"{problem}: {convention.name}" if code == "box_format_deviates" else problem
            reader.blame(
                reasons & bit(code) != 0,
                name,
                lambda row, values=values, said=said: (  # type: ignore[misc]
                    f"{values[row].tolist()} {said}"
                ),
                "",
            )
        corners.append(box)
    misfits = {
        code: count
        for code in _BOX_PROBLEMS
        if (count := int(np.count_nonzero(reader.reasons & bit(code))))
    }
    notes = [convention.describe(), *choice.notes]
    if misfits:
        counts = ", ".join(f"{count} {code}" for code, count in misfits.items())
        rows = f"of {len(reader.rows.table)} rows with a box that does not fit"
        notes.append(f"{rows}: {counts}")
    return _Boxes(
        (corners[0], corners[1]), size.astype(np.float32), convention, tuple(notes), misfits
    )


def _recorded_size(reader: _Reader) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Width and height (N, 2) as they stand in the file, NaN where unknown; which are wrong."""
    rows = len(reader.rows.table)
    size, wrong = np.full((rows, 2), np.nan), np.zeros((rows, 2), dtype=bool)
    for place, name in enumerate(("width", "height")):
        values = reader.text(name)
        if values is None:
            continue
        size[:, place], wrong[:, place] = _floats(values)
    wrong |= size <= 0
    size[wrong.any(axis=1) | np.isnan(size).any(axis=1)] = np.nan
    return size, wrong


def _image_size(
    reader: _Reader,
    convention: BoxConvention,
    recorded: NDArray[np.float64],
    wrong: NDArray[np.bool_],
) -> NDArray[np.float64]:
    if convention.unit in WHOLE_IMAGE:
        return np.full(recorded.shape, WHOLE_IMAGE[convention.unit])
    for place, name in enumerate(("width", "height")):
        reader.blame(wrong[:, place], name, "is not a positive number", "give pixels")
    reader.reasons[np.isnan(recorded).any(axis=1)] |= np.uint32(bit("image_size_unknown"))
    return recorded


@dataclass(frozen=True, slots=True)
class Heard:
    """What a VLM said in each of (N,) rows.

    Attributes
    ----------
    answer: ``yes``, ``no``, ``unparsed``; null where nothing was said.
    p_yes: float64, P(yes); NaN where it was not given.
    unparsed: how many answers are neither yes nor no, in a sentence; None where all are.
    """

    answer: pa.Array
    p_yes: NDArray[np.float64]
    unparsed: str | None


def _heard(reader: _Reader) -> Heard | None:
    names = reader.rows.table.column_names
    share = reader.text("p_yes")
    if "answer" not in names and share is None:
        return None
    p_yes = np.full(len(reader.rows.table), np.nan)
    if share is not None:
        p_yes, wrong = _floats(share)
        wrong |= (p_yes < 0) | (p_yes > 1)
        reader.blame(wrong, "p_yes", "is not a number from 0 to 1", "give P(yes), or nothing")
        p_yes[wrong] = np.nan
    answer = pa.array(np.where(p_yes >= 0.5, "yes", "no"), mask=np.isnan(p_yes))
    said = None
    if "answer" in names:
        said = texts_of(reader.rows.table["answer"])
        answer = pc.coalesce(parse_answers(reader.rows.table["answer"]), answer)
    unparsed = pc.equal(answer, "unparsed").fill_null(False).to_numpy(zero_copy_only=False)
    missing = answer.is_null().to_numpy(zero_copy_only=False) & ~reader.rows.unreadable
    reader.reasons[unparsed] |= np.uint32(bit("answer_unparsed"))
    reader.reasons[missing] |= np.uint32(bit("answer_missing"))
    return Heard(answer, p_yes, _unparsed(reader.rows, unparsed, said))


_SHOWN: Final = 60


def _unparsed(rows: RawRows, unparsed: NDArray[np.bool_], said: pa.Array | None) -> str | None:
    """How many answers say neither yes nor no, the first of them, and where numbers belong."""
    if said is None or not unparsed.any():
        return None
    first = int(np.argmax(unparsed))
    shown = " ".join(said[first].as_py().split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} ..."
    numbers = pc.match_substring_regex(said.filter(pa.array(unparsed)), pattern=NUMBER)
    remedy = "; a number belongs in p_yes" if pc.any(numbers).as_py() else ""
    return (
        f"{rows.source}: {int(unparsed.sum())} of {len(said) - said.null_count} answers are "
        f'neither yes nor no (first: row {int(rows.lines[first])} "{shown}"){remedy}'
    )


def _answers(heard: Heard, reader: _Reader, claim_id: pa.Array) -> Answers:
    rows = len(reader.rows.table)
    return Answers.from_columns(
        {
            "claim_id": claim_id,
            "model": pa.repeat("recorded", rows),
            "view": pa.repeat("plain", rows),
            "form": pa.repeat("claim", rows),
            "prompt_id": pa.repeat("default", rows),
            "answer": heard.answer,
            "p_yes": pa.array(heard.p_yes, pa.float32(), from_pandas=True),
            "status": pa.repeat("ok", rows),
        },
        reader.rows.source,
    ).select(heard.answer.is_valid().to_numpy(zero_copy_only=False))


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
