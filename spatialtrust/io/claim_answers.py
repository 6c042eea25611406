"""What a VLM said in the rows of a file: answers and P(yes), and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, RowError
from spatialtrust.io.claim_reader import Reader, floats
from spatialtrust.reasons import bit
from spatialtrust.replies import NUMBER, parse_answers, texts_of
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.io.rows import RawRows


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


def answers_from_rows(rows: RawRows) -> tuple[Heard, tuple[RowError, ...]]:
    """What a VLM said in each row, read as in a file of claims, and what is wrong with rows.

    Raises
    ------
    ColumnError: there is neither a column ``answer`` nor ``p_yes``.
    """
    reader = Reader(rows)
    heard = heard_in(reader)
    if heard is None:
        found = ", ".join(rows.table.column_names) or "none"
        remedy = f"give what the VLM said there, or P(yes) in p_yes; columns found: {found}"
        raise ColumnError(rows.source, "answer", "is missing", remedy)
    return heard, tuple(reader.faults)


def heard_in(reader: Reader) -> Heard | None:
    """What was said; None where there is neither a column ``answer`` nor ``p_yes``."""
    names = reader.rows.table.column_names
    share = reader.text("p_yes")
    if "answer" not in names and share is None:
        return None
    p_yes = np.full(len(reader.rows.table), np.nan)
    if share is not None:
        p_yes, wrong = floats(share)
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


def answers_of(heard: Heard, reader: Reader, claim_id: pa.Array) -> Answers:
    """The answers as a table."""
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
