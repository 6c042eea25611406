"""Columns of a file of claims, read row by row in mind: what is wrong is blamed on its row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import ColumnError, RowError
from spatialtrust.io.rows import RawRows
from spatialtrust.reasons import bit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(slots=True)
class Reader:
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
                try:
                    text = column.cast(pa.string())
                    text.validate(full=True)
                except pa.ArrowException as error:
                    raise ColumnError(
                        self.rows.source,
                        name,
                        f"holds {column.type}, which is no text",
                        "give text",
                    ) from error
                return text
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


def floats(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Text to numbers, NaN where empty, and a mask of what is neither empty nor a number."""
    clean = pc.utf8_trim_whitespace(column)
    empty = pc.or_(pc.is_null(clean), pc.equal(clean, "")).fill_null(True)
    number = pc.match_substring_regex(
        clean, pattern=r"^-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"
    ).fill_null(False)
    values = pc.cast(pc.if_else(number, clean, None), pa.float64()).to_numpy(zero_copy_only=False)
    wrong = pc.invert(pc.or_(number, empty)).to_numpy(zero_copy_only=False)
    return values.copy(), wrong
