"""Relations in words: the canonical names of wordings, and claims said as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import UnknownRelationError
from spatialtrust.relations import NAMES, PHRASES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable


def canonical_names(wordings: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Canonical relation names of a column of wordings; null where unknown.

    >>> canonical_names(pa.array(["To the left of", "leftof"])).to_pylist()
    ['left of', None]
    """
    distinct = strings(wordings).dictionary_encode()
    lower = pc.utf8_lower(distinct.dictionary)
    clean = pc.utf8_trim_whitespace(
        pc.replace_substring_regex(lower, pattern=r"[\s_-]+", replacement=" ")
    )
    clean = pc.replace_substring_regex(clean, pattern=r"^(?:is|are) ", replacement="")
    places = pc.index_in(clean, value_set=pa.array(list(PHRASES)))
    return pc.take(pa.array(list(PHRASES.values())), places).take(distinct.indices)


def sentence(subject: str, relation: str, object: str) -> str:
    """A claim in words.

    Raises
    ------
    UnknownRelationError: the relation is not a canonical name.

    >>> sentence("mug", "contains", "coffee")
    'The mug contains the coffee.'
    """
    if relation not in RELATIONS:
        raise UnknownRelationError(relation, NAMES)
    return f"The {subject} {RELATIONS[relation].predicate} the {object}."


def strings(values: pa.Array | pa.ChunkedArray | Iterable[str | None]) -> pa.Array:
    """Any column of texts as one Arrow array."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(pa.string())
    return pa.array(values, type=pa.string())
