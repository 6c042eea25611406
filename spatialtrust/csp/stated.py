"""The confidence that a reply states, read as a whole: percentages, shares, words and grades.

``0.9`` is 90 %, and so is ``90``; a bare ``1`` may be 1 % or certain, and is not guessed. A number
counts where it has a percent sign, follows a word such as "confidence", or stands alone with the
answer: "Yes, there are 2 mugs" states nothing. English only. What cannot be read is NaN, and its
status says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.replies import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from spatialtrust.arrays import Bool, Float32, Float64

STATUSES: Final = ("ok", "range", "missing", "refused", "ambiguous", "out_of_range", "no_reply")
"""Read; the middle of a range; none is stated; it will not or cannot say; several, or one of two
meanings; no probability; there is no reply. Only the first two have a value."""

_OK, _RANGE, _MISSING, _REFUSED, _AMBIGUOUS, _OUT, _NONE = range(7)


class Stated(NamedTuple):
    """What (N,) replies state.

    Attributes
    ----------
    confidence: float32, [0, 1]; NaN without one.
    status: (N,) one of ``STATUSES``.
    """

    confidence: Float32
    status: NDArray[np.object_]


def parse_confidence(replies: pa.Array | pa.ChunkedArray | Iterable[Any]) -> Stated:
    """The confidences that replies state.

    Parameters
    ----------
    replies: (N,) texts or numbers; null: no reply.

    >>> found = parse_confidence(["yes, 80%", "Confidence: 0.9", "very sure", "70-80 %", "1", None])
    >>> found.confidence.astype(float).round(2).tolist()
    [0.8, 0.9, 0.9, 0.75, nan, nan]
    >>> found.status.tolist()
    ['ok', 'ok', 'ok', 'range', 'ambiguous', 'no_reply']
    """
    column = texts_of(replies)
    distinct = pc.drop_null(pc.unique(column))
    value, status = _read(distinct)
    place = pc.fill_null(pc.index_in(column, value_set=distinct), len(distinct))
    at = np.asarray(place.to_numpy(zero_copy_only=False), dtype=np.int64)
    names = np.array(STATUSES, dtype=object)
    return Stated(
        np.append(value, np.nan)[at].astype(np.float32), names[np.append(status, _NONE)[at]]
    )


_NUMBER: Final = r"[-+−]?(?:\d+(?:[.,]\d+)?|\.\d+)"
_PERCENT: Final = r"(?:%|percent\b|per cent\b|pct\b)"
_ABOUT: Final = (
    r"(?:confidence|confident|certainty|certain|probability|likelihood|sure|score|chance)"
)
_BETWEEN: Final = (
    rf"(?P<low>{_NUMBER}) ?{_PERCENT}? ?(?:-|–|—|~|\bto\b|\band\b|\bor\b) ?"
    rf"(?P<high>{_NUMBER}) ?(?P<sign>{_PERCENT}?)"
)
_OF: Final = rf"(?P<part>{_NUMBER}) ?(?:/|out of|of) ?(?P<whole>5|10|100)\b"
_SIGNED: Final = rf"(?P<number>{_NUMBER}) ?{_PERCENT}"
_NAMED: Final = (
    rf"\b{_ABOUT}\b[^0-9.,;\n+−-]{{0,30}}(?P<number>{_NUMBER})(?:[^0-9/%]|$)",
    rf"(?:^|[^0-9.])(?P<number>{_NUMBER}) {_ABOUT}\b",
)
_ALONE: Final = (
    rf"^[^0-9a-z.+−-]*(?:(?:yes|no|true|false)\b[^0-9a-z+−-]*?)?(?P<number>{_NUMBER})[^0-9a-z%]*$"
)

_GRADES: Final = (
    r"\b(?:grade|confidence|certainty|rating)\b\W{0,3}(?:is |of )?(?P<grade>[a-e])\b(?:[^']|$)",
    r"^\W*(?:(?:yes|no)\W+)?(?P<grade>[a-e])[^a-z0-9]*$",
)
_WORTH: Final = {"a": 1.0, "b": 0.875, "c": 0.75, "d": 0.625, "e": 0.5}
_SURE: Final = r"(?:sure|certain|confident|positive)"
_WORDS: Final = (
    (0.5, r"\b(?:a (?:pure |wild |mere |random )?guess|guessing|i guess|toss-?up|coin flip)\b"),
    (
        0.6,
        r"\b(?:not (?:(?:at all|very|really|so|too|entirely|completely|quite|fully|that) )?"
        rf"{_SURE}|unsure|uncertain|not {_SURE} at all|(?:low|little|not much) "
        rf"(?:confidence|certainty)|(?:confidence|certainty)(?: level)?\W{{1,3}}(?:is )?low)\b",
    ),
    (
        0.75,
        rf"\b(?:(?:fairly|reasonably|somewhat|moderately|pretty|quite|rather|mostly) {_SURE}|"
        r"(?:medium|moderate) (?:confidence|certainty)|"
        r"(?:confidence|certainty)(?: level)?\W{1,3}(?:is )?(?:medium|moderate)|probably)\b",
    ),
    (
        1.0,
        rf"\b(?:(?:absolutely|completely|totally|entirely|perfectly|fully) {_SURE}|"
        r"without (?:a |any )?doubt|no doubt)\b",
    ),
    (
        0.9,
        rf"\b(?:(?:very|highly|extremely|really|so) {_SURE}|almost certain|nearly certain|"
        r"(?:high|great|strong) (?:confidence|certainty)|"
        r"(?:confidence|certainty)(?: level)?\W{1,3}(?:is )?(?:very )?high)\b",
    ),
    (1.0, r"\bcertain\b"),
    (0.85, rf"\b(?:i am|i'm|im|we are) {_SURE}\b|^\W*(?:(?:yes|no)\W+)?{_SURE}\W*$"),
)
"""What words are worth, the first that fits; this package's choice."""
_REFUSES: Final = (
    r"\b(?:can(?:no|')?t|cannot|can not|could not|couldn't|unable to|not able to|won't|will not|"
    r"refuse to|impossible to|no way to|don't|do not)\b[^.\n]{0,60}"
    r"\b(?:say|tell|know|state|give|provide|estimate|judge|assess|quantify|determine|answer|help|"
    r"have|assign|rate|be)\b|"
    r"\bas an ai\b|\b(?:sorry|i apologi[sz]e)\b|\bn/a\b|\bnot applicable\b"
)


