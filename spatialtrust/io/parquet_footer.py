"""The footer of a Parquet file: how much its columns say that they hold.

Arrow knows this too, but ends the process where the statistics of a column are damaged; here they
are passed over.

Source: ``parquet.thrift`` (FileMetaData, RowGroup, ColumnMetaData) in Thrift's compact protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK: Final = b"PAR1"
_DEEPEST: Final = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_WHOLE: Final = frozenset({4, 5, 6})
_GROUPS, _COLUMNS, _COLUMN = 4, 1, 3
_TYPE, _PATH, _VALUES, _UNPACKED, _DICTIONARY = 1, 3, 5, 6, 11
_TEXTS: Final = 6
"""Physical type BYTE_ARRAY."""


class Chunk(NamedTuple):
    """A column's part of one row group.

    Attributes
    ----------
    group: number of the row group.
    path: name of the column, levels separated by dots.
    values: how many it holds, those within lists counted.
    unpacked: bytes without compression.
    keyed: whether it is of texts that stand in a dictionary.
    """

    group: int
    path: str
    values: int
    unpacked: int
    keyed: bool


def read_chunks(path: Path) -> list[Chunk]:
    """All chunks of a file.

    Raises
    ------
    OSError: it cannot be read.
    ValueError: it is no Parquet, or its footer is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 8))
        tail = file.read(8)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MARK or size > end - 12:
            raise ValueError("its last bytes are not those of a Parquet file")
        file.seek(end - 8 - size)
        footer = file.read(size)
    try:
        return list(_chunks(_Reader(footer).struct(0)))
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"its footer is damaged ({type(error).__name__})") from error


def _chunks(footer: dict[int, Any]) -> Iterator[Chunk]:
    for number, group in enumerate(footer[_GROUPS]):
        for column in group[_COLUMNS]:
            facts = column[_COLUMN]
            path = b".".join(facts[_PATH]).decode()
            values, unpacked = facts[_VALUES], facts[_UNPACKED]
            if min(values, unpacked) < 0:
                raise ValueError(f'its column "{path}" says that it has {values} values')
            keyed = facts[_TYPE] == _TEXTS and _DICTIONARY in facts
            yield Chunk(number, path, values, unpacked, keyed)


class _Reader:
    """Values of Thrift's compact protocol, structures as dictionaries by field number."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise ValueError("its footer is nested too deep")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[number] = kind == _TRUE if kind in {_TRUE, _FALSE} else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _WHOLE:
            return self._signed()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in {_LIST, _SET}:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            if count > len(self._content) - self._at:
                raise ValueError("its footer ends within a list")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind in {_TRUE, _FALSE, _BYTE}:
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            if count > len(self._content) - self._at:
                raise ValueError("its footer ends within a map")
            return [
                (self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1))
                for _ in range(count)
            ]
        raise ValueError(f"its footer holds a value of kind {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._content):
            raise ValueError("its footer ends within a text")
        return self._content[self._at - size : self._at]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("its footer holds a number that does not end")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
