"""The stages that look at images: headers, boxes, claims about them, and what a VLM says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.backends.asking import ask_for
from spatialtrust.backends.base import Options
from spatialtrust.backends.recorded import keep_phrases
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.claims.enumeration import DEFAULT_RELATIONS, MAX_OBJECTS, enumerate_claims
from spatialtrust.io.images import read_headers, read_orientation
from spatialtrust.io.matching import resolve, without_boxes
from spatialtrust.questions.signals import ANSWER
from spatialtrust.run.batches import attach, detach, unnest
from spatialtrust.run.config import RECORDED
from spatialtrust.run.stages.base import grounding_of, loaded, pixels_of, without_model
from spatialtrust.tables import Claims, Detections

if TYPE_CHECKING:
    from spatialtrust.backends.base import Asker, Detector

log: Final = logging.getLogger("spatialtrust")

UNREADABLE: Final = "image_unreadable"
"""Status of a box on an image that cannot be read."""


@dataclass
class ReadImages:
    """Size, hash and status of each image; the batch has ``image_id`` and ``uri``."""

    writes: ClassVar[str] = "images"
    reads: ClassVar[tuple[str, ...]] = ()
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ()
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """Nothing can be set."""
        return {}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Replace the listed images by the images table, and keep what else the batch has."""
        headers = read_headers(batch)
        for name in batch.column_names:
            if name not in headers.column_names:
                headers = headers.append_column(name, batch[name])
        return headers


@dataclass
class Detect:
    """Boxes: from a detector, or those the engine joined to the batch as ``recorded``.

    Attributes
    ----------
    detector: reference, or what the recorded boxes are called.
    objects: phrases to look for; empty: those of the user's claims, or all that were recorded.
    options: how a live model runs.
    """

    detector: str
    revision: str | None = None
    objects: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    gpus: float = 0

    writes: ClassVar[str] = "detections"
    reads: ClassVar[tuple[str, ...]] = ("images",)
    costly: ClassVar[bool] = True
    may_read: ClassVar[tuple[str, ...]] = ()

    @property
    def loads_model(self) -> bool:
        """Recorded outputs need none."""
        return not self.detector.startswith(RECORDED)

    def settings(self) -> dict[str, Any]:
        """Detector, its revision and the phrases."""
        return {
            "detector": self.detector,
            "revision": self.revision,
            "objects": list(self.objects),
            **(self.options.settings() if self.loads_model else {}),
        }

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the detections; an image that cannot be decoded gets its status here."""
        phrases = self._phrases(batch)
        if "recorded" in batch.column_names:
            found = keep_phrases(_recorded(batch, self.detector), phrases, self.detector)
            return attach(batch, self.writes, found)
        pixels, batch = pixels_of(batch, needed=self._backend.needs_pixels)
        return attach(batch, self.writes, self._backend.detect(pixels, phrases))

    @property
    def _backend(self) -> Detector:
        backend: Detector = loaded(self, lambda: open_detector(self.detector, self.options))
        return backend

    def _phrases(self, batch: pa.Table) -> dict[str, tuple[str, ...]]:
        if self.objects:
            readable = batch.filter(pc.equal(batch["status"], "ok"))
            return dict.fromkeys(readable["image_id"].to_pylist(), self.objects)
        if "given_claims" not in batch.column_names:
            return {}
        wanted: dict[str, dict[str, None]] = {}
        for row in unnest(batch, "given_claims").to_pylist():
            for side in ("subject", "object"):
                if row[side] is not None:
                    wanted.setdefault(row["image_id"], {})[row[side]] = None
        return {image_id: tuple(listed) for image_id, listed in wanted.items()}

    def __getstate__(self) -> dict[str, Any]:
        return without_model(self)


@dataclass
class MakeClaims:
    """Claims: the user's, joined to the batch as ``given_claims``, or all pairs of objects.

    Attributes
    ----------
    relations, pairs, max_objects: see :func:`spatialtrust.claims.enumeration.enumerate_claims`.
    given: hash of the user's claims; None: pairs are enumerated.
    """

    relations: tuple[str, ...] = DEFAULT_RELATIONS
    pairs: tuple[tuple[str, str], ...] = ()
    max_objects: int = MAX_OBJECTS
    given: str | None = None

    writes: ClassVar[str] = "claims"
    reads: ClassVar[tuple[str, ...]] = ("images", "detections")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ()
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """Relations, pairs and the cap."""
        return {
            "relations": list(self.relations),
            "pairs": [list(pair) for pair in self.pairs],
            "max_objects": self.max_objects,
            "given": self.given,
        }

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the claims."""
        if "given_claims" in batch.column_names:
            return attach(batch, self.writes, detach(batch, "given_claims", Claims))
        made = enumerate_claims(
            detach(batch, "detections", Detections),
            relations=self.relations,
            pairs=self.pairs or None,
            max_objects=self.max_objects,
        )
        for row in made.crowded.to_pylist():
            log.warning(
                "%s: %d objects, %d of them are paired (max_objects); the others are nodes "
                "without edges",
                row["image_id"],
                row["found"],
                row["paired"],
            )
        return attach(batch, self.writes, made.claims)


@dataclass
class Ask:
    """What a VLM says of each claim: its answer, and what else ``signals.ASKED`` lists."""

    asker: str
    revision: str | None = None
    signals: tuple[str, ...] = (ANSWER,)
    options: Options = field(default_factory=Options)
    gpus: float = 0

    writes: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("images", "detections", "claims")
    costly: ClassVar[bool] = True
    may_read: ClassVar[tuple[str, ...]] = ()

    @property
    def loads_model(self) -> bool:
        """Recorded outputs need none."""
        return not self.asker.startswith(RECORDED)

    def settings(self) -> dict[str, Any]:
        """Asker, its revision and the signals."""
        return {
            "asker": self.asker,
            "revision": self.revision,
            "signals": sorted(self.signals),
            **(self.options.settings() if self.loads_model else {}),
        }

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the answers."""
        backend: Asker = loaded(self, lambda: open_asker(self.asker, self.options))
        claims = detach(batch, "claims", Claims)
        pixels, batch = pixels_of(batch, needed=backend.needs_pixels)
        answers = ask_for(self.signals, backend, pixels, claims, grounding_of(batch, claims))
        return attach(batch, self.writes, answers)

    def __getstate__(self) -> dict[str, Any]:
        return without_model(self)


def _recorded(batch: pa.Table, model: str) -> Detections:
    """The recorded boxes of a batch; those of an image that cannot be read lose their corners."""
    listed = batch.select(["image_id", "uri", "width", "height", "status"]).to_pylist()
    sizes = {row["image_id"]: (row["width"], row["height"]) for row in listed}
    uris = {row["image_id"]: row["uri"] for row in listed}
    boxes = unnest(batch, "recorded").drop_columns("image_id")
    found = resolve(
        boxes, sizes, model, orientation_of=lambda image_id: read_orientation(uris[image_id])
    )
    unreadable = pa.array([row["image_id"] for row in listed if row["status"] != "ok"], pa.string())
    lost = pc.is_in(found.column("image_id"), value_set=unreadable)
    return without_boxes(found, np.asarray(lost.to_numpy(), dtype=np.bool_), UNREADABLE)
