"""Text of any common encoding as UTF-8 bytes, and the delimiter of a CSV."""

from __future__ import annotations

import codecs
import csv
from typing import Final

_MARKS: Final = (  # UTF-32 before UTF-16, whose little-endian mark it begins with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMES: Final = {
    "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32",
    "cp1252": "Windows-1252", "latin-1": "Latin-1",
}  # fmt: skip
_LOST: Final = "\udcff"
"""Stands for what could not be decoded, and leaves a byte behind that is not UTF-8."""
DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}


def as_utf8(content: bytes) -> tuple[bytes, str | None]:
    r"""The text in UTF-8 without a byte order mark, and what is to be said of its encoding.

    A byte order mark decides; else UTF-8 where the lines beyond ASCII are mostly that, UTF-16 where
    every other byte is zero, and Windows-1252 (Latin-1 where it has bytes that the former lacks).
    What cannot be decoded stays as bytes that are not UTF-8, so that its line can be named.

    >>> as_utf8("caf\u00e9".encode("cp1252"))
    (b'caf\xc3\xa9', 'the text is read as Windows-1252: it is not UTF-8 and has no byte order mark')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            body = content[len(mark) :]
            if encoding == "utf-8":
                return body, None
            return _recoded(body, encoding), f"the text is {_NAMES[encoding]}, by its first bytes"
    if wide := _wide(content):
        note = f"the text is read as {_NAMES[wide]}: every other byte is zero"
        return _recoded(content, wide), note
    if _mostly_utf8(content):
        return content, None
    encoding = "cp1252"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = content.decode(encoding)
    note = f"the text is read as {_NAMES[encoding]}: it is not UTF-8 and has no byte order mark"
    return text.encode(), note


def sniff_delimiter(content: bytes, known: tuple[str, ...]) -> str:
    r"""The delimiter that a CSV's header (first line, UTF-8) is written with.

    Parameters
    ----------
    content: the file.
    known: names that columns may have; the delimiter that brings out most of them wins, then the
        one that makes most columns.

    >>> sniff_delimiter(b"caption;note\n", ("caption",))
    ';'
    """
    header = next((line for line in content[:65536].splitlines() if line.strip()), b"")
    text = header.decode("utf-8", errors="replace")

    def columns(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([text], delimiter=delimiter), [])
        return len({cell.strip().lower() for cell in cells} & set(known)), len(cells)

    return max(DELIMITERS, key=columns)


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark: text that is mostly ASCII has a zero in every other byte."""
    head = content[:4096]
    half = len(head) // 2
    if not half or head.count(0) < 0.3 * len(head):
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    return "utf-16-le" if odd > even else "utf-16-be"


def _recoded(content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError:
        text = content.decode(encoding, errors="replace").replace("\ufffd", _LOST)
        return text.encode("utf-8", errors="surrogateescape")


def _mostly_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        good = bad = 0
        for line in content.splitlines():
            if line.isascii():
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                bad += 1
            else:
                good += 1
        return good >= bad
    return True
