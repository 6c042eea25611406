"""What a VLM replied, as yes or no: read as a whole, never by how it begins.

What is not plainly a yes or a no is ``unparsed``: a reply that says both, hedges, asks back, holds
a number or merely begins with such a word ("Not sure", "No idea", "1. The mug"). English only.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

NUMBER: Final = r"^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*%?\s*$"
"""A bare number; as an answer it says nothing."""

_WORDS: Final = pa.array(["no", "yes", "unparsed"])
_NO, _YES, _NEUTRAL, _BLOCKED = 0, 1, 2, 3
"""What a text says: no; yes; nothing of the kind; both, or it takes it back."""


def parse_answers(replies: pa.Array | pa.ChunkedArray | Iterable[Any]) -> pa.Array:
    """Replies as ``yes``, ``no`` or ``unparsed``; null stays null (no reply was given).

    Parameters
    ----------
    replies: (N,) texts, booleans, or numbers. Whole sentences, Markdown, ``Answer: yes``, tags,
        reasoning blocks and JSON with a key such as ``answer`` are read. A 0 or 1 is a no or yes
        only in a column of nothing but 0, 1, true and false; any other number is ``unparsed``.

    >>> parse_answers(["Yes, it is.", "no", "No idea", "Yes or no?", None]).to_pylist()
    ['yes', 'no', 'unparsed', 'unparsed', None]
    >>> parse_answers([1, 0, None]).to_pylist(), parse_answers([1.0, 0.93]).to_pylist()
    (['yes', 'no', None], ['unparsed', 'unparsed'])
    """
    column = texts_of(replies)
    distinct = pc.drop_null(pc.unique(column))
    meaning = _flags(distinct) if _are_flags(distinct) else _words(distinct)
    return pc.take(pc.take(_WORDS, pa.array(meaning)), pc.index_in(column, value_set=distinct))


def texts_of(replies: pa.Array | pa.ChunkedArray | Iterable[Any]) -> pa.Array:
    """Replies of any type as texts; a whole number has no point, what is nested becomes JSON."""
    if not isinstance(replies, pa.Array | pa.ChunkedArray):
        listed = list(replies)
        try:
            replies = pa.array(listed)
        except (pa.ArrowException, OverflowError, UnicodeError):
            replies = pa.array([_text(value) for value in listed], pa.string())
    if isinstance(replies, pa.ChunkedArray):
        replies = replies.combine_chunks()
    if isinstance(replies, pa.ChunkedArray):
        replies = pa.concat_arrays(replies.chunks)
    if pa.types.is_dictionary(replies.type):
        replies = replies.dictionary_decode()
    if pa.types.is_floating(replies.type):
        replies = pc.if_else(pc.is_nan(replies), None, replies)
    try:
        return replies.cast(pa.string())
    except pa.ArrowException:
        return pa.array([_text(value) for value in replies.to_pylist()], pa.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return json.dumps(value, default=str)


_FLAG: Final = r"^\s*(?:[01](?:\.0*)?|(?i:true|false))\s*$"


def _are_flags(distinct: pa.Array) -> bool:
    return len(distinct) > 0 and bool(pc.all(_has(distinct, _FLAG)).as_py())


def _flags(distinct: pa.Array) -> NDArray[np.int8]:
    return _mask(distinct, r"^\s*(?i:1|true)").astype(np.int8)


def _words(distinct: pa.Array) -> NDArray[np.int8]:
    """What each text says; the two words themselves need no reading."""
    plain = pc.index_in(pc.utf8_lower(pc.utf8_trim(distinct, " \t\r\n.")), value_set=_WORDS)
    meaning = np.array(plain.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int8)
    if (meaning < 0).any():
        meaning[meaning < 0] = _read(distinct.filter(pa.array(meaning < 0)))
    return meaning


# --- What stands around an answer ----------------------------------------------------------------

_THOUGHT: Final = (
    "think|thinking|thought|thoughts|reason|reasoning|rationale|analysis|reflection|scratchpad"
)
_MARKED: Final = "answer|final_answer|final|result|output|response|prediction|conclusion|verdict"
_KEYS: Final = (
    "answer|final_answer|finalanswer|prediction|predicted|result|response|reply|output|verdict"
)
_VALUE: Final = (
    r"""\s*:\s*(?:"(?P<a>(?:[^"\\]|\\.)*)"|'(?P<b>(?:[^'\\]|\\.)*)'|(?P<c>true|false|yes|no)\b)"""
)
_PICTURE: Final = r"(?:image|picture|photo|photograph|scene|figure|frame|view|drawing)"
_MARKER: Final = (
    r"(?:answer|conclusion|verdict|prediction|assistant|output|response|result)"
    r"(?: to [^:.?!\n]{1,80}| for [^:.?!\n]{1,80})?"
    r"(?: (?:is|would be|must be)\b ?:?| ?(?:=>|->|→|:|=)) ?\n?"
)

