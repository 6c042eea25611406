"""Recorded answers of a VLM: JSON lines, CSV, Parquet, or a folder of Parquet parts.

A row has ``answer`` (whole sentences are read) or ``p_yes``, and names its claim by ``claim_id``,
or by ``image`` with ``caption``, or with ``subject``, ``relation`` and ``object``. The other
columns of the answers table (:data:`spatialtrust.schema.ANSWERS`) are taken where they are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, FileError
from spatialtrust.io.claim_answers import answers_from_rows
from spatialtrust.io.claim_files import TEXT_COLUMNS, read_statements
from spatialtrust.io.parquet import read_table
from spatialtrust.io.rows import RawRows, read_rows
from spatialtrust.replies import texts_of
from spatialtrust.schema import ANSWERS
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spatialtrust.errors import RowError
    from spatialtrust.io.claim_files import ClaimFile
    from spatialtrust.tables import Claims

KINDS: Final = (".parquet", ".jsonl", ".csv", ".jsonl.gz", ".csv.gz")
FORMS: Final = f"answers are read from {', '.join(KINDS)}, or a folder of .parquet parts"
_DEFAULTS: Final = {"view": "plain", "form": "claim", "prompt_id": "default", "status": "ok"}
_SEPARATOR: Final = " | "


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """Answers as they were recorded.

    Attributes
    ----------
    answers: a row each; ``claim_id`` is the claim's, or image, subject, relation and object in one
        text where the file has no ids.
    image_names: where it has none: each end of a path at a slash to the one recorded name that
        ends so, or None where several do.
    notes: how many are neither yes nor no.
    faults: what was wrong with single rows.
    """

    answers: Answers
    image_names: Mapping[str, str | None] | None
    notes: tuple[str, ...]
    faults: tuple[RowError, ...]

    def of(self, claims: Claims) -> Answers:
        """The rows about some claims, under the claims' ids."""
        ids = claims.column("claim_id").combine_chunks()
        known = self.answers.data
        if self.image_names is None:
            return Answers(known.filter(pc.is_in(known["claim_id"], value_set=ids)))
        names = self.image_names
        images = [names.get(_slashed(str(image))) for image in claims.strings("image_id")]
        asked = pa.table({"claim_id": _keys(claims, pa.array(images, pa.string())), "asked": ids})
        found = known.filter(pc.is_in(known["claim_id"], value_set=asked["claim_id"].unique()))
        found = found.join(asked.drop_null(), "claim_id", join_type="inner")
        columns = {name: found[name] for name in self.answers.schema.names}
        return Answers.from_columns({**columns, "claim_id": found["asked"]}, "recorded answers")


def check_kind(path: Path) -> None:
    """Refuse a file of a kind that holds no answers.

    Raises
    ------
    FileError: it is of another kind.
    """
    if not path.is_dir() and not path.name.lower().endswith(KINDS):
        raise FileError(path, f'is of kind "{path.suffix}"', FORMS)


def read_answers(path: Path, model: str) -> RecordedAnswers:
    """Read recorded answers.

    Parameters
    ----------
    path: a file or folder of the kinds above.
    model: whose answers they are where the file does not say.

    Raises
    ------
    FileError: nothing is there, or it cannot be read.
    ColumnError: the answers are missing, or what they are about.
    RowError: two rows answer the same question.
    SchemaVersionError: another schema version wrote it.
    """
    check_kind(path)
    rows = _rows(path)
    heard, faults = answers_from_rows(rows)
    names = rows.table.column_names
    image_names = None
    if "claim_id" in names:
        ids = texts_of(rows.table["claim_id"])
    else:
        file = _statements(path, names)
        claims, faults = file.claims, file.faults
        image_names = _ends(pc.unique(claims.column("image_id")).to_pylist())
        ids = _keys(claims, pa.array(map(_slashed, claims.column("image_id").to_pylist())))
    columns = {name: rows.table[name] for name in ANSWERS.names if name in names}
    columns |= {"claim_id": ids, "answer": heard.answer}
    columns["p_yes"] = pa.array(heard.p_yes, pa.float32(), from_pandas=True)
    for name, value in {"model": model, **_DEFAULTS}.items():
        given = columns.get(name, pa.nulls(len(ids), pa.string())).cast(pa.string())
        columns[name] = pc.fill_null(given, value)
    # A row of our own tables may have no answer and say why; one of a plain file then says nothing.
    usable = (
        ids.is_valid() if "status" in names else pc.and_(ids.is_valid(), heard.answer.is_valid())
    )
    table = pa.table(columns).filter(usable)
    notes = () if heard.unparsed is None else (heard.unparsed,)
    return RecordedAnswers(Answers.from_arrow(table, rows.source), image_names, notes, faults)


def _rows(path: Path) -> RawRows:
    if not path.exists():
        raise FileError(path, "does not exist", FORMS)
    if not path.is_dir() and path.suffix.lower() != ".parquet":
        return read_rows(path)
    try:
        return RawRows.from_table(read_table(path), str(path))
    except FileError as error:
        held = (
            "holds no .parquet file" if path.is_dir() else "is no Parquet file, whatever its name"
        )
        raise FileError(path, held, FORMS) from error


def _statements(path: Path, names: list[str]) -> ClaimFile:
    """The claims that a file without ids is about."""
    sentence = any(name in names for name in TEXT_COLUMNS)
    parts = all(name in names for name in ("subject", "relation", "object"))
    image = "image" in names or "image_id" in names
    if path.is_dir() or not image or not (sentence or parts):
        raise ColumnError(
            path,
            "claim_id",
            "is missing",
            "name the claim of each answer by claim_id, or by image and caption; columns found: "
            f"{', '.join(names) or 'none'}",
        )
    return read_statements(path)


def _keys(claims: Claims, images: pa.Array) -> pa.Array:
    """Image, subject, relation and object as one text; null where one is missing."""
    parts = [
        pc.utf8_lower(claims.column(name).combine_chunks())
        for name in ("subject", "relation", "object")
    ]
    return pc.binary_join_element_wise(images, *parts, _SEPARATOR)


def _slashed(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _ends(names: list[str]) -> dict[str, str | None]:
    """Each end of a path to the one name that has it, a whole name before any end."""
    whole = {_slashed(name) for name in names}
    ends: dict[str, str | None] = {}
    for name in sorted(whole):
        parts = name.split("/")
        for start in range(1, len(parts)):
            end = "/".join(parts[start:])
            ends[end] = name if end not in ends else None
    return {**ends, **{name: name for name in whole}}
