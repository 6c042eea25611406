"""From claims to rows of answers, whatever the architecture: one vision pass per picture.

A *picture* is one view of one image (around one claim's boxes, where the view needs them). Every
picture is encoded once and every distinct text asked of it is scored once, however many claims,
forms and prompts share them. What cannot be asked becomes a row that says why.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from spatialtrust.errors import InputError, suggest
from spatialtrust.questions.prompts import STATEMENT, question, reform
from spatialtrust.questions.signals import ASKED
from spatialtrust.questions.views import make_view, needs_boxes, parse_view
from spatialtrust.relations import RELATIONS
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.backends.base import Asker, Pixels
    from spatialtrust.backends.batching import Budget
    from spatialtrust.questions.prompts import Triple
    from spatialtrust.tables import Claims, Grounding

logger = logging.getLogger(__name__)

OK: Final = "ok"
LEAST_MASS: Final = 0.05
"""A reply whose yes and no together are less likely than this is ``unparsed``."""

_NUMBERS: Final = ("p_yes", "margin", "entropy", "loglik_per_token", "similarity")


class Scores:
    """What a reader found out about (N,) asks; float32, NaN where it does not apply.

    Attributes
    ----------
    p_yes, margin, entropy, loglik_per_token, similarity: the columns of the answers table.
    mass: P(yes) + P(no) of the reply; NaN where nothing was asked.
    status: ``ok``, or why there is no score.
    """

    def __init__(self, rows: int) -> None:
        unknown = np.full((len(_NUMBERS) + 1, rows), np.nan, dtype=np.float32)
        self.p_yes, self.margin, self.entropy, self.loglik_per_token, self.similarity = unknown[:5]
        self.mass = unknown[5]
        self.status = np.full(rows, OK, dtype=object)


class Reader(Protocol):
    """One architecture: how it sees a picture and scores texts against it."""

    @property
    def picture_cost(self) -> float:
        """Bytes of activations that one picture takes."""
        ...

    def encode(self, pixels: Sequence[Pixels]) -> Sequence[Any]:
        """One vision pass; an array or tensor per picture."""
        ...

    def spell(self, claim: Triple, prompt: str) -> Hashable:
        """The text, or texts, that ask a claim; equal ones are scored once."""
        ...

    def score(
        self, features: Sequence[Any], picture: NDArray[np.int64], texts: Sequence[Any]
    ) -> Scores:
        """Scores of asks (N,): ``texts[i]`` asked of ``features[picture[i]]``."""
        ...


class Memory:
    """The features of the pictures seen last, so that a later call need not encode them again."""

    def __init__(self, capacity: int = 256 << 20) -> None:
        self.capacity = capacity
        self.size = 0
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def get(self, key: bytes) -> Any | None:
        """What was kept under a key, if it still is."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, features: Any) -> None:
        """Keep, and forget the oldest beyond the capacity."""
        self._kept[key] = features
        self.size += features.nbytes
        while self.size > self.capacity:
            _, oldest = self._kept.popitem(last=False)
            self.size -= oldest.nbytes


@dataclass(slots=True)
class _Picture:
    """A view to be encoded and what is asked of it."""

    image: Pixels
    digest: bytes
    view: str
    boxes: NDArray[np.float32]
    features: Any = None
    status: str = OK
    asks: list[int] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        return b"|".join((self.digest, self.view.encode(), self.boxes.tobytes()))

    def pixels(self) -> Pixels:
        seed = int.from_bytes(hashlib.blake2b(self.key, digest_size=8).digest())
        return make_view(self.image, self.view, self.boxes, seed)


@dataclass(slots=True)
class _Plan:
    """All rows of a call: where each gets its answer from."""

    columns: dict[str, list[str]]
    row_ask: list[int]
    row_status: list[str]
    pictures: list[_Picture]
    texts: list[Any]


def answer(
    reader: Reader,
    budget: Budget,
    memory: Memory,
    images: Mapping[str, Pixels],
    claims: Claims,
    *,
    model: str,
    views: Sequence[str],
    forms: Sequence[str],
    prompts: Sequence[str],
    grounding: Grounding | None,
) -> Answers:
    """Ask every claim in every view, form and prompt; see ``Asker.ask``.

    Raises
    ------
    InputError: a view, form or prompt is not known.
    """
    plan = _plan(reader, images, claims, views, forms, prompts, grounding)
    scores = Scores(len(plan.texts))
    for window in _windows(plan.pictures, reader, budget):
        _look(reader, budget, memory, window)
        _score(reader, window, plan.texts, scores)
        for picture in window:
            picture.features = None
    return _table(plan, scores, model)


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


