"""Graphs into MCAP: for Foxglove, for ROS 2 and for planners, in one file.

The same records give the same bytes, so a run that was stopped and resumed ends in the same file.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags import mcap_files
from spatialtrust.bags.foxglove import image_annotations, scene_update
from spatialtrust.bags.messages import (
    DETECTIONS,
    SCENE_GRAPH,
    definition_of,
    detections_message,
    graph_message,
)
from spatialtrust.bags.reading import Message, Topic, needs
from spatialtrust.documents import loads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from spatialtrust.bags.records import Record

PREFIX: Final = "/spatialtrust"
"""Where the topics that are written begin."""

GRAPH: Final = f"{PREFIX}/graph"
"""The planners' channel."""


@cache
def topics() -> dict[str, Topic]:
    """What can be written, by what it holds."""
    return {
        "annotations": _json_topic("annotations", "foxglove.ImageAnnotations"),
        "scene": _json_topic("scene", "foxglove.SceneUpdate"),
        "graph": _json_topic("graph", "spatialtrust.SceneGraph"),
        "detections": _ros_topic("detections", DETECTIONS),
        "relations": _ros_topic("relations", SCENE_GRAPH),
    }


def schema(name: str) -> dict[str, Any]:
    """A JSON schema that ships, by its title.

    >>> schema("foxglove.SceneUpdate")["title"]
    'foxglove.SceneUpdate'
    """
    found: dict[str, Any] = loads(_schema_text(name))
    return found


class GraphWriter:
    """Writes records, and messages of the bag that go with them.

    Parameters
    ----------
    stream: opened for writing.
    only_ros2: leave out the JSON channels, which readers that only know ROS 2 refuse.

    Raises
    ------
    MissingDependencyError: the package ``mcap`` is not installed.
    """

    def __init__(self, stream: BinaryIO, *, only_ros2: bool = False) -> None:
        try:
            from mcap.writer import Writer
        except ImportError as error:
            raise needs("mcap") from error
        self._only_ros2 = only_ros2
        self._writer = Writer(stream)
        self._writer.start(profile="ros2", library="spatialtrust")
        self._channels: dict[str, int] = {}
        self._schemas: dict[tuple[str, str, bytes], int] = {}

    def record(self, record: Record, log_time: int) -> None:
        """Write what is believed after a frame, on every topic."""
        known = topics()
        if not self._only_ros2:
            self.copy(known["annotations"], log_time, _json(image_annotations(record)))
            if any(thing["position"] is not None for thing in record["objects"]):
                self.copy(known["scene"], log_time, _json(scene_update(record)))
            self.copy(known["graph"], log_time, _json(record))
        self.copy(known["detections"], log_time, detections_message(record))
        self.copy(known["relations"], log_time, graph_message(record))

    def copy(self, topic: Topic, log_time: int, data: bytes) -> None:
        """Write a message as it is."""
        if topic.name not in self._channels:
            key = (topic.type, topic.language, topic.definition)
            if not topic.type:
                self._schemas[key] = 0
            elif key not in self._schemas:
                self._schemas[key] = self._writer.register_schema(
                    name=topic.type, encoding=topic.language, data=topic.definition
                )
            self._channels[topic.name] = self._writer.register_channel(
                topic=topic.name, message_encoding=topic.encoding, schema_id=self._schemas[key]
            )
        self._writer.add_message(
            channel_id=self._channels[topic.name],
            log_time=log_time,
            publish_time=log_time,
            data=data,
        )

    def finish(self) -> None:
        """Write the index; nothing can be written afterwards."""
        self._writer.finish()  # type: ignore[no-untyped-call]


def join(parts: Iterable[Path], stream: BinaryIO) -> int:
    """Write the messages of several MCAP files into one, in order; how many there were."""
    writer, count = GraphWriter(stream), 0
    for part in parts:
        known: dict[str, Topic] = {}
        for found in mcap_files.scan(part):
            if isinstance(found, Topic):
                known[found.name] = found
            elif isinstance(found, Message):
                writer.copy(known[found.topic], found.log_time, found.data)
                count += 1
    writer.finish()
    return count


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _json_topic(name: str, title: str) -> Topic:
    return Topic(f"{PREFIX}/{name}", title, "json", "jsonschema", _schema_text(title))


def _ros_topic(name: str, kind: str) -> Topic:
    return Topic(f"{PREFIX}/{name}", kind, "cdr", "ros2msg", definition_of(kind).encode())


def _schema_text(name: str) -> bytes:
    return (resources.files("spatialtrust.bags") / "schemas" / f"{name}.json").read_bytes()
