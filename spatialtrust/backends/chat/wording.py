"""How a chat model is asked: its own template around a picture and a question."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import BackendError
from spatialtrust.questions.prompts import STATEMENT, question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.questions.prompts import Triple

log: Final = logging.getLogger("spatialtrust")

ANSWER: Final = "Answer yes or no."
"""Said behind every question: chat models otherwise begin with a sentence of their own."""

DESCRIBE: Final = "Describe the picture in one sentence."
"""What a statement is the reply to, when its likelihood is read."""

_HOLE: Final = "Is the sample here?"
_UNTEMPLATED: Final = {"PaliGemmaProcessor": ("answer en ", "")}
"""Models that were trained without a chat template, and what goes around a question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text that is put to a model.

    Attributes
    ----------
    request: what the user says.
    reply: what the assistant is made to say, whose likelihood is read; empty: it is asked.
    """

    request: str
    reply: str = ""


def spell(claim: Triple, prompt: str) -> Asked:
    """A claim as it is put to a chat model.

    >>> spell(("mug", "left of", "kettle"), "default").request
    'Is the mug left of the kettle? Answer yes or no.'
    >>> spell(("mug", "left of", "kettle"), "statement").reply
    'The mug is left of the kettle.'
    """
    text = question(claim, prompt)
    return Asked(DESCRIBE, text) if prompt == STATEMENT else Asked(f"{text} {ANSWER}")


class Wording:
    """A processor's template with a hole for the request.

    Parameters
    ----------
    processor: see :func:`spatialtrust.backends.chat.processor.compose`.
    where: the model's folder, for messages.

    Raises
    ------
    BackendError: there is no template, it cannot be filled in, or it puts no picture in.
    """

    def __init__(self, processor: Any, where: object) -> None:
        self.tokenizer = processor.tokenizer
        self.placeholder = self._placeholder(processor, where)
        self.before, self.after = self._around(processor, where)
        added = self.tokenizer.added_tokens_decoder.items()
        self._control = {number for number, token in added if token.special}
        self._own = self._controls(self.tails([Asked("")])[0])

    def prompt(self, asked: Asked) -> str:
        """The whole text, the picture a placeholder in it."""
        text = f"{self.before}{asked.request}{self.after}"
        gap = " " if asked.reply and text[-1:].strip() else ""
        return f"{text}{gap}{asked.reply}"

    def tails(self, texts: Sequence[Asked]) -> list[list[int]]:
        """The tokens of each prompt behind its picture."""
        found: list[list[int]] = self.tokenizer([self.prompt(text) for text in texts])["input_ids"]
        return [self._behind(ids) for ids in found]

    def replies(self, texts: Sequence[Asked], tails: Sequence[Sequence[int]]) -> list[int]:
        """How many tokens at each tail's end belong to the reply; 0 where it is asked."""
        open_ended = {
            request: self.tails([Asked(request)])[0]
            for request in {text.request for text in texts if text.reply}
        }
        return [
            len(tail) - _common(tail, open_ended[text.request]) if text.reply else 0
            for text, tail in zip(texts, tails, strict=True)
        ]

    def usable(self, tail: Sequence[int]) -> bool:
        """Whether a text holds no control token beside those of the template."""
        return self._controls(tail) == self._own

    def _behind(self, ids: list[int]) -> list[int]:
        last = len(ids) - 1 - ids[::-1].index(self.placeholder)
        return ids[last + 1 :]

    def _controls(self, tail: Sequence[int]) -> list[int]:
        return [token for token in tail if token in self._control]

    def _placeholder(self, processor: Any, where: object) -> int:
        token = getattr(processor, "image_token", None)
        known = None if token is None else self.tokenizer.convert_tokens_to_ids(str(token))
        if known is None or known == self.tokenizer.unk_token_id:
            raise BackendError(
                f"{where}: its tokenizer has no image token, so no picture can be put into a "
                "question; give a vision-language model whose processor files are complete"
            )
        return int(known)

    def _around(self, processor: Any, where: object) -> tuple[str, str]:
        template = processor.chat_template
        name = type(processor).__name__
        token = str(processor.image_token)
        if template is None and name in _UNTEMPLATED:
            before, after = _UNTEMPLATED[name]
            return token + before, after
        if template is None:
            raise BackendError(
                f"{where}: has no chat template (chat_template.jinja, or chat_template in its "
                "tokenizer's settings), so it is not said how it is asked; give a model that was "
                "tuned for chat (often called -Instruct, -it or -chat), or put its template there"
            )
        text = self._rendered(processor, token, where)
        if token not in text:
            raise BackendError(
                f"{where}: its chat template puts no picture in ({token} is not in what it makes "
                f"of a picture and a question: {text[:200]!r}); give the template of the "
                "vision-language model, not that of its language model"
            )
        before, hole, after = text.rpartition(_HOLE)
        if not hole or token not in before or token in after:
            raise BackendError(
                f"{where}: its chat template puts the question before the picture or leaves it "
                f"out ({text[:200]!r}); only pictures in front can be shared by all questions"
            )
        return before, after

    def _rendered(self, processor: Any, token: str, where: object) -> str:
        parts = [{"type": "image"}, {"type": "text", "text": _HOLE}]
        problems = []
        for content in (parts, f"{token}\n{_HOLE}"):
            message = [{"role": "user", "content": content}]
            try:
                text = processor.tokenizer.apply_chat_template(
                    message,
                    chat_template=processor.chat_template,
                    add_generation_prompt=True,
                    tokenize=False,
                    enable_thinking=False,
                )
            except Exception as error:  # templates raise whatever they like
                problems.append(f"{type(error).__name__}: {error}")
                continue
            if _HOLE in text and token in text:
                if problems:
                    log.info("%s: its chat template wants plain text, not parts", where)
                return str(text)
            problems.append(f"it made {text[:200]!r}")
            if content is not parts:
                return str(text)
        raise BackendError(
            f"{where}: its chat template cannot be filled in ({problems[0]}); it may be of another "
            "version of the model or of the library"
        )


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
