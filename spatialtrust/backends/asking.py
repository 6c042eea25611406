"""From claims to rows of answers, whatever the architecture: one vision pass per picture.

Every picture is encoded once and every distinct text asked of it is scored once, however many
claims, forms and prompts share them (:mod:`spatialtrust.backends.asks`); the next pictures are
prepared meanwhile (:mod:`spatialtrust.backends.looking`). What cannot be asked becomes a row that
says why.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from spatialtrust.backends.asks import OK, Plan
from spatialtrust.backends.batching import Budget
from spatialtrust.backends.looking import Eyes, Memory, look
from spatialtrust.errors import InputError, suggest
from spatialtrust.questions.prompts import STATEMENT
from spatialtrust.questions.signals import ASKED, STATED
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.asks import Picture
    from spatialtrust.backends.base import Asker, Options
    from spatialtrust.questions.prompts import Triple
    from spatialtrust.tables import Claims, Grounding

logger = logging.getLogger(__name__)

LEAST_MASS: Final = 0.05
"""A reply whose yes and no together are less likely than this is ``unparsed``."""

_NUMBERS: Final = ("p_yes", "margin", "entropy", "loglik_per_token", "similarity")


class Scores:
    """What a reader found out about (N,) asks; float32, NaN where it does not apply.

    Attributes
    ----------
    p_yes, margin, entropy, loglik_per_token, similarity: the columns of the answers table.
    mass: P(yes) + P(no) of the reply; NaN where nothing was asked.
    said: ``yes``, ``no`` or ``unparsed``, as a reply's words say; None: its probabilities say it.
    status: ``ok``, or why there is no score.
    """

    def __init__(self, rows: int) -> None:
        unknown = np.full((len(_NUMBERS) + 1, rows), np.nan, dtype=np.float32)
        self.p_yes, self.margin, self.entropy, self.loglik_per_token, self.similarity = unknown[:5]
        self.mass = unknown[5]
        self.said = np.full(rows, None, dtype=object)
        self.status = np.full(rows, OK, dtype=object)


class Reader(Eyes, Protocol):
    """One architecture: how it sees a picture and scores texts against it."""

    def spell(self, claim: Triple, prompt: str) -> Hashable:
        """The text, or texts, that ask a claim; equal ones are scored once."""
        ...

    def score(
        self, features: Sequence[Any], picture: NDArray[np.int64], texts: Sequence[Any]
    ) -> Scores:
        """Scores of asks (N,): ``texts[i]`` asked of ``features[picture[i]]``."""
        ...


class ReadingAsker:
    """What all askers share whose model is read by a :class:`Reader`: an ``Asker``.

    Attributes
    ----------
    reference, revision: see ``Backend``.
    """

    needs_pixels = True

    def __init__(self, reference: str, options: Options) -> None:
        self.reference = reference
        self._options = options
        self._budget = Budget(options.memory)
        self._memory = Memory()

    @property
    def reader(self) -> Reader:
        """The loaded model; it loads at first use."""
        raise NotImplementedError

    def ask(
        self,
        images: Mapping[str, Pixels],
        claims: Claims,
        *,
        views: Sequence[str] = ("plain",),
        forms: Sequence[str] = ("claim",),
        prompts: Sequence[str] = ("default",),
        grounding: Grounding | None = None,
    ) -> Answers:
        """See ``Asker.ask``.

        Raises
        ------
        InputError: a view, form or prompt is not known.
        BackendError: the model cannot be loaded.
        """
        reader = self.reader
        plan = Plan.of(
            claims,
            images,
            reader.spell,
            views=views,
            forms=forms,
            prompts=prompts,
            grounding=grounding,
        )
        asks = plan.asks
        scores = Scores(len(asks.texts))
        for window in look(asks.pictures, reader, self._budget, self._memory):
            _score(reader, window, asks.texts, scores)
        return _table(plan, scores, self.reference)


def ask_for(
    wanted: Sequence[str],
    asker: Asker,
    images: Mapping[str, Pixels],
    claims: Claims,
    grounding: Grounding | None = None,
) -> Answers:
    """Ask what some signals need, and nothing else; wordings of one question share a call.

    Parameters
    ----------
    wanted: names in ``signals.ASKED``, such as ``answer``, ``paraphrases``, ``orbit``.

    Raises
    ------
    InputError: a name is not known.
    """
    for name in wanted:
        if name not in ASKED:
            raise InputError(
                f'signal "{name}" is not known; {suggest(name, ASKED)}valid: {", ".join(ASKED)}'
            )
    if STATED in wanted and not getattr(asker, "states_confidence", False):
        raise InputError(
            f"{asker.reference} cannot say how sure it is, which the signal {STATED} needs; leave "
            f"it out, or give csp:FOLDER (see spatialtrust csp train) or recorded:FILE as asker"
        )
    wordings: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, None]] = {}
    for name in wanted:
        views, forms, prompts = ASKED[name]
        wordings.setdefault((views, forms), {}).update(dict.fromkeys(prompts))
    parts = [
        asker.ask(
            images, claims, views=views, forms=forms, prompts=tuple(prompts), grounding=grounding
        )
        for (views, forms), prompts in wordings.items()
    ]
    return Answers.concat(parts).sorted()


def _score(reader: Reader, window: Sequence[Picture], texts: Sequence[Any], scores: Scores) -> None:
    seen = [picture for picture in window if picture.status == OK]
    for picture in window:
        if picture.status != OK:
            scores.status[picture.asks] = picture.status
    rows = np.array([ask for picture in seen for ask in picture.asks], dtype=np.int64)
    if not len(rows):
        return
    counts = [len(picture.asks) for picture in seen]
    found = reader.score(
        [picture.features for picture in seen],
        np.repeat(np.arange(len(seen)), counts),
        [texts[row] for row in rows],
    )
    for name in (*_NUMBERS, "mass", "said", "status"):
        getattr(scores, name)[rows] = getattr(found, name)


def _table(plan: Plan, scores: Scores, model: str) -> Answers:
    given = plan.ask >= 0
    status = plan.status.copy()
    status[given] = scores.status[plan.ask[given]]

    def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.full(len(plan.ask), np.nan, dtype=np.float32)
        result[given] = values[plan.ask[given]]
        return result

    # A statement asks nothing, whatever the architecture made of it.
    asked = plan.prompt != STATEMENT
    mass, p_yes = np.where(asked, spread(scores.mass), np.nan), spread(scores.p_yes)
    unparsed = mass < LEAST_MASS
    said = np.full(len(plan.ask), None, dtype=object)
    said[given] = scores.said[plan.ask[given]]
    in_words = asked & np.array([word is not None for word in said], dtype=bool)
    reply = np.where(unparsed, "unparsed", np.where(p_yes >= 0.5, "yes", "no")).astype(object)
    reply = np.where(in_words, said, reply)
    columns: dict[str, Any] = {
        "claim_id": pa.array(plan.claim_id, pa.string()),
        "model": pa.repeat(model, len(plan.ask)),
        "view": pa.array(plan.view, pa.string()),
        "form": pa.array(plan.form, pa.string()),
        "prompt_id": pa.array(plan.prompt, pa.string()),
        "answer": pa.array(reply, pa.string(), mask=np.isnan(mass) & ~in_words),
        "status": pa.array(status, pa.string()),
    }
    for name in _NUMBERS:
        values = spread(getattr(scores, name))
        hidden = np.isnan(values)
        if name == "p_yes":
            hidden |= unparsed | ~asked
        elif name == "margin":
            hidden |= unparsed
        columns[name] = pa.array(values, pa.float32(), mask=hidden)
    return Answers.from_columns(columns, "answers").sorted()