_CLEANING: Final = (
    # Typographic signs, then marks that a chat template leaves.
    (r"[’‘ʼ`´]", "'"),
    (r"[“”„«»]", '"'),
    (r"<\|[^|<>]*\|>|</?s>|<(?:eos|bos|pad|unk|end_of_turn)>|\[/?inst\]", " "),
    # Thoughts: closed ones, then all before a close whose opening was part of the prompt.
    (rf"(?s)<(?:{_THOUGHT})>.*?</(?:{_THOUGHT})>", " "),
    (rf"(?s)\[(?:{_THOUGHT})\].*?\[/(?:{_THOUGHT})\]", " "),
    (rf"(?s)^.*</(?:{_THOUGHT})>", " "),
)
_MARKUP: Final = (
    (r"\\(?:text|textbf|mathrm|boxed)\{([^{}]*)\}", r"\1"),
    (r"</?[a-z][^<>]*>", " "),
    (r'[*_"~#$\\]', ""),
    (r"\p{Cf}", ""),
    (r"[\p{So}\p{Sk}\p{M}]", " "),
    (r"(^|[^a-z0-9])'+", r"\1"),
    (r"'+($|[^a-z0-9])", r"\1"),
    (r"[ \t\r\f\v]{2,}|[\t\r\f\v]", " "),
    (r" ?\n[\n ]*", "\n"),
    (r"^[^\p{L}\p{N}]+|\s+$", ""),
)
_PREAMBLES: Final = (
    (r"^(?:question|q|query) ?: ?", ""),
    (r"^(?:is|are|was|were|does|do|did|can)\b[^?\n]*\?\s*\(?", ""),
    (r"^(?:yes ?(?:or|/) ?no|true ?(?:or|/) ?false)\)? ?[:?)]+\s*", ""),
    (r"^(?:a|ans) ?: ?", ""),
    (r"^\(?[a-d][).:] ?(yes|no)[.!)]*$", r"\1"),
    (r"^(?:sure|certainly|of course|absolutely|okay|ok|hello|hi|alright|great)[!.:]\s*(.)", r"\1"),
    (r"^(?:so|therefore|thus|hence|well|okay|ok|hmm+|oh|in short|overall)\b[, ] ?", ""),
    (
        rf"^(?:based on|according to|in|from|looking at|judging from|judging by|given) "
        rf"[^,.;:?!\n]{{0,60}}\b{_PICTURE}\b[^,.;:?!\n]{{0,20}}[,:] ?",
        "",
    ),
    (r"^(?:so|therefore|thus|hence|well)\b[, ] ?", ""),
)


def _read(replies: pa.Array) -> NDArray[np.int8]:
    """What each text says: the reply's head, its ``answer:`` marks and its last line agreeing."""
    text = pc.utf8_lower(pc.utf8_normalize(replies, form="NFKC"))
    text = _clean(text, _CLEANING)
    cut = _mask(text, rf"<(?:{_THOUGHT})>|\[(?:{_THOUGHT})\]")
    text = _inside(text, "</", rf"<(?:{_MARKED})>(?P<said>.*?)</(?:{_MARKED})>")
    text = _inside(text, "[/", rf"\[(?:{_MARKED})\](?P<said>.*?)\[/(?:{_MARKED})\]")
    text = _inside(text, r"\boxed", r"\\boxed\{ *(?:\\text[a-z]*\{)?(?P<said>[^{}]*)\}")
    for keys in (_KEYS, "label"):
        text = _inside(text, ":", rf"""["'](?:{keys})["']{_VALUE}""")
    text = _clean(text, _MARKUP)
    said = [_head(_clean(text, _PREAMBLES))]
    for greed, lazy in ((".*?", "??"), (".*", "?")):
        marked = _group(text, rf"(?s)^(?:{greed}[^a-z]){lazy}{_MARKER}(?P<said>.*)$")
        said.append(_head(_clean(marked, _PREAMBLES)))
    last = _group(text, r"(?s)^.*\n(?P<said>[^\n]+)$")
    alone = _has(last, r"^(?:(?:so|therefore|thus|hence),? )?(?:yes|no|true|false)[.!]*$")
    said.append(_head(_clean(pc.if_else(alone, last, None), _PREAMBLES)))
    each = np.stack(said)
    yes, no = (each == _YES).any(axis=0), (each == _NO).any(axis=0)
    blocked = (each == _BLOCKED).any(axis=0) | cut | _mask(text, _UNCERTAIN) | (yes & no)
    return np.select([blocked, yes, no], [2, _YES, _NO], 2).astype(np.int8)


