"""The exception tree.

Every message says what was given, what is valid and what to do next, and names the file, row and
field where there is one.

::

    SpatialTrustError
    ├── InputError              what the caller gave cannot be used (exit code 2)
    │   ├── FileError           a file is missing, truncated, of another encoding, not writable
    │   ├── ColumnError         a column is missing or of another type
    │   ├── RowError            one row is wrong; batches turn it into a status row instead
    │   ├── UnknownRelationError
    │   └── SchemaVersionError  an artifact was written by another schema version
    ├── NotFittedError          a model is asked before it was fitted
    ├── GuaranteeError          a guarantee was asked for that cannot be given
    └── BackendError            a model cannot be loaded, or its worker failed
        └── MissingDependencyError
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class SpatialTrustError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(SpatialTrustError, ValueError):
    """What the caller gave cannot be used."""


class FileError(InputError):
    """A file is missing, empty, truncated, of another format, or not writable.

    >>> str(FileError("claims.jsonl", "is empty", "give at least one claim"))
    'claims.jsonl: is empty; give at least one claim'
    """

    def __init__(self, path: str | Path, problem: str, remedy: str = "") -> None:
        self.path = str(path)
        super().__init__(_sentence(self.path, problem, remedy))


class ColumnError(InputError):
    """A column is missing or holds another type than its schema says.

    >>> str(ColumnError("claims.csv", "relation", "is missing", "valid columns: subject, object"))
    'claims.csv: column "relation" is missing; valid columns: subject, object'
    """

    def __init__(self, source: str | Path, column: str, problem: str, remedy: str = "") -> None:
        self.source, self.column = str(source), column
        super().__init__(_sentence(self.source, f'column "{column}" {problem}', remedy))


class RowError(InputError):
    """One row cannot be used; batches report it and go on.

    >>> str(RowError("claims.jsonl", 17, "subject_box", "has 3 numbers", "give 4"))
    'claims.jsonl:17: subject_box has 3 numbers; give 4'
    """

    def __init__(
        self, source: str | Path, row: int, field: str, problem: str, remedy: str = ""
    ) -> None:
        self.source, self.row, self.field = str(source), row, field
        super().__init__(_sentence(f"{source}:{row}", f"{field} {problem}".strip(), remedy))


class UnknownRelationError(InputError):
    """A relation is not in the vocabulary.

    >>> str(UnknownRelationError("leftof", ["left of", "right of"]))
    'relation "leftof" is not known; did you mean "left of"? (spatialtrust backends --relations lists all 2)'
    """  # noqa: E501

    def __init__(self, given: str, valid: Iterable[str]) -> None:
        self.given = given
        known = list(valid)
        hint = f"(spatialtrust backends --relations lists all {len(known)})"
        super().__init__(f'relation "{given}" is not known; {suggest(given, known)}{hint}')


class SchemaVersionError(InputError):
    """An artifact was written under another schema version."""

    def __init__(self, path: str | Path, given: object, valid: object, remedy: str) -> None:
        super().__init__(
            _sentence(
                str(path), f"has schema version {given!r}, this package reads {valid!r}", remedy
            )
        )


class NotFittedError(SpatialTrustError):
    """A model was asked for an answer before it was fitted or loaded."""


class GuaranteeError(SpatialTrustError):
    """A guarantee was asked for that the data at hand cannot support."""


class BackendError(SpatialTrustError):
    """A model cannot be loaded, or the process that runs it failed."""


class MissingDependencyError(BackendError, ImportError):
    """An optional package is not installed.

    >>> str(MissingDependencyError("ray", extra="ray", purpose="--engine ray"))
    '--engine ray needs the package "ray"; install it with: pip install "spatialtrust[ray]"'
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs the package "{package}"; '
            f'install it with: pip install "spatialtrust[{extra}]"'
        )


def by_kind(faults: Sequence[RowError], most: int = 3) -> list[str]:
    """Problems of rows, one line a kind: how many rows, the first of them, and what is wrong.

    A kind is a field and a problem whatever the values in it.

    >>> by_kind([RowError("a.csv", row, "label", f'"{row}" is not a label') for row in (2, 5, 9)])
    ['3 rows, label: a.csv:2: label "2" is not a label (also 5, 9)']
    """
    kinds: dict[tuple[str, str], list[RowError]] = {}
    for fault in faults:
        told = str(fault).removeprefix(f"{fault.source}:{fault.row}")
        kinds.setdefault((fault.field, _VALUES.sub("", told)), []).append(fault)
    lines = []
    for (field, _), found in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        if len(found) == 1:
            lines.append(str(found[0]))
            continue
        rows = ", ".join(str(fault.row) for fault in found[1:most])
        more = " ..." if len(found) > most else ""
        lines.append(f"{len(found)} rows, {field}: {found[0]} (also {rows}{more})")
    return lines


_VALUES: Final = re.compile(r"""("[^"]*"|'[^']*'|\[[^\]]*\]|[-+]?\d[\d.e+-]*)""")
"""What differs between rows of one kind of problem: quoted texts, lists and numbers."""


def suggest(given: str, valid: Iterable[str]) -> str:
    """A ``did you mean`` clause for a misspelt name, empty where nothing is close.

    >>> suggest("rihgt of", ["left of", "right of"])
    'did you mean "right of"? '
    """
    close = get_close_matches(given, list(valid), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"? ' if close else ""


def _sentence(where: str, problem: str, remedy: str) -> str:
    return f"{where}: {problem}" + (f"; {remedy}" if remedy else "")
