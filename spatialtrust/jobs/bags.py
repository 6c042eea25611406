"""Bags in, graphs out: what a bag holds, and the graph of every frame of its camera."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags.boxes import boxes_of, frame_of
from spatialtrust.bags.matching import Matching
from spatialtrust.bags.opening import open_bag
from spatialtrust.bags.pictures import depth_of, picture_of, size_of
from spatialtrust.bags.positions import matrix_of, positions_of
from spatialtrust.bags.reading import SECOND, Message, in_words
from spatialtrust.bags.records import record_of
from spatialtrust.bags.usable import only, require_use, uses_of
from spatialtrust.errors import InputError
from spatialtrust.jobs.bag_parts import Parts
from spatialtrust.jobs.frames import Frame
from spatialtrust.jobs.streaming import Stream
from spatialtrust.run.config import NO_ASKER, NO_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spatialtrust.bags.matching import Taken
    from spatialtrust.bags.reading import Bag
    from spatialtrust.bags.records import Record
    from spatialtrust.run.config import RunConfig
    from spatialtrust.run.models import Models

log: Final = logging.getLogger("spatialtrust")

_SHOWN: Final = 5
"""Pictures that cannot be read are named up to this number, and counted beyond."""


@dataclass(frozen=True, kw_only=True)
class BagSettings:
    """What is read of a bag, and how.

    Attributes
    ----------
    image: camera topic; None: the only one there is, or none where only boxes are looked at.
    detections: topic of ``vision_msgs/Detection2DArray``; None: the detector looks.
    depth, camera_info: topics, for positions in space.
    claims: JSON topic of claims and answers: ``{"stamp", "claims": [...]}``, rows as in a file.
    every, seconds: every n-th frame; at least so many seconds apart.
    start, end: seconds from the bag's beginning.
    tolerance: seconds between stamps of what belongs together.
    depth_unit: ``m`` or ``mm``, where the camera does not keep to REP 118.
    copy_images: whether used pictures go into the output too, so that Foxglove shows both.
    only_ros2: leave out the JSON channels.
    class_names: phrase of each class id, for detectors that give numbers (ROS 1).
    steadiness: options of :class:`spatialtrust.jobs.streaming.Stream`.
    """

    image: str | None = None
    detections: str | None = None
    depth: str | None = None
    camera_info: str | None = None
    claims: str | None = None
    every: int = 1
    seconds: float = 0.0
    start: float | None = None
    end: float | None = None
    tolerance: float = 0.02
    depth_unit: str | None = None
    copy_images: bool = True
    only_ros2: bool = False
    class_names: Mapping[str, str] = field(default_factory=dict)
    steadiness: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what can be checked before a bag is opened."""
        checks = (
            (self.every >= 1, "every", "1 or more"),
            (self.seconds >= 0, "seconds", "0 or more"),
            (self.tolerance >= 0, "tolerance", "0 or more seconds"),
            (self.depth_unit in (None, "m", "mm"), "depth_unit", "m or mm"),
        )
        for holds, name, valid in checks:
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)!r}; valid: {valid}")
        if self.start is not None and self.end is not None and not self.start <= self.end:
            raise InputError(f"start {self.start:g} lies behind end {self.end:g}")


def info(path: str | Path) -> dict[str, Any]:
    """What a bag holds, and what of it can be used.

    Raises
    ------
    FileError: it is no bag.
    """
    bag = open_bag(path)
    uses = uses_of(bag)
    notes = in_words(bag)
    topics = [
        {
            "topic": name,
            "type": topic.type,
            "encoding": topic.encoding,
            "messages": (count := bag.summary.counts.get(name, 0)),
            "rate_hz": round(count / bag.seconds, 3) if bag.seconds and count > 1 else None,
            **{key: value or None for key, value in uses[name].items()},
        }
        for name, topic in sorted(bag.topics.items())
    ]
    return {
        "bag": str(path),
        "form": bag.form,
        "indexed": bag.indexed,
        "start_ns": bag.summary.start,
        "end_ns": bag.summary.end,
        "seconds": round(bag.seconds, 3),
        "messages": sum(bag.summary.counts.values()),
        "lost": [lost._asdict() for lost in bag.lost],
        "notes": notes,
        "topics": topics,
    }


