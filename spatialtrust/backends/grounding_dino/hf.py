"""GroundingDINO and MM-GroundingDINO: all phrases of an image in as few prompts as hold them.

A phrase's score for a box is the mean of its tokens' probabilities, as in the original's grounding
by token spans. Boxes of one phrase that overlap are one object; a phrase without a box above the
threshold is absent, and has one row that says so.

Source: Liu et al., Grounding DINO (arXiv 2303.05499); Zhao et al., MM-Grounding-DINO
(arXiv 2401.02361).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.ahead import ahead
from spatialtrust.backends.batching import Budget
from spatialtrust.backends.grounding_dino.deformable import lighten
from spatialtrust.backends.grounding_dino.phrases import PAD, Prompt, pack, tokenize
from spatialtrust.backends.grounding_dino.rows import detections_of
from spatialtrust.backends.grounding_dino.sight import Sight
from spatialtrust.backends.grounding_dino.suppression import Boxes, corners, select
from spatialtrust.backends.loading import (
    Checkpoint,
    device_of,
    dtype_of,
    load_image_processor,
    load_model,
    load_tokenizer,
    locate,
    memory_of,
)
from spatialtrust.backends.preparing import Prepared, Preparer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.tables import Detections

_CLASSES: Final = {
    "grounding-dino": "GroundingDinoForObjectDetection",
    "mm-grounding-dino": "MMGroundingDinoForObjectDetection",
}
_BYTES_PER_PIXEL: Final = 1200
"""Activations in float32: backbone, encoder levels and their attention to the text."""
_AT_ONCE: Final = 8
"""Rows that keep a GPU busy; with more, more images would wait to be prepared before a pass."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of a forward pass: a prompt put to an image.

    Attributes
    ----------
    shown: the prepared image.
    size: width and height of the image as it was given.
    """

    image_id: str
    prompt: Prompt
    shown: Prepared
    size: tuple[int, int]


class GroundingDino:
    """A ``Detector``; weights load at the first image."""

    needs_pixels = True

    def __init__(self, checkpoint: Checkpoint, reference: str, options: Options) -> None:
        self.reference = reference
        self.revision = checkpoint.revision
        self._checkpoint, self._options = checkpoint, options

    def detect(
        self, images: Mapping[str, Pixels], phrases: Mapping[str, Sequence[str]]
    ) -> Detections:
        """See ``Detector.detect``."""
        wanted = {image_id: list(dict.fromkeys(phrases[image_id])) for image_id in sorted(phrases)}
        ids, refused = tokenize(
            (phrase for asked in wanted.values() for phrase in asked),
            self._tokenizer,
            self._text_limit,
        )
        status: dict[tuple[str, str], str] = {}
        found: dict[tuple[str, str], Boxes] = {}
        jobs: list[Job] = []
        if ids:
            self._load()
        usable = {
            image_id: {phrase: ids[phrase] for phrase in asked if phrase in ids}
            for image_id, asked in wanted.items()
        }

        def prepare(image_id: str) -> list[Job] | str:
            if image_id not in images or images[image_id].size == 0:
                return "image_unreadable"
            try:
                return self._prepare(image_id, images[image_id], usable[image_id])
            except Exception as error:  # whatever PIL or NumPy make of a broken array
                return f"image_unreadable: {error}"

        count = self._preparer.preparers if ids else 0
        for image_id, made in zip(wanted, ahead(prepare, wanted, count, _AT_ONCE), strict=True):
            status |= {(image_id, p): refused[p] for p in wanted[image_id] if p in refused}
            if isinstance(made, str):
                among = wanted if made == "image_unreadable" else usable
                status |= {(image_id, phrase): made for phrase in among[image_id]}
                continue
            jobs += made
            if sum(map(self._cost, jobs)) >= self._budget.memory * self._waiting:
                self._run(jobs, found, status)
                jobs.clear()
        self._run(jobs, found, status)
        return detections_of(wanted, found, status, self.reference)

    def _load(self) -> None:
        """Load before the first batch: a fault in loading is not an image's."""
        _ = self._preparer, self._model

    def _prepare(
        self, image_id: str, pixels: Pixels, ids: Mapping[str, tuple[int, ...]]
    ) -> list[Job]:
        if not ids:
            return []
        shown = self._preparer.prepare(pixels)
        height, width = pixels.shape[:2]
        prompts = pack(ids, self._text_limit)
        return [Job(image_id, prompt, shown, (width, height)) for prompt in prompts]

    def _run(
        self,
        jobs: Sequence[Job],
        found: dict[tuple[str, str], Boxes],
        status: dict[tuple[str, str], str],
    ) -> None:
        """Batches of images of one size, or, where a launch costs more than padding, of any."""
        together: dict[Any, list[Job]] = defaultdict(list)
        for job in sorted(jobs, key=lambda job: job.shown.size):
            height, width = job.shown.size
            together[height > width if self._mixes_sizes else (height, width)].append(job)
        for members in together.values():

            def forward(places: list[int], members: list[Job] = members) -> None:
                batch = [members[place] for place in places]
                for job, scores, boxes in zip(batch, *self._forward(batch), strict=True):
                    chosen = self._choose(job, scores, boxes)
                    found.update(((job.image_id, p), kept) for p, kept in chosen.items())

            costs = [self._cost(job) for job in members]
            for place, why in self._budget.run(costs, forward).items():
                job = members[place]
                status.update(((job.image_id, phrase), why) for phrase in job.prompt.spans)

    def _forward(self, batch: Sequence[Job]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores (B, P, Q) of each phrase, and boxes (B, Q, 4), centre and extent in fractions.

        A row with fewer phrases than another has more scores than it needs.
        """
        import torch

        longest = max(len(job.prompt.tokens) for job in batch)
        ids = np.full((len(batch), longest), PAD, dtype=np.int64)
        for row, job in enumerate(batch):
            ids[row, : len(job.prompt.tokens)] = job.prompt.tokens
        tokens = torch.from_numpy(ids).to(self._device)
        first: dict[str, int] = {}
        for row, job in enumerate(batch):
            first.setdefault(job.image_id, row)
        with torch.inference_mode():
            order = {image_id: place for place, image_id in enumerate(first)}
            shown = [batch[row].shown for row in first.values()]
            images = [
                image
                for _, together in groupby(shown, key=lambda one: one.size)
                for image in self._preparer.gathered(list(together))
            ]
            values, mask = self._sight.look(images, [order[job.image_id] for job in batch])
            outputs = self._model(
                pixel_values=values,
                pixel_mask=mask,
                input_ids=tokens,
                attention_mask=(tokens != PAD).long(),
                token_type_ids=torch.zeros_like(tokens),
            )
            scores = phrase_scores(batch, outputs.logits)
            return scores.cpu().numpy(), outputs.pred_boxes.float().cpu().numpy()

    def _choose(
        self, job: Job, scores: NDArray[np.float32], boxes: NDArray[np.float32]
    ) -> dict[str, Boxes]:
        spans = job.prompt.spans
        kept = select(
            scores[: len(spans)],
            corners(boxes, *job.size),
            self._options.score_threshold,
            self._options.top_k,
        )
        return dict(zip(spans, kept, strict=True))

    def _cost(self, job: Job) -> float:
        """Bytes of activations that a row may take: at least its share of a pass."""
        activations = prod(job.shown.size) * _BYTES_PER_PIXEL * self._dtype.itemsize / 4
        return max(activations, self._budget.memory / _AT_ONCE)

    @property
    def _waiting(self) -> int:
        """Passes whose images wait for each other: those of one size are to meet."""
        return 1 if self._mixes_sizes else 4

    @cached_property
    def _budget(self) -> Budget:
        return Budget(memory_of(self._options, self._device))

    @cached_property
    def _device(self) -> torch.device:
        return device_of(self._options)

    @cached_property
    def _dtype(self) -> torch.dtype:
        return dtype_of(self._options, self._device)

    @cached_property
    def _model(self) -> Any:
        name = _CLASSES[self._checkpoint.model_type]
        model = load_model(self._checkpoint, name, self._device, self._dtype)
        lighten(model, self._device)
        return model

    @cached_property
    def _sight(self) -> Sight:
        """How the model sees: each image of a batch once, at its own size."""
        return Sight(self._model.model)

    @property
    def _mixes_sizes(self) -> bool:
        """Whether images of different sizes share a pass: on a GPU launches are what costs."""
        return self._device.type != "cpu" and self._sight.pads

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._checkpoint)

    @cached_property
    def _preparer(self) -> Preparer:
        return Preparer(load_image_processor(self._checkpoint), self._device, self._dtype)

    @property
    def _text_limit(self) -> int:
        return int(self._checkpoint.config.get("max_text_len", 256))


def phrase_scores(batch: Sequence[Job], logits: torch.Tensor) -> torch.Tensor:
    """Means of the probabilities of each phrase's tokens: float32 (B, P, Q) of logits (B, Q, L).

    They are taken in double: a GPU may round the factors of any other type.
    """
    import torch

    shares = np.zeros((len(batch), max(len(job.prompt.spans) for job in batch), logits.shape[2]))
    for row, job in enumerate(batch):
        for phrase, (start, stop) in enumerate(job.prompt.spans.values()):
            shares[row, phrase, start:stop] = 1 / (stop - start)
    probabilities = logits.double().sigmoid()
    return (torch.from_numpy(shares).to(logits.device) @ probabilities.mT).float()


def open_backend(target: str, reference: str, options: Options) -> GroundingDino:
    """Find the files of a GroundingDINO; see ``registry.py``."""
    return GroundingDino(locate(target, reference, tuple(_CLASSES)), reference, options)
