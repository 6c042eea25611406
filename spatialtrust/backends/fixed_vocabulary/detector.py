"""A detector with a fixed list of classes, whatever finds their boxes.

It says which of the phrases that it is given it cannot look for: their rows have the status
``phrase_unknown``, those of a phrase that was looked for in vain ``not_found``.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from spatialtrust.backends.fixed_vocabulary.words import Vocabulary
from spatialtrust.backends.grounding_dino.rows import detections_of
from spatialtrust.backends.grounding_dino.suppression import Boxes, select
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.tables import Detections

log: Final = logging.getLogger("spatialtrust")

UNKNOWN: Final = "phrase_unknown"
UNREADABLE: Final = "image_unreadable"
_MOST: Final = 1000
"""Of an image's boxes the best so many are looked at: an overlap is counted for every two."""


class Seen(NamedTuple):
    """What a model makes of one image.

    Attributes
    ----------
    scores: float32 (C, Q) of each class for each box.
    boxes: float32 (Q, 4) corners in pixels of the image, not yet cut at its edges.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]


class Model(Protocol):
    """Finds the boxes of its classes in one image."""

    @property
    def classes(self) -> tuple[str, ...]:
        """By number; an empty name is no class."""
        ...

    def look(self, pixels: Pixels) -> Seen:
        """Every box, with the scores of every class."""
        ...


class FixedVocabularyDetector:
    """A ``Detector``; its model is made at the first image.

    Parameters
    ----------
    make: loads the model.
    reference, revision: see ``Backend``.
    options: of which the threshold and ``top_k`` count; a model looks at one image at a time.
    """

    needs_pixels = True

    def __init__(
        self, make: Callable[[], Model], reference: str, revision: str, options: Options
    ) -> None:
        self.reference, self.revision = reference, revision
        self._make, self._options = make, options
        self._told: set[str] = set()

    def detect(
        self, images: Mapping[str, Pixels], phrases: Mapping[str, Sequence[str]]
    ) -> Detections:
        """See ``Detector.detect``; of an image that ``phrases`` does not have, every class."""
        found: dict[tuple[str, str], Boxes] = {}
        status: dict[tuple[str, str], str] = {}
        wanted: dict[str, list[str]] = {}
        for image_id in sorted({*images, *phrases}):
            listed = phrases.get(image_id)
            named = list(dict.fromkeys(self._names if listed is None else listed))
            laid = self._vocabulary.lay(named)
            self._tell([phrase for phrase, numbers in laid.items() if not numbers])
            status |= {(image_id, phrase): UNKNOWN for phrase in laid if not laid[phrase]}
            known = {phrase: numbers for phrase, numbers in laid.items() if numbers}
            kept, why = self._look(images.get(image_id), known)
            status |= {(image_id, phrase): why for phrase in known if why}
            found |= {(image_id, phrase): boxes for phrase, boxes in kept.items()}
            # Nobody asked for a class that is not there: it has no row.
            there = [phrase for phrase, boxes in kept.items() if len(boxes.scores)]
            wanted[image_id] = there if listed is None else named
        return detections_of(wanted, found, status, self.reference)

    @cached_property
    def _model(self) -> Model:
        return self._make()

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._model.classes)

    @property
    def _names(self) -> list[str]:
        return [name for name in self._vocabulary.classes if name]

    def _look(
        self, pixels: Pixels | None, known: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, Boxes], str]:
        """Boxes of each phrase, and why there are none of an image that cannot be looked at."""
        if not known:
            return {}, ""
        if pixels is None or pixels.size == 0:
            return {}, UNREADABLE
        try:
            seen = self._model.look(pixels)
        except BackendError:
            raise
        except Exception as error:  # whatever the library makes of this image
            log.error("one image failed alone and is left out: %s", error)
            return {}, f"failed: {type(error).__name__}: {error}"
        height, width = pixels.shape[:2]
        edges = np.array([width, height, width, height], np.float32)
        scores = np.stack([seen.scores[list(numbers)].max(axis=0) for numbers in known.values()])
        # A box without area, or that is no number, is none.
        boxes = np.clip(np.nan_to_num(seen.boxes), 0, edges).astype(np.float32)
        scores[:, ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)] = -1.0
        scores = np.nan_to_num(scores, nan=-1.0)
        best = np.sort(np.argsort(-scores.max(axis=0), kind="stable")[:_MOST])
        kept = select(
            scores[:, best], boxes[best], self._options.score_threshold, self._options.top_k
        )
        return dict(zip(known, kept, strict=True)), ""

    def _tell(self, unknown: Sequence[str]) -> None:
        """Name phrases that cannot be looked for, each once."""
        fresh = [phrase for phrase in unknown if phrase not in self._told]
        if not fresh:
            return
        self._told.update(fresh)
        named = []
        for phrase in fresh[:20]:
            near = self._vocabulary.near(phrase)
            named.append(f'"{phrase}" (it finds "{near}")' if near else f'"{phrase}"')
        more = f" and {len(fresh) - 20} more" if len(fresh) > 20 else ""
        log.warning(
            "%s: not looked for, as none of its %d classes means it: %s%s; a detector of any phrase"
            " is grounding-dino:IDEA-Research/grounding-dino-tiny",
            self.reference,
            len(self._names),
            ", ".join(named),
            more,
        )
