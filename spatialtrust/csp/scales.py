"""How a VLM is asked to say how sure it is, and what its words are worth: percent, words, grades.

A reply is the answer, then the confidence: ``yes, 80%``. Yes-or-no questions use the upper half of
a scale: a yes that is surely wrong is a no, so no answer is less likely right than 50 % (arXiv
2504.14848 leaves this open; the mapping is this package's choice).

>>> scale_named("percent").reply("yes", 0.82)
' yes, 80%'
>>> scale_named("words").reply("no", 0.97)
' no, certain'
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.errors import InputError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.arrays import Float64, Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """One way to state a confidence.

    Attributes
    ----------
    words: what may be said, from the least sure to the surest.
    values: what each is worth, P(right), rising.
    instruction: put after a question, for models that follow instructions.
    """

    name: str
    words: tuple[str, ...]
    values: tuple[float, ...]
    instruction: str

    def reply(self, answer: str, confidence: float) -> str:
        """The reply that states a confidence, in the closest words that the scale has."""
        return f" {answer}, {self.words[int(self.closest(np.array([confidence]))[0])]}"

    def replies(self, answer: str) -> list[str]:
        """Every reply with this answer, from the least sure to the surest."""
        return [f" {answer}, {word}" for word in self.words]

    def closest(self, confidence: Floats) -> Float64:
        """(N,) place of the closest word to each confidence; a tie goes to the less sure."""
        distance = np.abs(np.asarray(confidence)[:, None] - np.array(self.values))
        return np.asarray(np.round(distance, 9).argmin(axis=1))


def _percent(name: str, lowest: int, step: int) -> Scale:
    levels = range(lowest, 101, step)
    return Scale(
        name,
        tuple(f"{level}%" for level in levels),
        tuple(level / 100 for level in levels),
        f"Answer, then say how sure you are, from {lowest}% to 100%, like this: yes, 80%",
    )


SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "percent": _percent("percent", 50, 5),
        "percent-open": _percent("percent-open", 0, 10),
        "words": Scale(
            "words",
            ("a guess", "unsure", "fairly sure", "very sure", "certain"),
            (0.5, 0.6, 0.75, 0.9, 1.0),
            "Answer, then say how sure you are: a guess, unsure, fairly sure, very sure or "
            "certain, like this: yes, very sure",
        ),
        "grades": Scale(
            "grades",
            ("grade E", "grade D", "grade C", "grade B", "grade A"),
            (0.5, 0.625, 0.75, 0.875, 1.0),
            "Answer, then grade how sure you are, from A (certain) to E (a guess), like this: "
            "yes, grade B",
        ),
    }
)
"""``percent`` for yes-or-no questions, ``percent-open`` for any other."""


def scale_named(name: str) -> Scale:
    """The scale of a name.

    Raises
    ------
    InputError: naming the closest.
    """
    if name not in SCALES:
        raise InputError(
            f'scale "{name}" is not known; {suggest(name, SCALES)}valid: {", ".join(SCALES)}'
        )
    return SCALES[name]
