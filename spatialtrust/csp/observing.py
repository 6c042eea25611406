"""What a VLM says of questions as the objects fade: answers and confidences, by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from spatialtrust.csp.perturbation import perturb
from spatialtrust.csp.reading import read_confidence
from spatialtrust.documents import loads
from spatialtrust.errors import InputError
from spatialtrust.io.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Bool, Float32, Pixels
    from spatialtrust.csp.questions import Questions
    from spatialtrust.csp.scales import Scale
    from spatialtrust.csp.vlm import Vlm

_IMAGES = 16
"""Images whose pictures are in memory together."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was said to (Q,) yes-or-no questions at (L,) levels.

    Attributes
    ----------
    image, group: (Q,) names.
    label: bool (Q,), whether yes is right.
    levels: (L,) in percent, 0 first.
    p_yes, stated, mass: float32 (Q, L), see ``reading.Reading``.
    answer: int8 (Q, L), 1 yes, 0 no.
    """

    image: NDArray[Any]
    group: NDArray[Any]
    label: Bool
    levels: NDArray[np.int64]
    p_yes: Float32
    answer: NDArray[np.int8]
    stated: Float32
    mass: Float32

    def __len__(self) -> int:
        return len(self.label)

    @property
    def right(self) -> Bool:
        """(Q, L) whether each answer is right."""
        return np.asarray(self.answer == self.label[:, None])

    def select(self, rows: NDArray[Any]) -> Self:
        """Some of the questions."""
        return type(self)(
            self.image[rows], self.group[rows], self.label[rows], self.levels,
            self.p_yes[rows], self.answer[rows], self.stated[rows], self.mass[rows],
        )  # fmt: skip


def observe(
    vlm: Vlm,
    questions: Questions,
    scale: Scale,
    levels: Sequence[int] = (0,),
    *,
    kind: str = "noise",
    seed: int = 0,
    shuffled: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Observed:
    """Ask every question at every level; nothing is sampled, so it is asked once.

    Parameters
    ----------
    shuffled: a control: each question is asked about the next image instead of its own.
    progress: called with questions seen and asked.

    Raises
    ------
    InputError: an answer is neither yes nor no.
    """
    if not questions.yes_or_no:
        raise InputError(
            "only yes-or-no questions can be judged; some answers here are others "
            "(keep the rows whose answer is yes or no)"
        )
    if any(levels) and not questions.has_regions:
        raise InputError(
            "the questions have no regions that could be perturbed; judge them at level 0, or give "
            "the places of their objects"
        )
    rows = questions.table.to_pylist()
    shape = len(rows), len(levels)
    p_yes, stated, mass = (np.full(shape, np.nan, dtype=np.float32) for _ in range(3))
    answer = np.full(shape, -1, dtype=np.int8)
    uris = list(dict.fromkeys(row["uri"] for row in rows))
    shown = dict(zip(uris, uris[1:] + uris[:1] if shuffled else uris, strict=True))
    by_uri: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        by_uri.setdefault(row["uri"], []).append(place)
    asked = 0
    for start in range(0, len(uris), _IMAGES):
        mine = [place for uri in uris[start : start + _IMAGES] for place in by_uri[uri]]
        pixels = {uri: read_image(shown[uri]) for uri in uris[start : start + _IMAGES]}
        pictures: list[Pixels] = []
        number: dict[tuple[str, str, int], int] = {}
        owner, texts, where = [], [], []
        for place in mine:
            row = rows[place]
            for column, level in enumerate(levels):
                key = (row["uri"], row["regions"] if level else "", level)
                if key not in number:
                    number[key] = len(pictures)
                    picture = pixels[row["uri"]]
                    if level:
                        regions = loads(row["regions"])
                        picture = perturb(picture, regions, level, kind=kind, seed=seed)
                    pictures.append(picture)
                owner.append(number[key])
                texts.append(vlm.prompt(row["question"], scale.instruction))
                where.append((place, column))
        found = read_confidence(vlm, pictures, owner, texts, scale)
        at = tuple(np.array(where).T)
        p_yes[at], stated[at], mass[at] = found.p_yes, found.stated, found.mass
        answer[at] = found.answer
        asked += len(mine)
        if progress is not None:
            progress(asked, asked)
    return Observed(
        np.array([row["image"] for row in rows]),
        np.array([row["group"] for row in rows]),
        np.array([row["answer"] == "yes" for row in rows]),
        np.array(levels),
        p_yes,
        answer,
        stated,
        mass,
    )
