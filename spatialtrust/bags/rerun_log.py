"""A graph bag as a rerun recording: pictures, boxes, and the graph with relations as nodes.

Edges of rerun's graphs carry no label, so a relation is a node of its own between its two things,
with its confidence in the label and in its colour.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags.decoding import decoder_of
from spatialtrust.bags.foxglove import colour_of
from spatialtrust.bags.pictures import picture_of
from spatialtrust.bags.records import stamp_in
from spatialtrust.bags.usable import USES
from spatialtrust.bags.writing import GRAPH, PREFIX
from spatialtrust.documents import loads
from spatialtrust.errors import FileError, InputError, MissingDependencyError
from spatialtrust.files import first_line, replacing

if TYPE_CHECKING:
    from pathlib import Path

    from spatialtrust.bags.reading import Bag

QUALITY: Final = 85
"""Of the JPEG that pictures are stored as."""


def write_recording(bag: Bag, path: Path) -> int:
    """Write a rerun recording of a graph bag; how many frames it has.

    Raises
    ------
    MissingDependencyError: the package ``rerun-sdk`` is not installed.
    InputError: the bag has no channel of graphs.
    FileError: the file cannot be written.
    """
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError("rerun-sdk", "rerun", "--rrd") from error

    bag.topic(GRAPH)
    cameras = {
        name: decoder_of(topic).read
        for name, topic in bag.topics.items()
        if USES.get(topic.type) == "image" and not name.startswith(PREFIX)
    }
    count = 0
    try:
        with replacing(path) as unfinished:
            recording = rerun.RecordingStream("spatialtrust", recording_id=path.name)
            recording.save(str(unfinished))
            for message in bag.messages([GRAPH, *cameras]):
                if message.topic in cameras:
                    _picture(rerun, recording, cameras[message.topic], message.data)
                    continue
                _frame(rerun, recording, loads(message.data))
                count += 1
            recording.flush()
            recording.disconnect()
    except OSError as error:
        raise FileError(path, f"cannot be written ({first_line(error)})") from error
    return count


def _picture(rerun: Any, recording: Any, read: Any, data: bytes) -> None:
    from spatialtrust.bags.boxes import stamp_of

    try:
        message = read(data)
        pixels = picture_of(message)
    except InputError:
        return
    if (stamp := stamp_of(message)) is not None:
        recording.set_time("camera", timestamp=stamp / 1e9)
    recording.log("camera", rerun.Image(pixels).compress(jpeg_quality=QUALITY))


def _frame(rerun: Any, recording: Any, record: dict[str, Any]) -> None:
    """Boxes on the picture, and the graph."""
    recording.set_time("camera", timestamp=stamp_in(record) / 1e9)
    things = record["objects"]
    colours = [_bytes(colour_of(thing["id"])) for thing in things]
    labels = [f"{t['id']} (hidden)" if t["hidden"] else t["id"] for t in things]
    boxes = rerun.Boxes2D(
        array=[thing["box"] for thing in things],
        array_format=rerun.Box2DFormat.XYXY,
        labels=labels,
        colors=colours,
    )
    recording.log("camera/objects", boxes)
    edges = [row for row in record["relations"] if row["edge"]]
    names = [f"{row['subject']} {row['relation']} {row['object']}" for row in edges]
    recording.log(
        "graph",
        rerun.GraphNodes(
            [*(thing["id"] for thing in things), *names],
            labels=[*labels, *(f"{row['relation']} {row['p_true']:.2f}" for row in edges)],
            colors=[*colours, *(_sure(row["p_true"]) for row in edges)],
        ),
        rerun.GraphEdges(
            [
                pair
                for row, name in zip(edges, names, strict=True)
                for pair in ((row["subject"], name), (name, row["object"]))
            ],
            graph_type="directed",
        ),
    )
    for event in record["events"]:
        text = f"{event['kind']}: {event['subject']} {event['relation']} {event['object']}"
        recording.log("events", rerun.TextLog(f"{text} ({event['why']})"))


def _sure(p_true: float) -> list[int]:
    """Red at even odds, green where it is sure."""
    red, green, blue = colorsys.hsv_to_rgb(max(0.0, 2 * p_true - 1) / 3, 0.8, 0.9)
    return [round(255 * red), round(255 * green), round(255 * blue), 255]


def _bytes(colour: dict[str, float]) -> list[int]:
    return [round(255 * colour[name]) for name in "rgba"]
