"""The three-line Python API: an image in, a scene graph whose edges can be trusted out."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import InputError
from spatialtrust.graph.formats import from_dict
from spatialtrust.io.images import list_images
from spatialtrust.jobs.streaming import stream
from spatialtrust.run.batches import unnest
from spatialtrust.run.config import NO_ASKER, NO_DETECTOR, RunConfig, over
from spatialtrust.run.inputs import recorded_boxes
from spatialtrust.run.losses import losses
from spatialtrust.run.models import Models
from spatialtrust.run.parts import Source
from spatialtrust.run.plan import Job, asked_steps, execute, prepare, stages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from spatialtrust.graph import SceneGraph
    from spatialtrust.jobs.frames import SteadyFrame

log: Final = logging.getLogger("spatialtrust")


class SpatialTrust:
    """A detector, a VLM and a trust model, kept loaded.

    The stages are those of ``spatialtrust graph``; what is written to a run folder there stays in
    memory here.

    Parameters
    ----------
    asker: backend reference of the VLM; None: the verifier itself proposes edges from boxes.
    detector: backend reference, or ``recorded:FILE``; without one it is an error.
    settings: any other option of :class:`spatialtrust.run.config.RunConfig`, such as
        ``min_confidence``, ``relations`` or ``model``.

    Raises
    ------
    InputError: an option is not known or not valid, no detector is given, or both
        ``min_confidence`` and ``accuracy``.
    BackendError: a model cannot be loaded (at the first image).

    >>> st = SpatialTrust(detector="tabletop:grounding-dino", min_confidence=0.9)
    >>> st.config.min_confidence
    0.9
    """

    def __init__(
        self,
        asker: str | None = None,
        detector: str | None = None,
        **settings: Any,
    ) -> None:
        models = {"asker": asker or NO_ASKER, "detector": detector or ""}
        self.config = RunConfig.from_dict(over(models, settings, "settings"))
        if not self.config.detector:
            raise InputError(NO_DETECTOR)
        self._models = Models(self.config)

    def graph(
        self, image: str | Path | NDArray[np.uint8], objects: str | Sequence[str] = ()
    ) -> SceneGraph:
        """The scene graph of one image, contradictions repaired.

        Parameters
        ----------
        image: file, or uint8 (H, W, 3) RGB array.
        objects: phrases to look for, ``["mug", "kettle"]`` or ``"mug. kettle."``; empty: those of
            the settings.

        Raises
        ------
        InputError: the image cannot be read, or there is nothing to look for.
        """
        if not isinstance(image, str | Path):
            with TemporaryDirectory() as folder:
                return self.graph(_saved(image, Path(folder)), objects)
        config = self._looking_for(objects)
        if not config.objects:
            raise InputError('no objects were given; name what to look for: objects=["mug", ...]')
        batch = list_images([image])
        if self._models.recorded is not None:
            laid = recorded_boxes(self._models.recorded, batch["image_id"].to_pylist())
            batch = Source(batch, {"recorded": laid.rows}).batch(batch)
            for note in laid.notes if not laid.rows.num_rows else ():
                log.warning("%s", note)
        for stage in stages_of(Job(config, None, self._models), asked_steps(config)):
            batch = stage(batch)
        for loss in losses([unnest(batch, "detections")]):
            log.warning("%s", loss)
        row = unnest(batch, "scenes").to_pylist()[0]
        if row["graph"] is None:
            raise InputError(f"{image}: {row['status']}")
        return from_dict(json.loads(row["graph"]))

    def graphs(
        self, images: Iterable[str | Path], out: str | Path, objects: str | Sequence[str] = ()
    ) -> dict[str, Any]:
        """Scene graphs of files and folders into a run folder; resumes what was stopped.

        Returns
        -------
        Counts, as ``spatialtrust graph`` prints them.
        """
        config = self._looking_for(objects)
        job = prepare(config, out, images, models=self._models)
        for note in job.notes:
            log.warning("%s", note)
        return execute(job)

    def stream(
        self, frames: Iterable[Any], objects: str | Sequence[str] = (), **steadiness: float
    ) -> Iterator[SteadyFrame]:
        """A graph for every frame: objects keep their ids, and edges do not flicker.

        Parameters
        ----------
        frames: :class:`spatialtrust.jobs.frames.Frame`, RGB arrays, files, or pairs of stamp in
            seconds and image.
        steadiness: options of :class:`spatialtrust.jobs.streaming.Stream`.

        Raises
        ------
        InputError, GuaranteeError: see :class:`spatialtrust.jobs.streaming.Stream`.
        """
        return stream(frames, self._looking_for(objects), self._models, steadiness)

    def _looking_for(self, objects: str | Sequence[str]) -> RunConfig:
        if not objects:
            return self.config
        return replace(self.config, objects=(objects,) if isinstance(objects, str) else (*objects,))


def _saved(image: NDArray[np.uint8], folder: Path) -> Path:
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype.name != "uint8":
        raise InputError(
            f"image is {image.dtype.name} {image.shape}; give uint8 (height, width, 3) RGB"
        )
    path = folder / "image.png"
    Image.fromarray(image).save(path)
    return path
