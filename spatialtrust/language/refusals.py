"""Phrases that are no phrases: what is found inside a subject or object is said here.

A negation, a second clause, a count, a second relation, a stray verb or adverb, or a part of the
picture: a sentence that leaves any of them inside a phrase is not one claim about two things.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.language.cleaning import IMAGE
from spatialtrust.language.grammar import ADJECTIVES, ARTICLES, BARE_VERBS, either, words
from spatialtrust.relations import PHRASES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

NEGATIONS: Final = words(
    "no not none never neither nor nothing nobody nowhere noone without hardly barely scarcely "
    "rarely seldom cannot lacks lacking lack except excluding unlike false untrue incorrect wrong "
    "impossible unlikely doubtful deny denies denied doubt doubts fail fails failed absent missing "
    "minus instead rather nay nope non nor isnt arent wasnt werent doesnt dont didnt cant couldnt "
    "wont wouldnt shouldnt hasnt havent hadnt aint mustnt n't nix zero"
)
"""Words that deny; a claim that holds one is never read as the positive claim."""

_CLAUSES: Final = words(
    "and or but which that who whom whose where when while whereas if whether because since "
    "although though unless until as so than then plus both either is are was were be been being "
    "am has have had having do does did will would shall should could may might must used appears "
    "appear seems seem touches contains holds surrounds encloses i you he she it they we them him "
    "us me there here what how why exactly only just also even too almost nearly maybe perhaps "
    "possibly probably approximately least most more less fewer all every each everything everyone "
    "everybody someone something somebody anything anyone several many few fewest another's itself "
    "himself herself themselves respectively again supposed claims says said thinks "
    "these those shows depicts"
)
_NUMBERS: Final = words("two three four five six seven eight nine ten eleven twelve dozen hundred")
_MAY_BE_NOUNS: Final = frozenset(
    (*ADJECTIVES, "down", "touch", "congruent", "opposite", "past", "before", "hold")
)
_COLOURS: Final = (
    "black|white|red|green|blue|yellow|orange|brown|grey|gray|pink|purple|gold|silver|tan|beige"
)
_ADVERB_LIKE: Final = words(
    "butterfly family fly jelly belly lily bully trolley assembly supply dragonfly doily dolly "
    "ally monopoly firefly housefly gully holly potbelly barfly rally"
)
_ING: Final = words(
    "building painting ring king string swing railing ceiling wing clothing thing duckling earring "
    "awning frosting icing dressing stocking bedding lighting spring sling pudding dumpling "
    "wedding carving drawing covering fencing parking crossing landing siding molding topping "
    "filling stuffing seedling sapling evening morning being offspring viking starling fledgling "
    "bearing writing scaffolding paving roofing flooring housing rigging gosling darling sibling "
    "clearing opening piping wiring tubing decking wedding"
)
_ED: Final = words("bed shed sled weed seed reed moped steed red bobsled seabed flatbed tweed")
_FINITE: Final = words(
    "walks runs sleeps plays jumps swims rides waits looks stares moves goes comes eats drives "
    "stands rests sits lies hangs leans floats falls rolls flew sat stood lay hung ran walked"
)
_OF_A_PHRASE: Final = "of"
_OF_A_SUBJECT: Final = "of|with|in|on|at|wearing|holding|carrying"
_SIDE: Final = (
    "left|right|top|bottom|middle|center|centre|front|back|rear|side|upper|lower|far|background|"
    "foreground|distance|hand|left-hand|right-hand|half|part|portion|area|region|corner|edge|third|"
    "upper-left|upper-right|lower-left|lower-right|top-left|top-right|bottom-left|bottom-right"
)
_LIKE_IN: Final = ("at", "in", "on", "inside", "within", "by", "into")


def _word(listed: Iterable[str]) -> str:
    """These words as whole words; a hyphen or an apostrophe does not end a word."""
    return rf"(?:^|[^\pL\pN'-])(?:{either(listed)})(?:'(?:s|re|ll|d|ve|m))?(?:$|[^\pL\pN'-])"


_RELATION_WORDS: Final = [phrase for phrase in PHRASES if phrase not in _MAY_BE_NOUNS]
_ANYWHERE: Final = "|".join(
    (
        _word((*NEGATIONS, *_CLAUSES)),
        r"n't(?:$|[^\pL])|(?:^|[ -])not-|"
        r"(?:^| )(?:is|are|was|were|do|does|did|has|have|ca|could|would|should|wo|ai)"
        r" ?n ?'? ?t(?:$|[ ,])",
        r"[.!?;:]+(?: |$)|[,()\[\]{}<>|=\x{2013}\x{2014}\x{2026}]| -+ |--|  ",
        rf"(?:^| )(?:\d+|{either(_NUMBERS)}) [^ ]|^(?:{either(_NUMBERS)})$",
        r"(?:^|[ ])(?:to|of|from|for|about|into|onto|up|down|out|off|over|away|apart|together|with|"
        r"still|now|today|far|so|in|on|at|by|alone)$",
        r"^(?:of|from|for|to|as|about|into|onto|during|after|like|via|per|other than) ",
    )
)
_ADVERB: Final = (r"(?i)(?:^| )\pL+ly$", rf"(?i)(?:^|[ -])(?:{either(_ADVERB_LIKE)})$")
_PLURAL_VERB: Final = (
    rf"(?i)(?:^| )\pL*(?:s|people|men|women|children) (?:stand|sit|lie|rest|lean|hang|appear|seem|"
    rf"{either(BARE_VERBS)})$"
)
_VERB_AT_END: Final = (
    rf"(?i)(?:^| )(?:\pL+ing|\pL+ed|{either(_FINITE)}|can|visible|left|right|seen|found|shown|set "
    r"up)$",
    rf"(?i)(?:^|[ -])(?:[\pL]*(?:{either((*_ING, *_ED))}))$",
)
_WHOLE_IMAGE: Final = (
    rf"(?i)(?:^(?:(?:whole|entire|given|first|second|{_SIDE}) )*|of "
    rf"(?:(?:the|this|that|an?|each) )?(?:(?:whole|entire|{_SIDE}) )?)"
    r"(?:(?:{images})s?|foreground|background)$"
)
_IMAGE: Final = _WHOLE_IMAGE.replace("{images}", IMAGE.replace("|picture", "") + "|camera view")
_PICTURE: Final = _WHOLE_IMAGE.replace("{images}", "picture")
_IN_AN_IMAGE: Final = (
    rf"(?i) (?:in|of|on|from) (?:the|this|that) (?:{IMAGE}|background|foreground)$"
)
_A_SIDE: Final = rf"(?i)^(?:(?:very|extreme) )?(?:{_SIDE})(?: (?:{_SIDE}))*$"
_SIDE_OF: Final = (
    rf"(?i)^(?:(?:very|far) )?(?:{_SIDE.replace('|corner|edge', '')})(?: (?:{_SIDE}))* of "
)
_COLOUR_PAIRS: Final = rf"(?i)(^| )(?:{_COLOURS})(?:, (?:{_COLOURS}))*,? and ({_COLOURS})( |$)"


@dataclass(frozen=True)
class _Phrases:
    """A column of phrases, of which every distinct one is looked at once."""

    column: pa.Array

    @cached_property
    def _encoded(self) -> pa.DictionaryArray:
        return self.column.dictionary_encode()

    @cached_property
    def _distinct(self) -> pa.Array:
        # "black and white" is a colour, not two things.
        return pc.replace_substring_regex(
            self._encoded.dictionary, pattern=_COLOUR_PAIRS, replacement=r"\1\2\3"
        )

    def matching(self, pattern: str, *unless: str, without: str | None = None) -> pa.Array:
        """(N,) bool: which match, once ``without`` is cut out, and match none of ``unless``."""
        text = self._distinct
        if without is not None:
            text = pc.replace_substring_regex(text, pattern=without, replacement=" ")
        found = pc.match_substring_regex(text, pattern=pattern)
        for other in unless:
            found = pc.and_(found, pc.invert(pc.match_substring_regex(text, pattern=other)))
        return pc.fill_null(pc.take(found, self._encoded.indices), False)


def _nested(prepositions: str) -> tuple[str, str]:
    """What holds a second thing, and what may: words that link it to the first within a phrase."""
    articles = either(ARTICLES)
    allowed = rf"(?i) (?:{prepositions}) (?:(?:{articles}) )?"
    kept = [word for word in _RELATION_WORDS if word not in prepositions.split("|")]
    return rf"(?i)(?: (?:{articles}) |^(?:{articles})$|{_word(kept)})", allowed


_IN_SUBJECT: Final = _nested(_OF_A_SUBJECT)
_IN_PHRASE: Final = _nested(_OF_A_PHRASE)
_STARTS: Final = rf"(?i)^(?:{either((*_RELATION_WORDS, 'left of', 'right of'))})(?: |$)"


def refused(
    subject: pa.Array, relation: pa.Array, object_: pa.Array, *, ends_subject: bool
) -> pa.Array:
    """(N,) bool: which readings leave something unread inside a phrase.

    Parameters
    ----------
    subject, object_: phrases (N,).
    relation: canonical names (N,).
    ends_subject: a verb stands between subject and relation.

    >>> import pyarrow as pa
    >>> refused(pa.array(["mug", "mug not", "notebook"]), pa.array(["on"] * 3),
    ...         pa.array(["table", "table", "table"]), ends_subject=True).to_pylist()
    [False, True, False]
    """
    first, last = _Phrases(subject), _Phrases(object_)
    nested, allowed = _IN_SUBJECT if ends_subject else _IN_PHRASE
    found = [
        first.matching(f"(?i){_ANYWHERE}"),
        last.matching(f"(?i){_ANYWHERE}"),
        first.matching(nested, without=allowed),
        last.matching(_IN_PHRASE[0], without=_IN_PHRASE[1]),
        first.matching(_STARTS),
        first.matching(*_ADVERB),
        last.matching(*_ADVERB),
        first.matching(_PLURAL_VERB),
        first.matching(f"{_IMAGE}|{_IN_AN_IMAGE}"),
        last.matching(f"{_IMAGE}|{_A_SIDE}|{_IN_AN_IMAGE}"),
        pc.and_(last.matching(_PICTURE), _holds_a_picture(relation, of_subject=False)),
        pc.and_(first.matching(_PICTURE), _holds_a_picture(relation, of_subject=True)),
        pc.and_(last.matching(_SIDE_OF), _one_of(relation, _LIKE_IN)),
    ]
    if not ends_subject:
        found.append(first.matching(*_VERB_AT_END))
    result = found[0]
    for mask in found[1:]:
        result = pc.or_(result, mask)
    return result


def _one_of(relation: pa.Array, names: Iterable[str]) -> pa.Array:
    return pc.is_in(relation, value_set=pa.array(list(names)))


def _holds_a_picture(relation: pa.Array, *, of_subject: bool) -> pa.Array:
    """Relations whose "picture" is the image itself, not a thing in it."""
    if of_subject:
        return _one_of(relation, ("contains", "has as a part", "surrounding", "with"))
    sides = [name for name, row in RELATIONS.items() if row.family in ("horizontal", "containment")]
    return _one_of(relation, (*sides, "at", "on", "on top of", "at the back of", "part of", "with"))
