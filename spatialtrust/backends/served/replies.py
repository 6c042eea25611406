"""What an OpenAI-compatible server replied: text, log-probabilities, tokens, whole or not."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.blip2.replies import SPELLINGS
from spatialtrust.backends.served.http import PassingError
from spatialtrust.documents import loads

if TYPE_CHECKING:
    from collections.abc import Sequence

_YES: Final = frozenset(text.strip().lower() for text in SPELLINGS["yes"])
_NO: Final = frozenset(text.strip().lower() for text in SPELLINGS["no"])
_MARKS: Final = " \t\r\n*_\"'`#>([{▁Ġ"
"""What may stand before the word that answers."""
_SLACK: Final = 1e-3
_THOUGHT: Final = re.compile(r"(?s)^.*</think(?:ing)?>")


@dataclass(frozen=True, slots=True)
class Told:
    """One reply.

    Attributes
    ----------
    text: what the model said; empty where it said nothing.
    logprobs: token and its candidates with their log-probabilities, in order; None: not given.
    usage: tokens, as the server counts them.
    finish: why the model stopped.
    """

    text: str
    logprobs: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] | None
    usage: dict[str, int]
    finish: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the record."""
        return {
            "text": self.text,
            "logprobs": None if self.logprobs is None else [[t, list(c)] for t, c in self.logprobs],
            "usage": self.usage,
            "finish": self.finish,
        }

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Told:
        """What :meth:`to_dict` made."""
        listed = kept.get("logprobs")
        return cls(
            str(kept.get("text") or ""),
            None
            if listed is None
            else tuple((str(t), tuple((str(n), float(p)) for n, p in c)) for t, c in listed),
            dict(kept.get("usage") or {}),
            kept.get("finish"),
        )


def told(body: bytes, kind: str) -> Told:
    """Read a reply's body.

    Raises
    ------
    PassingError: it is cut short, or is no chat completion.
    """
    text = body.decode("utf-8", errors="replace")
    if "event-stream" in kind or text.lstrip().startswith("data:"):
        return _told(_joined(text))
    try:
        found = loads(text)
    except (ValueError, RecursionError) as error:
        shown = " ".join(text.split())[:80]
        raise PassingError(f"the reply is no JSON, or half of one ({shown!r})") from error
    return _told(found)


def _joined(text: str) -> dict[str, Any]:
    """A stream's events as the one reply that they make; a stream has to say that it ended."""
    content, listed, usage = "", [], None
    finish = None
    done = False
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            done = True
            continue
        try:
            event = loads(data)
            choices = event.get("choices") or []
            usage = event.get("usage") or usage
        except (ValueError, AttributeError, RecursionError) as error:
            raise PassingError(f"the stream holds what is no JSON ({data[:80]!r})") from error
        first = choices[0] if isinstance(choices, list) and choices else {}
        choice = first if isinstance(first, dict) else {}
        delta, given = choice.get("delta"), choice.get("logprobs")
        said = delta.get("content") if isinstance(delta, dict) else None
        content += said if isinstance(said, str) else ""
        tokens = given.get("content") if isinstance(given, dict) else None
        listed += tokens if isinstance(tokens, list) else []
        finish = choice.get("finish_reason") or finish
    if not done and finish is None:
        raise PassingError("the stream was cut off before its end")
    whole: dict[str, Any] = {"message": {"content": content}, "finish_reason": finish}
    if listed:
        whole["logprobs"] = {"content": listed}
    return {"choices": [whole], "usage": usage}


def _told(found: Any) -> Told:
    try:
        if isinstance(found.get("error"), dict) and not found.get("choices"):
            raise PassingError(f"the server reports: {str(found['error'])[:200]}")
        choice = found["choices"][0]
        message = choice["message"]
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise PassingError(f"the reply is no chat completion ({str(found)[:80]!r})") from error
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    counts = found.get("usage")
    usage = {
        name: value
        for name, value in (counts.items() if isinstance(counts, dict) else ())
        if name in ("prompt_tokens", "completion_tokens") and type(value) is int and value >= 0
    }
    text = content if isinstance(content, str) else str(message.get("refusal") or "")
    finish = choice.get("finish_reason")
    return Told(text, _logprobs(choice), usage, finish if isinstance(finish, str) else None)


