"""Claims and replies as text: parsing both, and saying a claim in words.

All parsing is done on whole Arrow columns; a text that cannot be read is null (claims) or
``unparsed`` (replies), never a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.language.claims import parse_claim, parse_claims
from spatialtrust.language.words import canonical_names, sentence
from spatialtrust.language.words import strings as _strings

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["canonical_names", "parse_answers", "parse_claim", "parse_claims", "sentence"]

_ANSWERS: Final = {
    "yes": r"^\W*(?:yes|yeah|yep|true|correct|y|1)\b",
    "no": r"^\W*(?:no|nope|not|false|incorrect|wrong|n|0)\b",
}


def parse_answers(replies: pa.Array | pa.ChunkedArray | Iterable[str | None]) -> pa.Array:
    """Replies as ``yes``, ``no`` or ``unparsed``; null stays null (no reply was given).

    A reply counts by how it begins; one that begins with neither is ``unparsed``.

    >>> parse_answers(["Yes, it is.", "no", "The mug.", None]).to_pylist()
    ['yes', 'no', 'unparsed', None]
    """
    column = pc.utf8_lower(_strings(replies))
    yes = pc.match_substring_regex(column, pattern=_ANSWERS["yes"])
    no = pc.match_substring_regex(column, pattern=_ANSWERS["no"])
    parsed = pc.if_else(yes, "yes", pc.if_else(no, "no", "unparsed"))
    return parsed.combine_chunks() if isinstance(parsed, pa.ChunkedArray) else parsed