def _plan(
    reader: Reader,
    images: Mapping[str, Pixels],
    claims: Claims,
    views: Sequence[str],
    forms: Sequence[str],
    prompts: Sequence[str],
    grounding: Grounding | None,
) -> _Plan:
    views, forms, prompts = (tuple(dict.fromkeys(names)) for names in (views, forms, prompts))
    _check_names(views, forms, prompts)
    boxes = _boxes(grounding, len(claims))
    triples = _triples(claims)
    digests = {name: _digest(pixels) for name, pixels in images.items()}
    places: dict[bytes, int] = {}
    asks: dict[tuple[int, Hashable], int] = {}
    spelled: dict[tuple[Triple, str], Hashable] = {}
    plan = _Plan({name: [] for name in Answers.key[:1] + Answers.key[2:]}, [], [], [], [])

    def place_of(row: int, image_id: str, view: str) -> int:
        around = boxes[row] if needs_boxes(view) else boxes[:0, 0]
        picture = _Picture(images[image_id], digests[image_id], view, around)
        if picture.key not in places:
            places[picture.key] = len(plan.pictures)
            plan.pictures.append(picture)
        return places[picture.key]

    def ask_of(row: int, image_id: str, view: str, form: str, prompt: str) -> tuple[int, str]:
        claim = triples[row]
        if isinstance(claim, str):
            return -1, claim
        asked = reform(claim, form)
        if asked is None:
            return -1, "form_undefined"
        if image_id not in images or images[image_id].size == 0:
            return -1, "image_unreadable"
        if needs_boxes(view) and not np.isfinite(boxes[row]).all():
            return -1, "boxes_missing"
        if (asked, prompt) not in spelled:
            spelled[asked, prompt] = reader.spell(asked, prompt)
        place = place_of(row, image_id, view)
        key = (place, spelled[asked, prompt])
        if key not in asks:
            asks[key] = len(plan.texts)
            plan.pictures[place].asks.append(len(plan.texts))
            plan.texts.append(key[1])
        return asks[key], OK

    identity = zip(claims.strings("claim_id"), claims.strings("image_id"), strict=True)
    for row, (claim_id, image_id) in enumerate(identity):
        for view in views:
            for form in forms:
                for prompt in prompts:
                    ask, status = ask_of(row, str(image_id), view, form, prompt)
                    plan.row_ask.append(ask)
                    plan.row_status.append(status)
                    for name, value in zip(
                        plan.columns, (str(claim_id), view, form, prompt), strict=True
                    ):
                        plan.columns[name].append(value)
    return plan


def _check_names(views: Sequence[str], forms: Sequence[str], prompts: Sequence[str]) -> None:
    for view in views:
        parse_view(view)
    probe = ("a", "left of", "b")
    for form in forms:
        reform(probe, form)
    for prompt in prompts:
        question(probe, prompt)


def _boxes(grounding: Grounding | None, rows: int) -> NDArray[np.float32]:
    """Float32 (N, 2, 4), NaN where missing."""
    if grounding is None:
        return np.full((rows, 2, 4), np.nan, dtype=np.float32)
    return np.stack([grounding.subject_box, grounding.object_box], axis=1)


def _triples(claims: Claims) -> list[Triple | str]:
    """What each claim says, or why it cannot be asked."""
    columns = (claims.strings(name) for name in ("subject", "relation", "object"))
    result: list[Triple | str] = []
    for subject, relation, object_ in zip(*columns, strict=True):
        if not subject or not relation or not object_:
            result.append("claim_incomplete")
        elif relation not in RELATIONS:
            result.append("relation_unknown")
        else:
            result.append((subject, relation, object_))
    return result


def _digest(pixels: Pixels) -> bytes:
    shape = np.array(pixels.shape, dtype=np.int64).tobytes()
    return hashlib.blake2b(pixels.tobytes(), key=shape, digest_size=16).digest()


def _windows(
    pictures: Sequence[_Picture], reader: Reader, budget: Budget
) -> list[Sequence[_Picture]]:
    """Pictures that are in memory together: as many as a few vision passes encode."""
    count = max(1, 4 * int(budget.memory // reader.picture_cost))
    return [pictures[start : start + count] for start in range(0, len(pictures), count)]


def _look(reader: Reader, budget: Budget, memory: Memory, window: Sequence[_Picture]) -> None:
    """Encode the pictures that are not remembered."""
    new: list[_Picture] = []
    for picture in window:
        picture.features = memory.get(picture.key)
        if picture.features is None:
            new.append(picture)

    def forward(places: list[int]) -> None:
        encoded = reader.encode([new[place].pixels() for place in places])
        for place, features in zip(places, encoded, strict=True):
            new[place].features = features
            memory.put(new[place].key, features)

    failures = budget.run([reader.picture_cost] * len(new), forward)
    for place, status in failures.items():
        new[place].status = status


def _score(
    reader: Reader, window: Sequence[_Picture], texts: Sequence[Any], scores: Scores
) -> None:
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
    for name in (*_NUMBERS, "mass", "status"):
        getattr(scores, name)[rows] = getattr(found, name)


def _table(plan: _Plan, scores: Scores, model: str) -> Answers:
    ask = np.array(plan.row_ask, dtype=np.int64)
    given = ask >= 0
    status = np.array(plan.row_status, dtype=object)
    status[given] = scores.status[ask[given]]
    columns: dict[str, Any] = {
        "claim_id": pa.array(plan.columns["claim_id"], pa.string()),
        "model": pa.array([model] * len(ask), pa.string()),
        **{
            name: pa.array(plan.columns[name], pa.string())
            for name in ("view", "form", "prompt_id")
        },
    }

    def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.full(len(ask), np.nan, dtype=np.float32)
        result[given] = values[ask[given]]
        return result

    # A statement asks nothing, whatever the architecture made of it.
    asked = np.array([prompt != STATEMENT for prompt in plan.columns["prompt_id"]], dtype=bool)
    mass, p_yes = np.where(asked, spread(scores.mass), np.nan), spread(scores.p_yes)
    unparsed = mass < LEAST_MASS
    reply = np.where(unparsed, "unparsed", np.where(p_yes >= 0.5, "yes", "no"))
    columns["answer"] = pa.array(reply, pa.string(), mask=np.isnan(mass))
    for name in _NUMBERS:
        values = spread(getattr(scores, name))
        hidden = np.isnan(values)
        if name == "p_yes":
            hidden |= unparsed | ~asked
        elif name == "margin":
            hidden |= unparsed
        columns[name] = pa.array(values, pa.float32(), mask=hidden)
    columns["status"] = pa.array(status.tolist(), pa.string())
    return Answers.from_columns(columns, "answers").sorted()
