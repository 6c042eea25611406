"""Reads answers off a served model: log-probabilities where it gives them, else repeats."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.asking import Scores
from spatialtrust.backends.served.client import Ask, Client
from spatialtrust.backends.served.replies import Odds, Told, odds, vote
from spatialtrust.fusion.model import threads
from spatialtrust.questions.prompts import STATEMENT, question
from spatialtrust.replies import parse_answers

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.questions.prompts import Triple

log: Final = logging.getLogger("spatialtrust")

NOT_SERVED: Final = "statement_not_served"
"""Status of a statement: chat servers give no likelihood of a text that they did not write."""
ANSWER: Final = "Answer yes or no."
_QUALITY: Final = 95
_ENOUGH: Final = 0.05
"""P(yes) + P(no) below which the words of a reply are read instead."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture as it is sent.

    Attributes
    ----------
    url: ``data:`` and the file in base 64.
    digest: of the file.
    """

    url: str
    digest: str

    @property
    def nbytes(self) -> int:
        """Bytes of the address."""
        return len(self.url)


class ServedReader:
    """A ``Reader`` whose model is on a server."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._told_of_repeats = False

    picture_cost = float(4 << 20)
    """Bytes that a picture takes on its way."""

    def spell(self, claim: Triple, prompt: str) -> Hashable:
        """The question as it is sent; None for a statement, which cannot be."""
        return None if prompt == STATEMENT else f"{question(claim, prompt)} {ANSWER}"

    @property
    def preparers(self) -> int:
        """See ``Eyes.preparers``: a server leaves all cores to the files."""
        return threads()

    def encode(self, prepared: Sequence[Sent]) -> Sequence[Sent]:
        """They are sent with their questions."""
        return prepared

    def score(
        self, features: Sequence[Sent], picture: NDArray[np.int64], texts: Sequence[Any]
    ) -> Scores:
        """See ``Reader.score``."""
        scores = Scores(len(texts))
        rows = [row for row, text in enumerate(texts) if text is not None]
        for row, text in enumerate(texts):
            if text is None:
                scores.status[row] = NOT_SERVED
        asks = [
            Ask(features[picture[row]].url, features[picture[row]].digest, texts[row])
            for row in rows
        ]
        replies = self.client.ask(asks)
        unsure: list[tuple[int, Ask, Told]] = []
        why: dict[str, int] = {}
        for row, ask, reply in zip(rows, asks, replies, strict=True):
            if isinstance(reply, str):
                scores.status[row] = reply
                continue
            found = odds(reply)
            if isinstance(found, Odds) and found.mass >= _ENOUGH:
                _fill(scores, row, found)
                continue
            if isinstance(found, Odds):
                scores.entropy[row] = found.entropy
            else:
                why[found] = why.get(found, 0) + 1
            unsure.append((row, ask, reply))
        if unsure:
            self._by_words(unsure, why, scores)
        return scores

    def _by_words(
        self, unsure: Sequence[tuple[int, Ask, Told]], why: dict[str, int], scores: Scores
    ) -> None:
        """Answers by what the replies say; how sure they are, by asking several times."""
        repeats = self.client.target.repeats
        if why and not self._told_of_repeats:
            self._told_of_repeats = True
            reason = max(why, key=why.__getitem__)
            how = (
                f"each question is asked {repeats} times instead (#repeats=1 asks once, and no "
                "answer has a probability)"
                if repeats > 1
                else "answers have no probability (#repeats=5 asks five times and counts)"
            )
            log.warning("%s: %s; %s", self.client.target.url, reason, how)
        # A reply that has probabilities and says neither yes nor no is not asked for again.
        again = [entry for entry in unsure if not isinstance(odds(entry[2]), Odds)]
        more = [
            Ask(ask.picture, ask.digest, ask.text, sample)
            for _, ask, _ in again
            for sample in range(1, repeats)
        ]
        drawn = self.client.ask(more)
        heard: dict[int, list[Told]] = {row: [reply] for row, _, reply in unsure}
        for place, reply in enumerate(drawn):
            if isinstance(reply, Told):
                heard[again[place // (repeats - 1)][0]].append(reply)
        flat = [reply.text for replies in heard.values() for reply in replies]
        answers = iter(parse_answers(flat).to_pylist())
        for row, replies in heard.items():
            said = [next(answers) for _ in replies]
            share, answer = vote(said)
            scores.said[row] = answer
            if len(said) > 1 and answer != "unparsed":
                scores.p_yes[row] = share
                scores.margin[row] = np.log(share) - np.log1p(-share)

    def prepare(self, pixels: Pixels) -> Sent:
        """A picture as a JPEG file (quality 95, colours whole)."""
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(pixels))
        side = self.client.target.side
        if side and max(image.size) > side:
            scale = side / max(image.size)
            size = tuple(max(1, round(length * scale)) for length in image.size)
            image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        written = io.BytesIO()
        image.save(written, "JPEG", quality=_QUALITY, subsampling=0)
        content = written.getvalue()
        # The pixels, not the file, are what was asked about: another library writes other bytes.
        digest = hashlib.sha256(np.asarray(image).tobytes() + str(image.size).encode()).hexdigest()
        return Sent(f"data:image/jpeg;base64,{base64.b64encode(content).decode()}", digest)


def _fill(scores: Scores, row: int, found: Odds) -> None:
    scores.margin[row] = found.margin
    scores.p_yes[row] = 1.0 / (1.0 + np.exp(-np.clip(found.margin, -80, 80)))
    scores.mass[row] = found.mass
    scores.entropy[row] = found.entropy
