"""What a VLM is asked: the forms of a claim, five paraphrases of the question, and captions.

A *form* turns one claim into a related one (its converse, its opposite). A *prompt* is a wording.
Both are named, so that every answer says exactly what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from spatialtrust.errors import InputError, UnknownRelationError, suggest
from spatialtrust.relations import NAMES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

Triple = tuple[str, str, str]
"""Subject phrase, canonical relation, object phrase."""

FORMS: Final = ("claim", "converse", "opposite", "swapped")
"""(A, r, B); (B, converse of r, A); (A, opposite of r, B); (B, r, A)."""

STATEMENT: Final = "statement"
"""The prompt that asks nothing: the claim's own sentence is scored, token by token."""

CONFIDENCE: Final = "confidence"
"""The prompt that also asks how sure the model is; only some models can say."""

_ARTICLES: Final = ("the ", "a ", "an ")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One wording, for models that answer questions and for models that compare captions.

    Attributes
    ----------
    question: template of the question, with ``{question}`` ("is the mug left of the kettle") or
        ``{clause}`` ("the mug is left of the kettle").
    caption: template of the caption, with ``{clause}``.
    """

    question: str
    caption: str


PROMPTS: Final[Mapping[str, Prompt]] = MappingProxyType(
    {
        "default": Prompt("{question}?", "{clause}."),
        "picture": Prompt("in this picture, {question}?", "in this picture, {clause}."),
        "true": Prompt("is it true that {clause}?", "it is true that {clause}."),
        "say": Prompt("would you say that {clause}?", "a photo in which {clause}."),
        "correct": Prompt("is this correct: {clause}?", "a scene where {clause}."),
        STATEMENT: Prompt("{clause}.", "{clause}."),
        CONFIDENCE: Prompt("{question}?", "{clause}."),
    }
)
"""Prompt name to wording; the first letter is made upper case."""

PARAPHRASES: Final = tuple(name for name in PROMPTS if name not in (STATEMENT, CONFIDENCE))
"""The five wordings of prompt consistency; agreement is counted with the first."""

_HORIZONTAL: Final = ("left of", "right of")
_VERTICAL: Final = ("above", "below")


def reform(claim: Triple, form: str) -> Triple | None:
    """The claim in another form; None where the language has no word for it.

    >>> reform(("mug", "left of", "kettle"), "converse")
    ('kettle', 'right of', 'mug')
    >>> reform(("mug", "between", "cups"), "converse") is None
    True
    """
    subject, name, object_ = claim
    relation = RELATIONS[name]
    if form == "claim":
        return claim
    if form == "swapped":
        return object_, name, subject
    if form == "converse":
        return None if relation.converse is None else (object_, relation.converse, subject)
    if form == "opposite":
        return None if relation.opposite is None else (subject, relation.opposite, object_)
    raise InputError(f'form "{form}" is not known; {suggest(form, FORMS)}valid: {", ".join(FORMS)}')


def question(claim: Triple, prompt: str = "default") -> str:
    """The question put to a model that answers.

    >>> question(("mug", "left of", "kettle"))
    'Is the mug left of the kettle?'
    >>> question(("the box", "contains", "a mug"), "true")
    'Is it true that the box contains the mug?'
    """
    return _fill(_prompt(prompt).question, claim)


def caption(claim: Triple, prompt: str = "default") -> str:
    """The caption that a model compares with the image.

    >>> caption(("mug", "left of", "kettle"), "say")
    'A photo in which the mug is left of the kettle.'
    """
    return _fill(_prompt(prompt).caption, claim)


def alternatives(claim: Triple, prompt: str = "default") -> tuple[str, ...]:
    """The claim's caption, first, and those it competes with.

    Left, right, above and below compete with one another; any other relation with its opposite, or
    with its negation where the language has no opposite.

    >>> alternatives(("mug", "on", "table"))
    ('The mug is on the table.', 'The mug is off the table.')
    >>> len(alternatives(("mug", "left of", "kettle")))
    4
    """
    subject, name, object_ = claim
    relation = RELATIONS[name]
    rivals = [relation.opposite] if relation.opposite else []
    if relation.family == "horizontal":
        rivals += _VERTICAL
    elif relation.family == "vertical":
        rivals += _HORIZONTAL
    if not rivals:
        negated = _fill(_prompt(prompt).caption, claim, negate=True)
        return caption(claim, prompt), negated
    return tuple(caption((subject, word, object_), prompt) for word in (name, *rivals))


def _prompt(name: str) -> Prompt:
    if name not in PROMPTS:
        raise InputError(
            f'prompt "{name}" is not known; {suggest(name, PROMPTS)}valid: {", ".join(PROMPTS)}'
        )
    return PROMPTS[name]


def _fill(template: str, claim: Triple, *, negate: bool = False) -> str:
    subject, name, object_ = claim
    if name not in RELATIONS:
        raise UnknownRelationError(name, NAMES)
    subject, object_ = _bare(subject), _bare(object_)
    predicate = RELATIONS[name].predicate
    verb, _, rest = predicate.partition(" ")
    if verb == "is":
        asked = f"is the {subject} {rest} the {object_}"
        said = f"the {subject} is {'not ' if negate else ''}{rest} the {object_}"
    else:
        plain = " ".join(filter(None, ("have" if verb == "has" else verb.removesuffix("s"), rest)))
        asked = f"does the {subject} {plain} the {object_}"
        said = f"the {subject} {f'does not {plain}' if negate else predicate} the {object_}"
    text = template.format(question=asked, clause=said)
    return text[0].upper() + text[1:]


def _bare(phrase: str) -> str:
    """The phrase without its article: the templates bring their own."""
    text = phrase.strip()
    for article in _ARTICLES:
        if text.lower().startswith(article):
            return text[len(article) :].lstrip()
    return text
