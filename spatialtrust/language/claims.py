"""Sentences to claims: read right, or not read.

A sentence that cannot be read is null, never a guess. That is one that denies its claim, counts,
holds more than one claim, or speaks of a part of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.language.cleaning import clean_sentences
from spatialtrust.language.grammar import BARE_VERBS, PATTERNS, PLAIN
from spatialtrust.language.known import KnownPhrases
from spatialtrust.language.refusals import refused
from spatialtrust.language.words import strings
from spatialtrust.relations import PHRASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.language.grammar import Pattern

    Readings = tuple[pa.Array, pa.Array, pa.Array]

_NAMES = {**PHRASES, **BARE_VERBS}


def parse_claims(
    texts: pa.Array | pa.ChunkedArray | Iterable[str | None],
    phrases: Sequence[str] | Sequence[Sequence[str] | None] | None = None,
) -> pa.StructArray:
    """Split sentences, questions or captions into subject, relation and object.

    Parameters
    ----------
    texts: strings (N,), any case; null stays null.
    phrases: the names of the things in the image, one sequence for all texts or one (or None) for
        each. They are kept whole whatever words they are made of, in singular or plural, and a
        subject or object that is one of them is given as it stands here.

    Returns
    -------
    Struct array (N,) of ``subject``, ``relation`` (canonical name), ``object``; null where a text
    names no known relation between two things, denies it, counts, or says more than that.

    >>> parse_claims(["The mug is to the left of the kettle.", "Is a cat on the mat?",
    ...               "Hello."]).to_pylist()  # doctest: +NORMALIZE_WHITESPACE
    [{'subject': 'mug', 'relation': 'left of', 'object': 'kettle'},
     {'subject': 'cat', 'relation': 'on', 'object': 'mat'}, None]
    >>> parse_claims(["The drive in sign is over two mugs."],
    ...              ["drive in sign", "two mugs"]).to_pylist()
    [{'subject': 'drive in sign', 'relation': 'over', 'object': 'two mugs'}]
    """
    column = strings(texts)
    if phrases is None or not len(phrases):
        distinct = column.dictionary_encode()  # questions about many images are often the same
        return _parse(distinct.dictionary).take(distinct.indices)
    known = KnownPhrases.of(phrases, len(column))
    return known.restored(_parse(known.hidden(clean_sentences(column))))


def parse_claim(text: str) -> tuple[str, str, str]:
    """One claim as (subject, relation, object).

    Raises
    ------
    InputError: no known relation between two things was found.

    >>> parse_claim("The red mug is at the left side of the kettle.")
    ('red mug', 'at the left side of', 'kettle')
    """
    parts = parse_claims([text])[0].as_py()
    if parts is None:
        raise InputError(
            f'the claim "{text}" could not be read; say it as "The mug is left of the kettle." '
            "(spatialtrust backends --relations lists all relations)"
        )
    return parts["subject"], parts["relation"], parts["object"]


def _parse(column: pa.Array) -> pa.StructArray:
    readings, usable, _ = _read(column, PLAIN)
    rest = np.flatnonzero(~usable & column.is_valid().to_numpy(zero_copy_only=False))
    places = [np.flatnonzero(usable)]
    found = [tuple(part.filter(pa.array(usable)) for part in readings)]
    texts = column.take(rest)
    texts = clean_sentences(texts) if len(rest) else texts
    for pattern in PATTERNS:
        if not len(rest):
            break
        # The first pattern that fits decides, also where its reading is refused.
        readings, usable, fits = _read(texts, pattern)
        places.append(rest[usable])
        found.append(tuple(part.filter(pa.array(usable)) for part in readings))
        rest, texts = rest[~fits], texts.filter(pa.array(~fits))
    order = np.full(len(column), -1, dtype=np.int64)
    order[np.concatenate(places)] = np.arange(sum(map(len, places)))
    unread = order < 0
    columns = [
        pa.concat_arrays(list(parts)).take(pa.array(order, mask=unread))
        for parts in zip(*found, strict=True)
    ]
    return pa.StructArray.from_arrays(
        columns, names=["subject", "relation", "object"], mask=pa.array(unread)
    )


def _read(
    texts: pa.Array, pattern: Pattern
) -> tuple[Readings, NDArray[np.bool_], NDArray[np.bool_]]:
    """What a pattern reads (N,), which readings are good, and which texts it fits."""
    parts = pc.extract_regex(texts, pattern=pattern.regex)
    fits = parts.is_valid().to_numpy(zero_copy_only=False)
    subject, object_ = pc.struct_field(parts, "subject"), pc.struct_field(parts, "object")
    wording = pc.utf8_lower(pc.struct_field(parts, "relation"))
    places = pc.index_in(wording, value_set=pa.array(list(_NAMES)))
    relation = pc.take(pa.array(list(_NAMES.values())), places)
    usable = fits
    if fits.any():
        wrong = refused(subject, relation, object_, ends_subject=pattern.ends_subject)
        usable = fits & ~pc.fill_null(wrong, True).to_numpy(zero_copy_only=False)
    return (subject, relation, object_), usable, fits
