"""One row of a result file, whoever wrote it, and what a reply says of a choice."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.replies import parse_answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

OK: Final = "ok"
NO_REPLY: Final = "no_reply"
NOT_READ: Final = "reply_not_read"
NO_TRUTH: Final = "no_truth"
NOT_BINARY: Final = "score_not_binary"
UNREADABLE: Final = "row_unreadable"

ABOUT: Final[Mapping[str, str]] = {
    NO_REPLY: "the model gave no reply, or the tool failed to obtain one",
    NOT_READ: "the reply names none of the options, or several, and the file has no verdict on it",
    NO_TRUTH: "the file does not say what is right",
    NOT_BINARY: "the tool's score is a degree, not right or wrong",
    UNREADABLE: "the row could not be read",
}

_FAILED: Final = re.compile(
    r"^\s*(?:failed to obtain answer.*|\[failed_infer\].*|nan|none|null|n/a|<na>|error:.*)?\s*$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(slots=True)
class Row:
    """One row.

    Attributes
    ----------
    number: line or row in the file, from 1 (a sheet's header is row 1).
    id: of the question, as text; unique only where the file's are.
    sub_task: relation or category; empty: not said.
    reply: what the model said; None: nothing.
    predicted, truth: the option or yes or no that was said, and that is right; None: not known.
    is_correct: None: not known.
    confidence: P(the answer is right) as far as the file says; NaN: it does not.
    image, question: as in the file; empty: not said.
    options: letter to text.
    orbit: questions that are one question with its options turned; empty: none.
    cluster: rows that are not independent: one picture, or one question and its variants.
    status: ``ok``, or why the row does not count.
    """

    number: int
    id: str
    sub_task: str = ""
    reply: str | None = None
    predicted: str | None = None
    truth: str | None = None
    is_correct: bool | None = None
    confidence: float = math.nan
    image: str = ""
    question: str = ""
    options: dict[str, str] = field(default_factory=dict)
    orbit: str = ""
    cluster: str = ""
    status: str = OK


@dataclass(frozen=True, slots=True)
class Results:
    """A result file, read.

    Attributes
    ----------
    rows: one per row of the file, in its order.
    tool: who wrote it.
    source: file name for messages.
    notes: what was inferred, a sentence each.
    """

    rows: tuple[Row, ...]
    tool: str
    source: str
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Rows by status; they add up to all rows."""
        return dict(Counter(row.status for row in self.rows))

    def counting(self) -> NDArray[np.bool_]:
        """(N,) rows whose answer is known to be right or wrong."""
        return np.array([row.status == OK for row in self.rows], dtype=bool)


def settle(row: Row, said: Any, truth: Any, verdict: Any, *, extracted: Any = None) -> Row:
    """Fill in what was said, what is right, and whether it was.

    Parameters
    ----------
    said: the reply.
    truth: the right answer, or None.
    verdict: the tool's own (0 or 1, true or false), or None; it counts before what is read here.
    extracted: what the tool read out of the reply, or None.
    """
    row.reply = None if is_missing(said) else text_of(said)
    if row.reply is None:
        row.status = NO_REPLY
        return row
    row.truth = None if is_missing(truth) else choice(text_of(truth), row.options) or text_of(truth)
    shown = row.reply if is_missing(extracted) else text_of(extracted)
    row.predicted = choice(shown, row.options)
    if not is_missing(verdict):
        row.is_correct = as_flag(verdict)
        row.status = OK if row.is_correct is not None else NOT_BINARY
    elif row.truth is None:
        row.status = NO_TRUTH
    elif row.predicted is None:
        row.status = NOT_READ
    else:
        row.is_correct = row.predicted.casefold() == row.truth.casefold()
    return row


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: empty, NaN, or a tool's note that it got no answer.

    >>> [is_missing(v) for v in (None, float("nan"), " ", "Failed to obtain answer via API.", "no")]
    [True, True, True, True, False]
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and _FAILED.match(value) is not None


def as_flag(value: Any) -> bool | None:
    """0, 1, true, false and what means these; None: neither."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    text = str(value).strip().lower()
    return {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}.get(
        text
    )


_FLAGS: Final = {
    "1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False
}  # fmt: skip

_LETTER: Final = (
    re.compile(r"^\W*([A-Z])\W*$"),
    re.compile(r"(?is)^.*<answer>\s*\(?([A-Z])\b.*?</answer>"),
    re.compile(r"(?s)^.*\\boxed\{\s*(?:\\text\{)?\s*\(?([A-Z])\b"),
    re.compile(r"(?is)^.*\b(?:answer|option|choice)(?: is)?\s*:?\s*\**\(?([A-Z])(?![A-Za-z'])"),
    re.compile(r"^\s*[\(\[\*]*([A-Z])[\)\]\.:,\*]+(?:\s|$)"),
    re.compile(r"^\s*\(([A-Z])\)"),
)


def choice(reply: str, options: Mapping[str, str]) -> str | None:
    """The option's letter, or yes or no, that a reply names; None: none, or several.

    >>> turned = {"A": "left", "B": "right"}
    >>> [choice(text, turned) for text in ("B", "(A) left", "The answer is B.", "right", "either")]
    ['B', 'A', 'B', 'B', None]
    >>> choice("Yes, it is.", {})
    'yes'
    """
    for pattern in _LETTER:
        found = pattern.match(reply)
        letter = found.group(1).upper() if found else ""
        if letter and (letter in options if options else len(reply.strip()) <= 4):
            return letter
    if options:
        said = _words(reply)
        exact = [letter for letter, text in options.items() if _words(text) == said]
        if len(exact) == 1:
            return exact[0]
        held = [letter for letter, text in options.items() if f" {_words(text)} " in f" {said} "]
        return held[0] if len(held) == 1 else None
    answer = _answer(reply)
    return answer if answer in ("yes", "no") else None


@lru_cache(maxsize=100_000)
def _answer(reply: str) -> str | None:
    """What one reply says; a file says the same few things over and over."""
    answer: str | None = parse_answers([reply])[0].as_py()
    return answer


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def first(data: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The value under the first of these names that says something; None: none does."""
    return next((data[name] for name in names if name in data and not is_missing(data[name])), None)


def text_of(value: Any) -> str:
    """A cell as text: whole numbers without a point, half letters as ``?``, nothing as nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().encode("utf-8", errors="replace").decode()


def options_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Options of a question: columns A to J, or a list or dictionary of them."""
    lettered = {
        letter: text_of(data[letter])
        for letter in "ABCDEFGHIJ"
        if letter in data and not is_missing(data[letter])
    }
    if lettered:
        return lettered
    listed = next(
        (data[name] for name in ("options", "choices", "answer_options") if name in data), None
    )
    if isinstance(listed, dict):
        return {text_of(letter).upper(): text_of(text) for letter, text in listed.items()}
    if isinstance(listed, list):
        return {chr(65 + place): _bare(text_of(text)) for place, text in enumerate(listed[:26])}
    return {}


def _bare(option: str) -> str:
    """An option without the letter in front of it."""
    return re.sub(r"^\(?[A-Z][\).:]\s*", "", option)


SUB_TASKS: Final = (
    "relation", "sub_task", "subtask", "category", "question_type", "task", "type", "l2-category",
    "task_type",
)  # fmt: skip
"""Names that tools give to what kind of question it is."""

CONFIDENCES: Final = ("confidence", "p_answer", "answer_prob", "probability", "prob")


def confidence_of(data: Mapping[str, Any], predicted: str | None) -> float:
    """P(the answer is right) where the file says it: a confidence, or P(yes) of a yes or no."""
    share = _share(data.get("p_yes"))
    if not math.isnan(share) and predicted in ("yes", "no"):
        return share if predicted == "yes" else 1.0 - share
    return _share(first(data, CONFIDENCES))


def _share(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if 0.0 <= number <= 1.0 else math.nan


def agree(rows: Sequence[Row]) -> None:
    """Confidence by orbit, where the file gives none: the share of variants that say the same.

    Options are compared by their text, since their letters are turned.
    """
    orbits: dict[str, list[Row]] = {}
    for row in rows:
        if row.orbit and row.predicted is not None and row.options:
            orbits.setdefault(row.orbit, []).append(row)
    for listed in orbits.values():
        said = [_words(row.options.get(str(row.predicted), str(row.predicted))) for row in listed]
        for row, words in zip(listed, said, strict=True):
            if len(listed) > 1 and math.isnan(row.confidence):
                row.confidence = said.count(words) / len(said)
