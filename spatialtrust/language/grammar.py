"""The few words that a claim is built of, as RE2 patterns over cleaned sentences.

A sentence is read by the first pattern that fits it. Only words listed here may stand between
subject, relation and object; whatever else is in the sentence ends up inside a phrase, where
:mod:`spatialtrust.language.refusals` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spatialtrust.relations import PHRASES, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def either(words: Iterable[str]) -> str:
    """An alternation that prefers the longest word."""
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


ARTICLES: Final = words("the a an this that these those my your his her its our their some one any")
_SINGULAR: Final = words("the a an this that my your his her its our their one")

BARE_VERBS: Final[Mapping[str, str]] = {
    "touch": "touching",
    "contain": "contains",
    "hold": "contains",
    "surround": "surrounding",
    "enclose": "surrounding",
    "have as a part": "has as a part",
    "have a part": "has as a part",
    "consist of": "consists of",
}
"""How a question says a verb ("does the box hold the mug"), and the relation it names."""

ADJECTIVES: Final = ("left", "right")
"""Wordings that are adjectives as well ("left shoe"): relations only after "is" and before an
article."""

_ADVERBS: Final = words(
    "slightly directly immediately just clearly definitely partially partly completely currently "
    "fully entirely mostly obviously visibly certainly really actually mainly roughly closely "
    "apparently evidently plainly simply totally wholly surely presently physically vertically "
    "horizontally diagonally tightly quite very"
)
"""Degree and certainty; a claim stays the same claim without them. ("almost" changes it.)"""

_ADVERBS_AND_NOUNS: Final = (*words("well still right now also far indeed again somewhat"),
                             "a bit", "a little")  # fmt: skip
"""The same, but also nouns or adjectives ("the old well"): fillers only after "is"."""

_PLACED: Final = words(
    "located positioned situated placed found seen visible stored displayed parked seated perched "
    "mounted sitting standing lying laying resting leaning waiting walking running sleeping flying "
    "swimming grazing playing asleep"
)
_PLACED_AND_NOUNS: Final = (*words("set kept shown hung hanging floating arranged"), "to be")

_COPULA: Final = (
    *words("is are was were appears appear seems seem sits lies hangs leans"),
    "can be",
    "looks to be",
    "is being",
    "are being",
)
_COPULA_AND_NOUNS: Final = ("stands", "rests")
"""Verbs that are plural nouns as well ("hot dog stands"): verbs only where an article begins."""

_BASE_VERBS: Final = words("sit stand lie rest hang lean appear seem")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to say a claim.

    Attributes
    ----------
    regex: RE2, with the groups ``subject``, ``relation`` and ``object``.
    ends_subject: a verb ends the subject, which may then hold a relation ("the man in the hat").
    """

    regex: str
    ends_subject: bool


_SAID: Final = either(phrase for phrase in PHRASES if phrase not in ADJECTIVES)
_WORDING: Final = rf"(?P<relation>{_SAID})"
_VERB: Final = rf"(?P<relation>{either(VERBS)})"
_BARE: Final = rf"(?P<relation>{either((*BARE_VERBS, *VERBS))})"
_SURE: Final = rf"(?:(?:{either(_ADVERBS)}) )*?"
_FILL: Final = rf"(?:(?:{either((*_ADVERBS, *_ADVERBS_AND_NOUNS))}) )*?"
_SURE_PLACE: Final = rf"{_SURE}(?:(?:{either(_PLACED)}) )??{_SURE}"
_PLACE: Final = (
    rf"{_FILL}(?:to be )??{_FILL}(?:(?:{either((*_PLACED, *_PLACED_AND_NOUNS))}) )??{_FILL}"
)
_ARTICLE: Final = rf"(?:(?:{either(ARTICLES)}) )?"
_SUBJECT: Final = r"(?P<subject>[^ ].*?)"
_OBJECT: Final = rf"{_ARTICLE}(?P<object>[^ ].*)$"

PLAIN: Final = Pattern(
    rf"(?i)^(?:the|a|an) (?P<subject>[a-z0-9][a-z0-9 -]*?) (?:is|are) {_WORDING} "
    rf"{_ARTICLE}(?P<object>[a-z0-9](?:[a-z0-9 -]*[a-z0-9])?)[.]?$",
    ends_subject=True,
)
"""Most claims, as they are said most often: read first, before anything is cleaned."""

PATTERNS: Final = (
    # "is the mug left of the kettle"
    Pattern(
        rf"(?i)^(?:is|are|was|were) {_ARTICLE}{_SUBJECT} {_SURE_PLACE}{_WORDING} {_OBJECT}", False
    ),
    # "does the box contain the mug"
    Pattern(rf"(?i)^(?:does|do|did) {_ARTICLE}{_SUBJECT} {_SURE}{_BARE} {_OBJECT}", False),
    # "does the mug stand left of the kettle"
    Pattern(
        rf"(?i)^(?:does|do|did) {_ARTICLE}{_SUBJECT} {_SURE}(?:{either(_BASE_VERBS)}) "
        rf"{_PLACE}{_WORDING} {_OBJECT}",
        False,
    ),
    # "the mug is clearly placed left of the kettle"
    Pattern(
        rf"(?i)^{_ARTICLE}{_SUBJECT} {_SURE}(?:{either(_COPULA)}) {_PLACE}{_WORDING} {_OBJECT}",
        True,
    ),
    # "the mug is left the kettle"
    Pattern(
        rf"(?i)^{_ARTICLE}{_SUBJECT} (?:is|are) (?P<relation>{either(ADJECTIVES)}) "
        rf"(?:{either(ARTICLES)}) (?P<object>[^ ].*)$",
        True,
    ),
    # "the cat's on the mat"
    Pattern(rf"(?i)^{_ARTICLE}{_SUBJECT}'(?:s|re) {_SURE_PLACE}{_WORDING} {_OBJECT}", True),
    # "the mug stands left of the kettle"
    Pattern(
        rf"(?i)^(?:{either(_SINGULAR)}) {_SUBJECT} {_SURE}(?:{either(_COPULA_AND_NOUNS)}) "
        rf"{_PLACE}{_WORDING} {_OBJECT}",
        True,
    ),
    # "the box contains the mug"
    Pattern(rf"(?i)^{_ARTICLE}{_SUBJECT} {_SURE}{_VERB} {_OBJECT}", True),
    # "a mug left of a kettle", "a mug sitting on a table"
    Pattern(rf"(?i)^{_ARTICLE}{_SUBJECT} {_SURE_PLACE}{_WORDING} {_OBJECT}", False),
)
"""From strict to lenient; the last one has no verb."""
