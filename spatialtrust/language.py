"""Claims as text: parsing them, and saying a claim in words.

All parsing is done on whole Arrow columns; a text that cannot be read is null, never a guess.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError, UnknownRelationError
from spatialtrust.relations import NAMES, PHRASES, RELATIONS, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable

_ARTICLE: Final = r"(?:(?:the|a|an|this|that|my|your|some|one) )?"
_ARTICLE_ALONE: Final = r"(?i)^(?:the|a|an|this|that|my|your|some|one)$"
_NEGATED: Final = r"(?i)(?:\bnot|n't|\bnever)$"
_COPULA: Final = r"(?:is|are|was|were|'s|appears|seems|sits|stands|lies|rests)"


def parse_claims(texts: pa.Array | pa.ChunkedArray | Iterable[str | None]) -> pa.StructArray:
    """Split sentences, questions or captions into subject, relation and object.

    Parameters
    ----------
    texts: strings (N,), any case; null stays null.

    Returns
    -------
    Struct array (N,) of ``subject``, ``relation`` (canonical name), ``object``; null where a text
    names no known relation between two things, or negates it.

    >>> parse_claims(["The mug is to the left of the kettle.", "Is a cat on the mat?",
    ...               "Hello."]).to_pylist()  # doctest: +NORMALIZE_WHITESPACE
    [{'subject': 'mug', 'relation': 'left of', 'object': 'kettle'},
     {'subject': 'cat', 'relation': 'on', 'object': 'mat'}, None]
    """
    column = _strings(texts)
    clean = pc.utf8_trim_whitespace(
        pc.replace_substring_regex(column, pattern=r"\s+", replacement=" ")
    )
    found = None
    for pattern in _patterns():
        parts = pc.extract_regex(clean, pattern=pattern)
        found = parts if found is None else pc.coalesce(found, parts)
    subject = pc.struct_field(found, "subject")
    wording = pc.utf8_lower(pc.struct_field(found, "relation"))
    object_ = pc.struct_field(found, "object")
    unusable = pc.or_(
        pc.match_substring_regex(subject, pattern=_NEGATED),
        pc.or_(
            pc.match_substring_regex(subject, pattern=_ARTICLE_ALONE),
            pc.match_substring_regex(object_, pattern=_ARTICLE_ALONE),
        ),
    )
    known = pc.and_(pc.is_valid(found), pc.invert(pc.fill_null(unusable, False)))
    return pa.StructArray.from_arrays(
        [subject, canonical_names(wording), object_],
        names=["subject", "relation", "object"],
        mask=pc.invert(known),
    )


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


def canonical_names(wordings: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Canonical relation names of a column of wordings; null where unknown.

    >>> canonical_names(pa.array(["To the left of", "leftof"])).to_pylist()
    ['left of', None]
    """
    column = _strings(wordings)
    clean = pc.utf8_trim_whitespace(
        pc.replace_substring_regex(pc.utf8_lower(column), pattern=r"[\s_-]+", replacement=" ")
    )
    clean = pc.replace_substring_regex(clean, pattern=r"^(?:is|are) ", replacement="")
    places = pc.index_in(clean, value_set=pa.array(list(PHRASES)))
    return pc.take(pa.array(list(PHRASES.values())), places)


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


@lru_cache(maxsize=1)
def _patterns() -> tuple[str, ...]:
    """RE2 patterns from strict to lenient; the first that matches a text wins."""
    longest_first = sorted(PHRASES, key=len, reverse=True)
    wording = "|".join(longest_first)
    verbs = "|".join(sorted(VERBS, key=len, reverse=True))
    ends = r"[ .?!]*$"
    object_ = rf"{_ARTICLE}(?P<object>[^ .?!].*?)"
    start = rf"(?i)^(?:there (?:is|are) )?{_ARTICLE}"
    return (
        rf"(?i)^(?:is|are|does|do) {_ARTICLE}(?P<subject>[^ ].*?) (?P<relation>{wording}) "
        rf"{object_}{ends}",
        rf"{start}(?P<subject>[^ ].*?) ?{_COPULA} (?P<relation>{wording}) {object_}{ends}",
        rf"{start}(?P<subject>[^ ].*?) (?P<relation>{verbs}) {object_}{ends}",
        rf"{start}(?P<subject>[^ ].*?) (?P<relation>{wording}) {object_}{ends}",
    )


def _strings(values: pa.Array | pa.ChunkedArray | Iterable[str | None]) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(pa.string())
    return pa.array(values, type=pa.string())
