"""Known names of things inside sentences, kept whole while the sentence is parsed.

Every known name is replaced by one character that no text holds, and put back into what was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from spatialtrust.language.grammar import ARTICLES, either
from spatialtrust.language.refusals import NEGATIONS
from spatialtrust.relations import PHRASES

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST: Final = 0xF0000
"""The first character of a private plane of Unicode."""

_IRREGULAR: Final = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "knife": "knives",
    "leaf": "leaves",
    "shelf": "shelves",
    "loaf": "loaves",
    "half": "halves",
    "calf": "calves",
    "wolf": "wolves",
    "sheep": "sheep",
}
_SINGULAR: Final = {plural: one for one, plural in _IRREGULAR.items()}


def plural(phrase: str) -> str:
    """The plural of a phrase.

    >>> [plural(phrase) for phrase in ("red mug", "fireman", "bus", "wine glass", "cherry")]
    ['red mugs', 'firemen', 'buses', 'wine glasses', 'cherries']
    """
    for one, many in _IRREGULAR.items():
        if re.search(rf"\b(?:fire|police|sports|snow)?{one}$", phrase):
            return phrase.removesuffix(one) + many
    if re.search(r"(?:s|x|z|ch|sh)$", phrase):
        return f"{phrase}es"
    if re.search(r"[^aeiou]y$", phrase):
        return f"{phrase[:-1]}ies"
    return f"{phrase}s"


def _singulars(phrase: str) -> tuple[str, ...]:
    """What a phrase may be the plural of."""
    *start, last = phrase.split(" ")
    words = [last[:-1], last[:-2], f"{last[:-3]}y"] if last.endswith("s") else []
    words.append(_SINGULAR.get(last, ""))
    candidates = (" ".join((*start, word)) for word in words if len(word) > 1)
    return tuple(found for found in candidates if plural(found) == phrase)


@lru_cache(maxsize=4096)
def _forms(phrases: tuple[str, ...]) -> tuple[dict[str, str], re.Pattern[str] | None]:
    """Every form of the phrases, lower case, to the phrase it stands for; what finds them."""
    plain = {" ".join(phrase.lower().split()): phrase for phrase in phrases if phrase}
    # A name such as "on" or "no" would hide the words that a claim is made of.
    hiding = {*PHRASES, *NEGATIONS, *ARTICLES, "is", "are", "and", "or", "but"}
    forms = {form: phrase for form, phrase in plain.items() if form and form not in hiding}
    for form, phrase in list(forms.items()):
        for other in (plural(form), *_singulars(form)):
            if other not in hiding:
                forms.setdefault(other, phrase)
    if not forms:
        return forms, None
    # "There is no parking sign": only an article before it makes "no" the beginning of a name.
    denying = [form for form in forms if form.split(" ")[0] in NEGATIONS]
    usual = [form for form in forms if form not in denying]
    parts = [rf"(?:{either(map(re.escape, usual))})"] if usual else []
    if denying:
        parts.insert(0, rf"(?:(?<=\bthe )|(?<=\ba ))(?:{either(map(re.escape, denying))})")
    return forms, re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-]|'(?!s\b))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownPhrases:
    """The names of the things in the image of each text."""

    sets: list[tuple[str, ...]]
    _said: list[list[str]] = field(default_factory=list)

    @classmethod
    def of(cls, phrases: Sequence[str] | Sequence[Sequence[str] | None], rows: int) -> KnownPhrases:
        """One set for all rows, or one for each; see :func:`parse_claims`.

        Raises
        ------
        ValueError: there are several sets, but not one for each row.
        """
        if all(isinstance(phrase, str) for phrase in phrases):
            return cls([tuple(str(phrase) for phrase in phrases)] * rows)
        if len(phrases) != rows:
            raise ValueError(f"{len(phrases)} sets of phrases were given for {rows} texts")
        return cls([() if names is None else tuple(names) for names in phrases])

    def hidden(self, texts: pa.Array) -> pa.Array:
        """The texts (N,), each known name as one character."""
        hidden = []
        self._said.clear()
        for spoken, names in zip(texts.to_pylist(), self.sets, strict=True):
            text = spoken
            said: list[str] = []
            finder = _forms(names)[1]
            if spoken is not None and finder is not None:

                def note(found: re.Match[str], said: list[str] = said) -> str:
                    said.append(found[0])
                    return chr(_FIRST + len(said) - 1)

                text = finder.sub(note, _without_private(spoken))
            hidden.append(text)
            self._said.append(said)
        return pa.array(hidden, pa.string())

    def restored(self, claims: pa.StructArray) -> pa.StructArray:
        """Claims (N,) read from hidden texts, with their names put back."""
        rows = []
        for claim, names, said in zip(claims.to_pylist(), self.sets, self._said, strict=True):
            if claim is not None and said:
                forms = _forms(names)[0]
                for role in ("subject", "object"):
                    claim[role] = _put_back(claim[role], said, forms)
            rows.append(claim)
        return pa.array(rows, claims.type)


def _without_private(text: str) -> str:
    return "".join(letter for letter in text if ord(letter) < _FIRST)


def _put_back(phrase: str, said: list[str], forms: dict[str, str]) -> str:
    """A known name as it is known; inside a longer phrase, as it was said."""
    whole = len(phrase) == 1 and ord(phrase) >= _FIRST
    words = "".join(
        said[ord(letter) - _FIRST] if ord(letter) >= _FIRST else letter for letter in phrase
    )
    return forms[words.lower()] if whole else words