# --- What is a yes, what is a no, and what takes it back -----------------------------------------

_END: Final = r"(?: ?$| ?[,.!;:)\]}\n–—]| - | because\b| since\b)"
_IT: Final = r"(?:it|they|he|she|that|this)"
_BE: Final = r"(?:is|are|was|were|does|do|did)"
_NOT: Final = rf"(?: {_BE} not| {_BE}n't|'s not|'re not)"
_CLAIM: Final = (
    r"(?:the |this |that |your )(?:statement|claim|caption|sentence|assertion|description)"
)
_POLAR_YES: Final = r"(?:yes|yeah|yep|yup|yea|aye|affirmative)"
_POLAR_NO: Final = r"(?:no|nope|nah|nay)"
_SURELY: Final = r"(?:absolutely|definitely|certainly|of course|most certainly|most definitely)"

_SAYS_YES: Final = (
    rf"^{_POLAR_YES}\b",
    rf"^(?:true|correct|agreed){_END}",
    rf"^(?:y|{_SURELY}|indeed|exactly|precisely|i agree)(?:,? {_IT} {_BE})?[.!)\]}}]*$",
    rf"^{_IT} {_BE}(?: indeed)?(?: ?$|[.!;\n]|, (?:yes|indeed)\b)",
    rf"^(?:(?:that|this|it|you|{_CLAIM})(?: is| are|'s|'re)) (?:indeed |absolutely |quite )?"
    rf"(?:true|correct|accurate|the case){_END}",
    rf"^(?:(?:that|this|you|{_CLAIM})(?: is| are|'s|'re)) (?:indeed |absolutely |quite )?"
    rf"right{_END}",
)
_NO_DOUBT: Final = (
    r"^(?:there is |there's )?(?:no|without (?:a |any )?|beyond (?:a |any )?) ?(?:doubt|question)"
    r"(?: about (?:it|that|this))?(?: ?$|[,.!;:\n–—]| (?:it|that|the|this|they)\b)",
    rf"^not only (?:{_BE}|{_IT}|the)\b",
)
"""Yes, unless the sentence goes on with a negation."""
_SAYS_NO: Final = (
    rf"^{_POLAR_NO}(?: ?$| ?[,.!;:)\]}}(\n–—]| ?- |-$| (?:it|they|he|she|that|this|the|these|those|"
    r"there|i|sir|absolutely|definitely|because|since|actually|not|its|it's|they're|that's|"
    r"there's|isn't|rather|instead|sorry|unfortunately|certainly|no)\b| way[.!]*$)",
    rf"^(?:false|incorrect|wrong|untrue){_END}",
    r"^n[.!)\]}]*$",
    rf"^(?:{_SURELY} not|not at all|not true|not correct|not the case|by no means|i disagree|"
    rf"far from it|never){_END}",
    rf"^{_IT}{_NOT}(?: at all)?(?: ?$|[.!;,)\n])",
    rf"^(?:it|that|this|{_CLAIM})(?:{_NOT}) (?:true|correct|accurate|the case){_END}",
    rf"^(?:that|this|{_CLAIM}){_NOT} right{_END}",
    rf"^(?:it|that|this|{_CLAIM})(?: is|'s) (?:false|incorrect|wrong|untrue|inaccurate){_END}",
)
_NEGATION: Final = r"^[^.!?\n]*(?:\bnot\b|n't\b|\bnever\b|\bno\b)"
_BEFORE: Final = (
    r"(?:^|[,.;:!?(/|&+\n–—-] ?|\b(?:or|and|then|also|actually|wait|sorry|but|oh|rather) )"
)
_AFTER: Final = rf"(?: ?$| ?[,.;:!?)/|&+\n–—]| {_IT}\b)"
_ALSO_YES: Final = rf"{_BEFORE}(?:{_POLAR_YES}{_AFTER}|true ?(?:$|[,.;!\n]))"
_ALSO_NO: Final = rf"{_BEFORE}(?:{_POLAR_NO}{_AFTER}|(?:false|incorrect) ?(?:$|[,.;!\n]))"
_YES_BUT_NOT: Final = (
    rf"^{_POLAR_YES} ?[,:;–—-]* ?(?:[^,.;:!?\n]*?\b)?(?:{_BE} not\b|{_BE}n't\b|'s not\b|'re not\b)",
    rf"^{_POLAR_YES} ?[,.:;–—-]* ?{_IT}(?: is|'s) (?:false|incorrect|wrong|untrue)\b",
    rf"^{_POLAR_YES} ?(?:[-/|&+\\]+ ?(?:no|n)\b|or\b|nor\b|and (?:also )?no\b)",
    rf"^{_POLAR_YES} ?[,.]? ?(?:somewhat|partially|partly|sort of|kind of|technically|"
    r"in a way|more or less)\W*$",
)
_NO_BUT_SO: Final = (
    rf"^{_POLAR_NO} ?[,.:;–—-]* ?{_IT} {_BE}(?: indeed)? ?(?:$|[.!;\n])",
    rf"^{_POLAR_NO} ?[,.:;–—-]* ?{_IT}(?: is|'s) (?:true|correct)\b",
    r"^no\.? ?\d",
)
_ASKS: Final = r"^[^.!?\n]*\?"
_HEDGES: Final = (
    r"^[^.!?\n]*\b(?:likely|unlikely|probabl[ey]|possibly|possible|perhaps|maybe|might|could be|"
    r"may be|may not|could not|presumably|supposedly|apparently|i think|i believe|i suppose|i feel|"
    r"i'd say|i would say|seems? so|appears? so|looks like it|not really|not exactly|if|unless|"
    r"assuming|depending)\b"
)
_UNCERTAIN: Final = (
    r"\bnot (?:entirely |completely |really |quite |very |so |too |100% |fully |absolutely )?"
    r"(?:sure|certain|clear)\b|\b(?:unsure|uncertain|unclear|undecided|ambiguous|indeterminate)\b|"
    r"\b(?:can ?not|can't|cant|could not|couldn't|unable to|impossible to|hard to|difficult to|"
    r"not possible to|no way to|not able to)"
    r" (?:really |reliably |definitively |accurately |confidently )?"
    r"(?:be (?:sure|certain|determined|known|answered|verified|confirmed|judged|said)|"
    r"tell|say|determine|know|judge|decide|answer|verify|confirm|assess)\b|"
    r"\b(?:don't|do not) know\b|\bno idea\b|\bnot enough\b|\binsufficient\b|\bit depends\b|"
    r"\bi guess\b|\bbest guess\b|\bi'm guessing\b|"
    r"\b(?:likely|probable|possible|plausible|tentative) (?:final )?answer\b|"
    r"[.!\n] ?(?:probably|maybe|perhaps|possibly|likely|i think)\b"
)