def graph_bag(
    path: str | Path,
    out: str | Path,
    settings: BagSettings,
    config: RunConfig,
    models: Models | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> dict[str, Any]:
    """The graph of every frame, into an MCAP file; goes on where an earlier run was stopped.

    Parameters
    ----------
    out: the file; it is there when all is done, and beside it a folder of parts until then.
    config: objects, relations, threshold, models.
    progress: called with 1 and the frame's name after each.

    Returns
    -------
    Counts of frames, objects, edges and events; what was lost and left out, by reason; notes.

    Raises
    ------
    InputError: a topic is missing or cannot be used, nothing finds objects, or no frame lies in
        the range.
    FileError: the bag cannot be read, or the output not be written.
    """
    bag = open_bag(path)
    job = _Job(bag, settings, config, models)
    for note in in_words(bag):
        log.warning("%s", note)
    facts = {"settings": asdict(settings), "config": config.to_dict(), "topics": job.topics()}
    parts = Parts.open(bag.path, out, facts, only_ros2=settings.only_ros2)
    job.restore(parts.state)
    try:
        number = _through(job, parts, progress)
    finally:
        parts.release()
    counts = dict(job.matching.counts)
    if not number:
        raise InputError(job.nothing())
    written = parts.finish()
    return {"out": str(out), **job.summary(number), "left_out": counts, "messages": written}


def _through(job: _Job, parts: Parts, progress: Callable[[int, str], None] | None) -> int:
    """All frames into parts; how many there are."""
    number = 0
    for found in job.matching.frames():
        done = number < parts.done
        if isinstance(found, Message):
            if not done:
                parts.copy(job.bag.topics[found.topic], found)
            continue
        number += 1
        if done:
            continue
        record = job.step(found, number - 1)
        if record is not None:
            if job.settings.copy_images and job.image is not None:
                parts.copy(job.bag.topics[job.image], found.raw)
            parts.record(record, found.log_time)
        if parts.full(number):
            parts.close(number, job.state())
        if progress is not None:
            progress(1, f"frame {number}")
    parts.close(number, job.state())
    return number


class _Job:
    """What happens to each frame."""

    def __init__(
        self, bag: Bag, settings: BagSettings, config: RunConfig, models: Models | None
    ) -> None:
        self.bag, self.settings, self.config = bag, settings, config
        self.image = settings.image
        if self.image is None and settings.detections is None:
            self.image = only(bag, "image", "--image")
            log.warning("%s: frames are those of %s, the only camera", bag.path, self.image)
        if settings.detections is None and not config.detector:
            raise InputError(
                f"{bag.path}: name the topic of detections with --detections, or a detector: "
                f"{NO_DETECTOR}"
            )
        named = (self.image, settings.detections, settings.depth, settings.camera_info)
        self.image, detections, depth, camera, claims = (
            None if name is None else bag.topic(name).name for name in (*named, settings.claims)
        )
        self.detections, self.depth, self.camera, self.claims = detections, depth, camera, claims
        for option, name, use in (
            ("--image", self.image, "image"),
            ("--detections", detections, "detections"),
            ("--depth", depth, "image"),
            ("--camera-info", camera, "camera info"),
            ("--claims", claims, "claims"),
        ):
            if name is not None:
                require_use(bag, name, use, option)
        if depth is not None and camera is None:
            raise InputError("positions need the camera's calibration; name its --camera-info")
        main = self.image if self.image is not None else str(detections)
        beside = tuple(n for n in (detections, depth, claims) if n is not None and n != main)
        first = bag.summary.start or 0
        tf = [name for name in ("/tf", "/tf_static") if name in bag.topics]
        passing = [*tf, *([camera] if camera and settings.copy_images else [])]
        if settings.only_ros2:
            passing = [name for name in passing if bag.topics[name].encoding == "cdr"]
        self.matching = Matching(
            bag,
            main,
            beside,
            lasting=() if camera is None else (camera,),
            passing=tuple(passing),
            every=settings.every,
            seconds=settings.seconds,
            start=None if settings.start is None else first + round(settings.start * SECOND),
            end=None if settings.end is None else first + round(settings.end * SECOND),
            tolerance=settings.tolerance,
        )
        self.stream = Stream(config, models, **settings.steadiness)  # type: ignore[arg-type]
        self.tally: Counter[str] = Counter()
        self._ids: dict[str, None] = {}
        self._warned = False

    def topics(self) -> dict[str, str | None]:
        """Which topics are used, by what they are used as."""
        return {
            "image": self.image,
            "detections": self.detections,
            "depth": self.depth,
            "camera_info": self.camera,
            "claims": self.claims,
        }

    def state(self) -> dict[str, Any]:
        """The whole memory, JSON-ready."""
        return {"stream": self.stream.to_dict(), "tally": dict(self.tally), "ids": list(self._ids)}

    def restore(self, stored: Mapping[str, Any] | None) -> None:
        """Inverse of :meth:`state`."""
        if stored is not None:
            self.stream.restore(stored["stream"])
            self.tally = Counter(stored["tally"])
            self._ids = dict.fromkeys(stored["ids"])

    def step(self, taken: Taken, number: int) -> Record | None:
        """The record of a frame; None where it cannot be used, which is counted."""
        try:
            frame = self._frame(taken, number)
        except InputError as error:
            self.tally["pictures that cannot be read"] += 1
            if self.tally["pictures that cannot be read"] <= _SHOWN:
                log.warning("frame %d: %s", number, error)
            return None
        if frame is None:
            return None
        steady = self.stream.step(frame)
        graph = steady.graph
        self._ids |= dict.fromkeys(str(name) for name in graph.objects.strings("object_id"))
        self.tally["used"] += 1
        self.tally["edges"] += int(graph.kept.sum())
        self.tally["events"] += len(steady.events)
        for reason, count in steady.dropped.items():
            self.tally[f"dropped: {reason}"] += count
        return record_of(
            graph,
            stamp=taken.stamp,
            index=steady.index,
            camera=frame_of(taken.message),
            events=steady.events,
            ended=steady.ended,
            dropped=steady.dropped,
            positions=self._positions(taken, frame, graph.objects.data),
        )

    def _frame(self, taken: Taken, number: int) -> Frame | None:
        config, beside = self.config, taken.beside
        boxes = None
        if self.detections is not None:
            source = taken.message if self.image is None else beside.get(self.detections)
            if source is None:
                self.tally["frames without detections"] += 1
                return None
            boxes = boxes_of(source, self.settings.class_names)
        pixels, size = None, self._size(taken)
        if self.image is not None and (boxes is None or config.asker != NO_ASKER):
            pixels = picture_of(taken.message)
        claims = None
        if self.claims is not None:
            said = beside.get(self.claims)
            claims = said.get("claims") if isinstance(said, dict) else None
            if not isinstance(claims, list) or not all(isinstance(row, dict) for row in claims):
                self.tally["frames without claims"] += 1
                claims = []
        name = f"{number:06d}"
        return Frame(pixels, taken.stamp / SECOND, boxes, claims, name, size)

    def _size(self, taken: Taken) -> tuple[int | None, int | None]:
        if self.image is not None:
            return size_of(taken.message)
        camera = taken.latest.get(self.camera) if self.camera is not None else None
        return (int(camera.width) or None, int(camera.height) or None) if camera else (None, None)

    def _positions(
        self, taken: Taken, frame: Frame, objects: Any
    ) -> dict[str, tuple[float, float, float]]:
        """Of the things that the frame shows; nothing where depth is missing or implausible."""
        if self.depth is None or self.camera is None:
            return {}
        message, camera = taken.beside.get(self.depth), taken.latest.get(self.camera)
        width, height = frame.size
        if message is None or camera is None or width is None or height is None:
            self.tally["frames without depth"] += 1
            return {}
        try:
            depth, matrix = depth_of(message, self.settings.depth_unit), matrix_of(camera)
        except InputError as error:
            self._warn(f"{self.depth}: {error}")
            self.tally["frames without depth"] += 1
            return {}
        if depth.odd:
            self._warn(f"{self.depth}: {depth.odd}; depth is left out where it is so")
            self.tally["frames with implausible depth"] += 1
            return {}
        boxes = {
            row["object_id"]: (row["x1"], row["y1"], row["x2"], row["y2"])
            for row in objects.to_pylist()
            if row["status"] == "ok"
        }
        return positions_of(boxes, (width, height), depth.metres, matrix)

    def _warn(self, text: str) -> None:
        if not self._warned:
            log.warning("%s", text)
        self._warned = True

    def nothing(self) -> str:
        """What to say where no frame was found."""
        counts = self.matching.counts
        main = self.matching.main
        told = "; ".join(f"{count} {reason}" for reason, count in counts.items())
        if told:
            return f"{self.bag.path}: no frame of {main} can be used: {told}"
        held = self.bag.summary.counts.get(main, 0)
        within = (
            "" if self.matching.start is None and self.matching.end is None else " in the range"
        )
        return (
            f"{self.bag.path}: {main} has no message{within}; of {held} in the bag, which runs for "
            f"{self.bag.seconds:.3f} s"
        )

    def summary(self, number: int) -> dict[str, Any]:
        """Counts, as the command prints them."""
        tally = self.tally
        used = tally["used"]
        rest = {k: v for k, v in tally.items() if k not in ("used", "edges", "events")}
        return {
            "topics": self.topics(),
            "frames": number,
            "used": used,
            "objects": len(self._ids),
            "edges_a_frame": round(tally["edges"] / used, 3) if used else None,
            "events": tally["events"],
            "not_used": rest,
            "decided_by": str(self.stream.rule),
            "lost": [lost._asdict() for lost in self.bag.lost],
        }