def _logprobs(choice: dict[str, Any]) -> tuple[Any, ...] | None:
    """Tokens with candidates; None where they are missing or cannot be log-probabilities."""
    listed = (choice.get("logprobs") or {}) if isinstance(choice.get("logprobs"), dict) else {}
    content = listed.get("content")
    if not isinstance(content, list) or not content:
        return None
    found = []
    try:
        for entry in content:
            candidates = [(str(c["token"]), float(c["logprob"])) for c in entry["top_logprobs"]]
            found.append((str(entry["token"]), tuple(candidates)))
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Odds:
    """Yes against no in one reply's log-probabilities.

    Attributes
    ----------
    margin: log P(yes) - log P(no); of one that is not listed, the most that it can have.
    mass: P(yes) + P(no).
    entropy: of what is listed and of the rest as one, nats: at most the whole distribution's.
    """

    margin: float
    mass: float
    entropy: float


def odds(reply: Told) -> Odds | str:
    """Yes against no where the reply's answer begins; or why its log-probabilities say nothing."""
    if reply.logprobs is None:
        return "no log-probabilities"
    place = _answer_at(reply)
    if place is None:
        return "the log-probabilities are of other words than the reply"
    _, candidates = reply.logprobs[place]
    values = np.array([value for _, value in candidates])
    if not len(values):
        return "no candidates beside the token"
    if not (values <= _SLACK).all() or np.exp(values).sum() > 1.0 + 0.02:
        return "log-probabilities that are none: above 0, not numbers, or of more than 1 in all"
    shares: dict[str, float] = {}
    for name, value in candidates:
        word = name.strip(_MARKS).lower()
        shares[word] = shares.get(word, 0.0) + math.exp(min(value, 0.0))
    yes = sum(share for word, share in shares.items() if word in _YES)
    no = sum(share for word, share in shares.items() if word in _NO)
    listed = float(np.exp(np.minimum(values, 0.0)).sum())
    rest = max(1.0 - listed, 0.0)
    # What is not among the candidates is no likelier than the last of them, nor than the rest.
    most = max(min(math.exp(min(float(values.min()), 0.0)), rest), 1e-12)
    p = np.array([*np.exp(np.minimum(values, 0.0)), rest])
    entropy = float(-(p[p > 0] * np.log(p[p > 0])).sum())
    if yes + no == 0:
        return Odds(0.0, 0.0, entropy)
    return Odds(math.log(yes or most) - math.log(no or most), yes + no, entropy)


def _answer_at(reply: Told) -> int | None:
    """The token at which the answer begins: behind thoughts, spaces and marks."""
    assert reply.logprobs is not None
    tokens = [token for token, _ in reply.logprobs]
    thought = _THOUGHT.match("".join(tokens))
    begins = thought.end() if thought else 0
    said = 0
    for place, token in enumerate(tokens):
        said += len(token)
        if said > begins and token.strip(_MARKS):
            words = _THOUGHT.sub("", reply.text).lstrip(_MARKS).lower()
            first = token.strip(_MARKS).lower()
            return place if words.startswith(first) or not words else None
    return None


def vote(answers: Sequence[str | None]) -> tuple[float, str]:
    """P(yes) by repeats, ``(yes + 1/2) / (n + 1)`` of those that can be read, and the majority's.

    NaN and ``unparsed`` where none can be read.

    >>> vote(["yes", "yes", "no", "unparsed"])
    (0.625, 'yes')
    """
    yes, no = answers.count("yes"), answers.count("no")
    if yes + no == 0:
        return math.nan, "unparsed"
    share = (yes + 0.5) / (yes + no + 1.0)
    return share, "unparsed" if yes == no else "yes" if yes > no else "no"