def _head(text: pa.Array) -> NDArray[np.int8]:
    """What the beginning of each text says, and whether the rest takes it back; null: nothing."""
    goes_on = _clean(text, ((r"^(?:there is |there's )?(?:not?|without|beyond)\b", ""),))
    sure = _any(text, _NO_DOUBT) & ~_mask(goes_on, _NEGATION)
    yes = _any(text, _SAYS_YES) | sure
    no = _any(text, _SAYS_NO) & ~sure
    blocked = (
        (yes & (_any(text, _YES_BUT_NOT) | _mask(text, _ALSO_NO)))
        | (no & (_any(text, _NO_BUT_SO) | _mask(text, _ALSO_YES)))
        | ((yes | no) & (_mask(text, _ASKS) | _mask(text, _HEDGES)))
    )
    return np.select([blocked, yes, no], [_BLOCKED, _YES, _NO], _NEUTRAL).astype(np.int8)


# --- Regular expressions over columns ------------------------------------------------------------


def _inside(text: pa.Array, mark: str, pattern: str) -> pa.Array:
    """What a pattern holds where it is found, its first and last find by line; else the text.

    Only texts that hold ``mark`` can hold the pattern; the others are not searched.
    """
    where = pc.match_substring(text, mark)
    searched = text.filter(where)
    if not len(searched):
        return text
    found = []
    for greed in (".*?", ".*"):
        parts = pc.extract_regex(searched, pattern=rf"(?s)^{greed}{pattern}")
        groups = [pc.struct_field(parts, name) for name in _names(pattern)]
        found.append(pc.binary_join_element_wise(*groups, ""))
    first, last = found
    both = pc.if_else(pc.equal(first, last), first, pc.binary_join_element_wise(first, last, "\n"))
    return pc.replace_with_mask(text, where, pc.coalesce(both, searched))


@lru_cache(maxsize=16)
def _names(pattern: str) -> tuple[str, ...]:
    return tuple(name for name in ("said", "a", "b", "c") if f"(?P<{name}>" in pattern)


def _group(text: pa.Array, pattern: str) -> pa.Array:
    return pc.struct_field(pc.extract_regex(text, pattern=pattern), "said")


def _clean(text: pa.Array, steps: tuple[tuple[str, str], ...]) -> pa.Array:
    for pattern, replacement in steps:
        text = pc.replace_substring_regex(text, pattern=pattern, replacement=replacement)
    return text


def _has(text: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(text, pattern=pattern)


def _mask(text: pa.Array, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = _has(text, pattern).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _any(text: pa.Array, patterns: tuple[str, ...]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.logical_or.reduce([_mask(text, p) for p in patterns])
    return found