_TENS: Final = (
    "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_CLEANING: Final = (
    (r"[’‘`´]", "'"),
    (r'[*_"#$\\{}\[\]()]', " "),
    (r"\s+", " "),
    *((rf"\b{word} (percent|per cent)\b", f"{10 * (place + 1)} %")
      for place, word in enumerate(_TENS)),
    (r"\b(?:a|one) hundred (percent|per cent)\b", "100 %"),
)  # fmt: skip


def _read(replies: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    text = pc.utf8_lower(pc.utf8_normalize(replies, form="NFKC"))
    for pattern, clean in _CLEANING:
        text = pc.replace_substring_regex(text, pattern=pattern, replacement=clean)
    value = np.full(len(text), np.nan)
    status = np.full(len(text), _MISSING, dtype=np.int8)
    # The surest ways to be understood first: what one of them reads, the later leave alone.
    for found in (
        _ranges(text), _shares(text), _signed(text), *(_plain(text, way) for way in _NAMED),
        _plain(text, _ALONE), _grades(text), _refusals(text), _words(text),
    ):  # fmt: skip
        new = (status == _MISSING) & (found[1] != _MISSING)
        value[new], status[new] = found[0][new], found[1][new]
    return np.where(status <= _RANGE, value, np.nan), status


def _ranges(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    found = pc.extract_regex(text, pattern=rf"(?s)^.*?(?:^|[^0-9.]){_BETWEEN}")
    low, high = _numbers(found, "low"), _numbers(found, "high")
    signed = _filled(found, "sign")
    percent = signed | ((low > 1) & (high > 1))
    # A range of dates or counts is none of confidences, unless it has a sign or lies in [0, 1].
    about = signed | _has(text, rf"\b{_ABOUT}\b") | _has(text, rf"^\W*(?:yes|no)?\W*{_BETWEEN}\W*$")
    known = np.isfinite(low) & np.isfinite(high) & about
    scale = np.where(percent, 100.0, 1.0)
    low, high = low / scale, high / scale
    good = known & (low >= 0) & (low < high) & (high <= 1)
    status = np.select([good, known], [_RANGE, _OUT], _MISSING).astype(np.int8)
    return (low + high) / 2, status


def _shares(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    found = pc.extract_regex(text, pattern=rf"(?s)^.*?(?:^|[^0-9.]){_OF}")
    part, whole = _numbers(found, "part"), _numbers(found, "whole")
    known = np.isfinite(part) & np.isfinite(whole)
    share = part / np.where(known, whole, 1)
    return share, _within(share, known)


def _signed(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    first = _numbers(pc.extract_regex(text, pattern=rf"(?s)^.*?(?:^|[^0-9.]){_SIGNED}"), "number")
    last = _numbers(pc.extract_regex(text, pattern=rf"(?s)^(?:.*[^0-9.+−-])?{_SIGNED}"), "number")
    known = np.isfinite(first)
    # "0.9 %" may be meant as 90 %; several different percentages may be about different things.
    two = known & ((first != last) | ((first > 0) & (first < 1)))
    status = _within(first / 100, known)
    status[two] = _AMBIGUOUS
    return first / 100, status


def _plain(text: pa.Array, pattern: str) -> tuple[Float64, NDArray[np.int8]]:
    found = pc.extract_regex(text, pattern=rf"(?s)^.*?{pattern}" if pattern[0] != "^" else pattern)
    number = _numbers(found, "number")
    known = np.isfinite(number)
    written = pc.fill_null(pc.struct_field(found, "number"), "")
    whole = ~_has(written, r"[.,]")
    value = np.where((number > 1) | (whole & (number != 0)), number / 100, number)
    status = _within(value, known)
    status[known & whole & (number == 1)] = _AMBIGUOUS
    return value, status


def _grades(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    value = np.full(len(text), np.nan)
    for pattern in _GRADES:
        way = rf"(?s)^.*?{pattern}" if pattern[0] != "^" else pattern
        found = pc.struct_field(pc.extract_regex(text, pattern=way), "grade").to_pylist()
        worth = np.array([_WORTH.get(grade or "", np.nan) for grade in found])
        value = np.where(np.isnan(value), worth, value)
    return value, np.where(np.isfinite(value), _OK, _MISSING).astype(np.int8)


def _refusals(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    refuses = np.where(_has(text, _REFUSES), _REFUSED, _MISSING).astype(np.int8)
    return np.full(len(text), np.nan), refuses


def _words(text: pa.Array) -> tuple[Float64, NDArray[np.int8]]:
    value = np.full(len(text), np.nan)
    for worth, pattern in _WORDS:
        value[np.isnan(value) & _has(text, pattern)] = worth
    return value, np.where(np.isfinite(value), _OK, _MISSING).astype(np.int8)


def _within(value: Float64, known: Bool) -> NDArray[np.int8]:
    inside = (value >= 0) & (value <= 1)
    return np.select([known & inside, known], [_OK, _OUT], _MISSING).astype(np.int8)


def _numbers(found: pa.Array, name: str) -> Float64:
    texts = pc.replace_substring(pc.struct_field(found, name), "−", "-")
    texts = pc.replace_substring(texts, ",", ".")
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    # Arrow refuses a leading plus or point.
    texts = pc.replace_substring_regex(texts, pattern=r"^\+", replacement="")
    texts = pc.replace_substring_regex(texts, pattern=r"^(-?)\.", replacement=r"\10.")
    numbers = pc.cast(texts, pa.float64())
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), dtype=float)


def _filled(found: pa.Array, name: str) -> Bool:
    return _has(pc.fill_null(pc.struct_field(found, name), ""), ".")


def _has(text: pa.Array, pattern: str) -> Bool:
    mask: Bool = (
        pc.match_substring_regex(text, pattern=pattern)
        .fill_null(False)
        .to_numpy(zero_copy_only=False)
    )
    return mask
