"""What to look for, from a text: commas, or GroundingDINO's own ``a. b. c.`` separate phrases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEPARATORS: Final = re.compile(r"[,;\n\r，、；。]+")
_FULL_STOP: Final = re.compile(r"\.+(?=\s|$)")
_SHORT: Final = (
    "st ste mt ft dr mr mrs ms prof rev hon gen col capt cpt sgt lt sr jr fr pres gov sen rep "
    "no nr nos vol fig ch sec ed vs approx ca oz fl lb lbs in cm mm kg qt pt gal sq "
    "ave blvd rd bldg apt dept inc ltd co corp bros al etc e.g i.e u.s u.k u.s.a"
)
_ABBREVIATIONS: Final = frozenset(_SHORT.split())
"""A full stop behind one of these, with more to come, belongs to the word."""

_TOLD: Final = 3


def split_phrases(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Phrases of some texts, in order, each once; and what was made of the texts, in sentences.

    Commas, semicolons and line ends separate, and so does a full stop that a blank or the end
    follows. One inside a number (``3.5 inch disk``) or behind an abbreviation or an initial
    (``St. Bernard``, ``Dr. Pepper can``) does not.

    >>> split_phrases(["red cube. Dr. Pepper can. 3.5 inch disk."])[0]
    ('red cube', 'Dr. Pepper can', '3.5 inch disk')
    >>> split_phrases(["mug", "kettle", "mug"])[1]
    ('phrases given twice are looked for once: "mug"',)
    """
    found: dict[str, int] = {}
    split: list[str] = []
    for text in texts:
        phrases = [phrase for part in _SEPARATORS.split(text) for phrase in _at_full_stops(part)]
        if len(phrases) > 1:
            split.append(f'"{text.strip()}" is read as {len(phrases)} phrases: {_named(phrases)}')
        for phrase in phrases:
            found[phrase] = found.get(phrase, 0) + 1
    notes = split[:_TOLD]
    if len(split) > _TOLD:
        notes.append(f"{len(split) - _TOLD} more texts are read as several phrases each")
    if twice := [phrase for phrase, times in found.items() if times > 1]:
        notes.append(f"phrases given twice are looked for once: {_named(twice)}")
    return tuple(found), tuple(notes)


def _at_full_stops(text: str) -> list[str]:
    """The phrases between full stops that end one; blanks around them are dropped."""
    phrases, start = [], 0
    for stop in _FULL_STOP.finditer(text):
        phrase, rest = text[start : stop.start()], text[stop.end() :]
        if rest.strip(" .\t") and _goes_on(phrase, rest):
            continue
        phrases.append(phrase)
        start = stop.end()
    phrases.append(text[start:])
    return [" ".join(phrase.split()) for phrase in phrases if phrase.strip(" .\t")]


def _goes_on(phrase: str, rest: str) -> bool:
    """Whether the full stop between belongs to the last word of the phrase."""
    if phrase != phrase.rstrip():  # "a . b": it stands alone
        return False
    words = phrase.split()
    if not words:
        return False
    last, following = words[-1], rest.split(maxsplit=1)[0].rstrip(".")
    initial = len(last) == 1 and last.isupper() and len(following) > 1 and following[0].isupper()
    numbered = len(words) == 1 and last.isdigit()
    return initial or numbered or last.lower().lstrip("(") in _ABBREVIATIONS


def _named(phrases: list[str]) -> str:
    shown = ", ".join(f'"{phrase}"' for phrase in phrases[:20])
    return shown if len(phrases) <= 20 else f"{shown} and {len(phrases) - 20} more"
