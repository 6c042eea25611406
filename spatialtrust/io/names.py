"""Names that any file can hold: one Unicode form, no control characters, no halves of characters.

Cleaned once, where a name comes in, so that every table, graph and picture can carry it.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

NOT_A_CHARACTER: Final = "\ufffd"
"""Stands for what cannot be written: half a surrogate pair, a byte that is no text."""

SHOWN: Final = 3
"""Of every kind of loss so many are named."""


def plain_name(text: str) -> str:
    r"""A name in Unicode's composed form (NFC), on one line, in characters that XML can hold.

    Control characters are blanks if they separate words (tab, line ends), else they and lone
    surrogates become ``NOT_A_CHARACTER``. Blanks around the name are cut off.

    >>> plain_name("cafe\u0301"), plain_name("mug\nkettle\t"), plain_name("a\x01\ud800")
    ('café', 'mug kettle', 'a\ufffd\ufffd')
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = "".join(_plain_character(letter) for letter in text)
    return unicodedata.normalize("NFC", kept).strip()


def plain_column(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """:func:`plain_name` of a text column, each distinct value once; null stays null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    words = [plain_name(word) for word in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)


def unique_names(paths: Sequence[str]) -> list[str]:
    r"""Paths as names that files can hold, no two alike; most stay as they are.

    >>> unique_names(["a\x01.jpg", "a\x02.jpg", "b.jpg"])
    ['a\ufffd#1.jpg', 'a\ufffd#2.jpg', 'b.jpg']
    """
    ids = [plain_name(path) if was_unclean(path) else path for path in paths]
    seen = Counter(ids)
    taken: Counter[str] = Counter()
    for place, name in enumerate(ids):
        if seen[name] > 1:
            stem, ending = os.path.splitext(name)
            other = name
            while other in seen:
                taken[name] += 1
                other = f"{stem}#{taken[name]}{ending}"
            ids[place] = other
    return ids


def was_unclean(text: str) -> bool:
    r"""Whether :func:`plain_name` changes more than the Unicode form and outer blanks.

    >>> was_unclean("cafe\u0301 "), was_unclean("a\x01")
    (False, True)
    """
    return plain_name(text) != unicodedata.normalize("NFC", text.strip())


def cleaned_note(source: str, unclean: Collection[str]) -> tuple[str, ...]:
    r"""What to say where names had to be changed; nothing where none had.

    >>> cleaned_note("boxes.json", ["mug\x01"])
    ('boxes.json: 1 names hold characters that files cannot hold; they are read as: mug�',)
    """
    if not unclean:
        return ()
    read = few(sorted({plain_name(name) for name in unclean}))
    problem = "names hold characters that files cannot hold; they are read as"
    return (f"{source}: {len(unclean)} {problem}: {read}",)


def few(names: Iterable[str]) -> str:
    """The first of some names, and dots where there are more.

    >>> few(["a", "b", "c", "d"])
    'a, b, c ...'
    """
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (" ..." if len(listed) > SHOWN else "")


def _plain_character(letter: str) -> str:
    if letter.isprintable() or letter == "\u200d":
        return letter
    kind = unicodedata.category(letter)
    if letter.isspace() and kind in ("Cc", "Zl", "Zp"):
        return " "
    # Noncharacters and what Unicode has not assigned are "Cn"; the former XML cannot hold.
    unwritable = kind in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE
    return NOT_A_CHARACTER if unwritable else letter
