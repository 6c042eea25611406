"""The three-line Python API: an image in, a scene graph whose edges can be trusted out."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import InputError
from spatialtrust.graph.formats import parse
from spatialtrust.io.detections import boxes_held
from spatialtrust.io.images import held_pixels, list_images
from spatialtrust.io.names import plain_name
from spatialtrust.jobs.streaming import stream
from spatialtrust.run.batches import unnest
from spatialtrust.run.config import HELD, NO_ASKER, NO_DETECTOR, RunConfig, over
from spatialtrust.run.inputs import recorded_boxes
from spatialtrust.run.losses import losses
from spatialtrust.run.models import Models
from spatialtrust.run.parts import Source
from spatialtrust.run.plan import Job, asked_steps, execute, prepare, stages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spatialtrust.graph import SceneGraph
    from spatialtrust.jobs.frames import SteadyFrame

log: Final = logging.getLogger("spatialtrust")


class SpatialTrust:
    """A detector, a VLM and a trust model, kept loaded.

    It runs the stages of ``spatialtrust graph``, but keeps everything in memory instead of writing
    a run folder.

    Parameters
    ----------
    asker: backend reference of the VLM; None: the verifier proposes edges from boxes.
    detector: backend reference, or ``recorded:FILE``; None: pass boxes with each image.
    settings: any other option of :class:`spatialtrust.run.config.RunConfig`, such as
        ``min_confidence``, ``relations`` or ``model``.

    Raises
    ------
    InputError: an option is not known or not valid, or both ``min_confidence`` and ``accuracy``.
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
        self._models = Models(self.config)

    def __repr__(self) -> str:
        config = self.config
        return (
            f"SpatialTrust: detector {config.detector or 'none (give boxes)'}, asker "
            f"{config.asker}, trust model {config.trust_model}"
        )

    def graph(
        self, image: Any, objects: str | Sequence[str] = (), *, boxes: Any = None
    ) -> SceneGraph:
        """Build the scene graph of one image and repair contradictions.

        Parameters
        ----------
        image: file, PIL image, or uint8 array: (H, W, 3) RGB, (H, W, 4) RGBA, or (H, W) grey.
        objects: phrases to look for, ``["mug", "kettle"]`` or ``"mug. kettle."``; empty: those of
            the settings. With ``boxes`` only boxes of these phrases count, and none are needed.
        boxes: of this image, found elsewhere: ours, supervision's ``Detections``, COCO's or other
            dictionaries, a DataFrame, a file (:func:`spatialtrust.io.detections.boxes_held`). No
            detector is asked.

        Raises
        ------
        InputError: the image cannot be read, there is nothing to look for, or the boxes are in no
            known form.

        >>> import numpy as np
        >>> st = SpatialTrust()
        >>> graph = st.graph(np.zeros((90, 160, 3), dtype=np.uint8), boxes=[
        ...     {"label": "mug", "bbox_xyxy": [10, 40, 30, 60]},
        ...     {"label": "kettle", "bbox_xyxy": [90, 30, 130, 70]}])
        >>> [f"{edge.subject} {edge.relation} {edge.object}" for edge in graph.query("mug")]
        ['mug left of kettle']
        """
        if not isinstance(image, str | Path):
            with TemporaryDirectory() as folder:
                return self.graph(_saved(image, Path(folder)), objects, boxes=boxes)
        config, models = self._looking_for(objects), self._models
        batch = list_images([image])
        image_ids = batch["image_id"].to_pylist()
        if boxes is not None:
            found = boxes_held(boxes, image_ids[0], config.objects)
            config = replace(config, detector=HELD)
            models = models.with_boxes(config, found)
        elif not config.detector:
            raise InputError(f"{NO_DETECTOR}; or give the boxes: graph(image, boxes=...)")
        elif not config.objects:
            raise InputError('no objects were given; name what to look for: objects=["mug", ...]')
        if models.recorded is not None:
            laid = recorded_boxes(models.recorded, image_ids)
            batch = Source(batch, {"recorded": laid.rows}).batch(batch)
            for note in laid.notes if boxes is not None or not laid.rows.num_rows else ():
                log.warning("%s", note)
        for stage in stages_of(Job(config, None, models), asked_steps(config)):
            batch = stage(batch)
        for loss in losses([unnest(batch, "detections")]):
            log.warning("%s", loss)
        row = unnest(batch, "scenes").to_pylist()[0]
        if row["graph"] is None:
            raise InputError(f"{image}: {row['status']}")
        return parse(row["graph"], "json")

    def graphs(
        self, images: Iterable[str | Path], out: str | Path, objects: str | Sequence[str] = ()
    ) -> dict[str, Any]:
        """Build scene graphs of files and folders in a run folder; continues a stopped run.

        Returns
        -------
        Counts, as ``spatialtrust graph`` prints them.
        """
        config = self._looking_for(objects)
        if not config.detector:
            raise InputError(NO_DETECTOR)
        job = prepare(config, out, images, models=self._models)
        for note in job.notes:
            log.warning("%s", note)
        return execute(job)

    def stream(
        self, frames: Iterable[Any], objects: str | Sequence[str] = (), **steadiness: float
    ) -> Iterator[SteadyFrame]:
        """Yield a graph for every frame: objects keep their ids, and edges do not flicker.

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


def _saved(image: Any, folder: Path) -> Path:
    """The pixels as a file that is called as the image was, where it says so."""
    import cv2

    pixels = held_pixels(image)
    name = plain_name(Path(str(getattr(image, "filename", "") or "image.png")).name)
    path = folder / name
    _, content = cv2.imencode(".bmp", pixels[:, :, ::-1])  # the fastest; readers go by content
    path.write_bytes(content.tobytes())
    return path
