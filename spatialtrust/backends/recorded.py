"""Outputs of any model, from any place, replayed: ``recorded:answers.parquet``.

Nothing is computed, so no image needs to exist. What was not recorded has a row that says so.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import by_kind
from spatialtrust.io.answers import check_kind, read_answers
from spatialtrust.io.detections import read_detections
from spatialtrust.io.matching import match_names, resolve, with_sizes
from spatialtrust.io.names import plain_column, plain_name
from spatialtrust.tables import Answers, Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.io.answers import RecordedAnswers
    from spatialtrust.io.detections import Recorded
    from spatialtrust.tables import Claims, Grounding

log: Final = logging.getLogger("spatialtrust")

NOT_RECORDED: Final = "not_recorded"
NOT_FOUND: Final = "not_found"


@dataclass
class RecordedDetector:
    """Boxes from a file, see :mod:`spatialtrust.io.detections`.

    Attributes
    ----------
    path: file or folder; read at the first call.
    reference: what it was opened by.
    """

    path: Path
    reference: str
    needs_pixels: bool = False

    @property
    def revision(self) -> str | None:
        """Hash of the file's bytes; None for a folder."""
        return file_revision(self.path)

    @cached_property
    def _recorded(self) -> Recorded:
        return read_detections(self.path)

    def detect(
        self, images: Mapping[str, Pixels], phrases: Mapping[str, Sequence[str]]
    ) -> Detections:
        """The recorded boxes; of an image that ``phrases`` does not have, all of them.

        An array of shape (H, W, 0) stands for an image whose pixels are not needed; its size is
        what boxes in fractions are scaled by.
        """
        recorded = self._recorded
        matching = match_names(recorded.names, images)
        sizes = {
            image_id: (pixels.shape[1], pixels.shape[0]) if pixels.shape[0] else (None, None)
            for image_id, pixels in images.items()
        }
        boxes = with_sizes(recorded.boxes, recorded.sizes)
        found = resolve(boxes, sizes, self.reference, matching.image_of)
        return keep_phrases(found, phrases, self.reference)


@dataclass
class RecordedAsker:
    """Answers from a file or a folder of parts, see :mod:`spatialtrust.io.answers`.

    Attributes
    ----------
    path: read at the first call.
    reference: what it was opened by; written as ``model`` where nothing was recorded.
    """

    path: Path
    reference: str
    needs_pixels: bool = False
    states_confidence: ClassVar[bool] = True

    @property
    def revision(self) -> str | None:
        """Hash of the file, or of all files of the folder with their names."""
        return revision_of(self.path)

    @cached_property
    def _recorded(self) -> RecordedAnswers:
        found = read_answers(self.path, self.reference)
        for note in (*found.notes, *by_kind(found.faults)):
            log.warning("%s", note)
        return found

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
        """The recorded rows of these claims, views, forms and prompts, under the recorded model."""
        found = self._recorded.of(claims).data
        for name, values in (("view", views), ("form", forms), ("prompt_id", prompts)):
            found = found.filter(pc.is_in(found[name], value_set=pa.array(list(values))))
        asked = claims.column("claim_id")
        lost = asked.filter(
            pc.invert(pc.is_in(asked, value_set=found["claim_id"].combine_chunks()))
        )
        missing = Answers.from_columns(
            {
                "claim_id": lost,
                "model": pa.repeat(self._model(), len(lost)),
                "view": pa.repeat(views[0], len(lost)),
                "form": pa.repeat(forms[0], len(lost)),
                "prompt_id": pa.repeat(prompts[0], len(lost)),
                "status": pa.repeat(NOT_RECORDED, len(lost)),
            }
        )
        return Answers.concat([Answers(found), missing]).sorted()

    def _model(self) -> str:
        """Whose answers are missing: the one model that was recorded, or the whole record."""
        models = pc.unique(self._recorded.answers.column("model")).to_pylist()
        return models[0] if len(models) == 1 else self.reference


def open_detector(target: str, reference: str, options: Options) -> RecordedDetector:
    """What the registry calls for ``recorded:`` as a detector."""
    return RecordedDetector(Path(target), reference)


def open_asker(target: str, reference: str, options: Options) -> RecordedAsker:
    """What the registry calls for ``recorded:`` as an asker."""
    check_kind(Path(target))
    return RecordedAsker(Path(target), reference)


def keep_phrases(
    found: Detections, phrases: Mapping[str, Sequence[str]], reference: str
) -> Detections:
    """The boxes that were asked for, and a row without a box for each phrase that has none.

    Phrases match without regard to case and Unicode form. Images that ``phrases`` does not have
    keep everything.
    """
    asked = {
        image_id: dict.fromkeys(plain_name(phrase) for phrase in listed)
        for image_id, listed in phrases.items()
    }
    pairs = {(image_id, phrase.lower()) for image_id, listed in asked.items() for phrase in listed}
    labels = pc.utf8_lower(plain_column(found.column("phrase"))).to_pylist()
    keys = list(zip(found.strings("image_id"), labels, strict=True))
    known = set(keys)
    wanted = np.array([key in pairs or key[0] not in phrases for key in keys], dtype=np.bool_)
    missing = [
        {
            "image_id": image_id,
            "object_id": f"{phrase}#0",
            "phrase": phrase,
            "rank": 0,
            "model": reference,
            "status": NOT_FOUND,
        }
        for image_id, listed in asked.items()
        for phrase in listed
        if (image_id, phrase.lower()) not in known
    ]
    return Detections.concat([found.select(wanted), Detections.from_rows(missing)]).sorted()


def file_revision(path: Path) -> str | None:
    """SHA-256 of a file; None for a folder or where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def revision_of(path: Path) -> str | None:
    """Hash of a file, or of all files of a folder with their names."""
    if not path.is_dir():
        return file_revision(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()} {file_revision(file)}\n".encode())
    return digest.hexdigest()
