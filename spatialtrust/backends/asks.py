"""What is to be asked of which picture: every picture and every text once, whoever needs them.

A *picture* is one view of one image (around one claim's boxes, where the view needs them). An *ask*
is one text put to one picture; claims, forms and prompts that come to the same ask share it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.backends.ahead import ahead
from spatialtrust.fusion.model import threads
from spatialtrust.questions.prompts import question, reform
from spatialtrust.questions.views import make_view, needs_boxes, parse_view
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.questions.prompts import Triple
    from spatialtrust.tables import Claims, Grounding

    Spell = Callable[[Triple, str], Hashable]

OK: Final = "ok"


class Question(NamedTuple):
    """How a claim is put: names of a view, a form and a prompt."""

    view: str
    form: str
    prompt: str


@dataclass(slots=True)
class Picture:
    """A view to be encoded and the numbers of the asks that are put to it."""

    image: Pixels
    digest: bytes
    view: str
    boxes: NDArray[np.float32]
    features: Any = None
    status: str = OK
    asks: list[int] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        """Equal for pictures of equal pixels."""
        return b"|".join((self.digest, self.view.encode(), self.boxes.tobytes()))

    def pixels(self) -> Pixels:
        """The view, drawn; noise follows from the key."""
        seed = int.from_bytes(hashlib.blake2b(self.key, digest_size=8).digest())
        return make_view(self.image, self.view, self.boxes, seed)


class Asks:
    """Pictures and texts, as far as they are needed so far.

    Attributes
    ----------
    pictures: each with its asks.
    texts: of each ask, as the model's reader spells it.
    """

    def __init__(self, images: Mapping[str, Pixels], spell: Spell) -> None:
        self.pictures: list[Picture] = []
        self.texts: list[Any] = []
        self._images, self._spell = images, spell
        count = threads() if len(images) > 1 and threads() > 1 else 0
        digests = ahead(_digest, images.values(), count)
        self._digests = dict(zip(images, digests, strict=True))
        self._places: dict[bytes, int] = {}
        self._whole: dict[tuple[str, str], int] = {}
        self._asks: dict[tuple[int, Hashable], int] = {}
        self._spelled: dict[tuple[Triple, str], Hashable] = {}

    def add(self, claim: _Claim, put: Question) -> int | str:
        """The number of the ask that answers a claim so put, or why nothing does."""
        if isinstance(claim.says, str):
            return claim.says
        asked = reform(claim.says, put.form)
        if asked is None:
            return "form_undefined"
        if claim.image_id not in self._images or self._images[claim.image_id].size == 0:
            return "image_unreadable"
        if needs_boxes(put.view) and not np.isfinite(claim.boxes).all():
            return "boxes_missing"
        return self._number(self._picture(claim, put.view), self._text(asked, put.prompt))

    def _picture(self, claim: _Claim, view: str) -> int:
        if needs_boxes(view):
            return self._place(claim.image_id, view, claim.boxes)
        if (claim.image_id, view) not in self._whole:
            place = self._place(claim.image_id, view, claim.boxes[:0, 0])
            self._whole[claim.image_id, view] = place
        return self._whole[claim.image_id, view]

    def _place(self, image_id: str, view: str, boxes: NDArray[np.float32]) -> int:
        picture = Picture(self._images[image_id], self._digests[image_id], view, boxes)
        if picture.key not in self._places:
            self._places[picture.key] = len(self.pictures)
            self.pictures.append(picture)
        return self._places[picture.key]

    def _text(self, asked: Triple, prompt: str) -> Hashable:
        if (asked, prompt) not in self._spelled:
            self._spelled[asked, prompt] = self._spell(asked, prompt)
        return self._spelled[asked, prompt]

    def _number(self, picture: int, text: Hashable) -> int:
        if (picture, text) not in self._asks:
            self._asks[picture, text] = len(self.texts)
            self.pictures[picture].asks.append(len(self.texts))
            self.texts.append(text)
        return self._asks[picture, text]


@dataclass(frozen=True, slots=True)
class Plan:
    """All rows of a call, each with where it gets its answer from.

    Attributes
    ----------
    claim_id, view, form, prompt: (rows,) of each row.
    ask: int64 (rows,) number of its ask, -1: there is none.
    status: (rows,) ``ok``, or why there is no ask.
    asks: the asks themselves.
    """

    claim_id: NDArray[np.object_]
    view: NDArray[np.object_]
    form: NDArray[np.object_]
    prompt: NDArray[np.object_]
    ask: NDArray[np.int64]
    status: NDArray[np.object_]
    asks: Asks

    @classmethod
    def of(
        cls,
        claims: Claims,
        images: Mapping[str, Pixels],
        spell: Spell,
        *,
        views: Sequence[str],
        forms: Sequence[str],
        prompts: Sequence[str],
        grounding: Grounding | None,
    ) -> Plan:
        """Every claim in every view, form and prompt.

        Raises
        ------
        InputError: a view, form or prompt is not known.
        """
        ways = _questions(views, forms, prompts)
        asks = Asks(images, spell)
        found = [asks.add(claim, put) for claim in _claims(claims, grounding) for put in ways]
        names = np.array(ways, dtype=object).reshape(-1, len(Question._fields))
        view, form, prompt = np.tile(names, (len(claims), 1)).T
        return cls(
            claim_id=np.repeat(np.array(claims.strings("claim_id"), dtype=object), len(ways)),
            view=view,
            form=form,
            prompt=prompt,
            ask=np.array([-1 if isinstance(ask, str) else ask for ask in found], dtype=np.int64),
            status=np.array([ask if isinstance(ask, str) else OK for ask in found], dtype=object),
            asks=asks,
        )


class _Claim(NamedTuple):
    """A claim to ask: its image, what it says (or why it cannot be asked), and its boxes (2, 4)."""

    image_id: str
    says: Triple | str
    boxes: NDArray[np.float32]


def _questions(
    views: Sequence[str], forms: Sequence[str], prompts: Sequence[str]
) -> list[Question]:
    """Every combination once, the names checked."""
    probe = ("a", "left of", "b")
    for view in views:
        parse_view(view)
    for form in forms:
        reform(probe, form)
    for prompt in prompts:
        question(probe, prompt)
    distinct = (tuple(dict.fromkeys(names)) for names in (views, forms, prompts))
    return [Question(*names) for names in product(*distinct)]


def _claims(claims: Claims, grounding: Grounding | None) -> list[_Claim]:
    """Rows as they are asked; boxes are NaN where they are missing."""
    if grounding is None:
        boxes = np.full((len(claims), 2, 4), np.nan, dtype=np.float32)
    else:
        boxes = np.stack([grounding.subject_box, grounding.object_box], axis=1)
    columns = (claims.strings(name) for name in ("image_id", "subject", "relation", "object"))
    return [
        _Claim(str(image_id), _says(*triple), around)
        for image_id, *triple, around in zip(*columns, boxes, strict=True)
    ]


def _says(subject: str | None, relation: str | None, object: str | None) -> Triple | str:
    if not subject or not relation or not object:
        return "claim_incomplete"
    return (subject, relation, object) if relation in RELATIONS else "relation_unknown"


def _digest(pixels: Pixels) -> bytes:
    shape = np.array(pixels.shape, dtype=np.int64).tobytes()
    content = np.ascontiguousarray(pixels).reshape(-1).data
    return hashlib.blake2b(content, key=shape, digest_size=16).digest()
