"""A ROS 2 node: camera and detections in, steady scene graphs out.

python pipelines/ros2_node.py --ros-args -p image:=/camera/image_raw -p detections:=/detections

Parameters: ``image``, ``detections`` (empty: the detector looks), ``graph`` and ``graph_json``
(topics that are published: ``spatialtrust_msgs/SceneGraph``, where that package is built, and JSON
in ``std_msgs/String``), ``objects``, ``detector``, ``min_confidence``, ``tolerance``.

Pictures come with the sensors' quality of service: best effort, and a queue of one, so that a slow
frame makes the node drop pictures, never lag behind; what was dropped is counted. Imports cleanly
without ROS: only ``main`` needs it.
"""

from __future__ import annotations

import json
from typing import Any

from spatialtrust.bags.boxes import boxes_of, frame_of, stamp_of
from spatialtrust.bags.pictures import picture_of, size_of
from spatialtrust.bags.records import record_of
from spatialtrust.errors import InputError
from spatialtrust.jobs.frames import Frame
from spatialtrust.jobs.streaming import Stream
from spatialtrust.run.config import RunConfig

SECOND = 1_000_000_000
PARAMETERS = {
    "image": "/camera/image_raw",
    "detections": "/detections",
    "graph": "/spatialtrust/graph_msg",
    "graph_json": "/spatialtrust/graph",
    "objects": "",
    "detector": "",
    "min_confidence": 0.8,
    "tolerance": 0.05,
}


class GraphNode:
    """What the node does with messages; ROS is only handed in.

    Parameters
    ----------
    publish: called with a record (a dictionary, see ``spatialtrust.SceneGraph.json``).
    warn: called with what went wrong, in words.
    parameters: see ``PARAMETERS``.
    """

    def __init__(self, publish: Any, warn: Any, **parameters: Any) -> None:
        given = {**PARAMETERS, **parameters}
        objects = (given["objects"],) if given["objects"] else ()
        config = RunConfig(
            detector=given["detector"], objects=objects, min_confidence=given["min_confidence"]
        )
        self._stream = Stream(config)
        self._publish, self._warn = publish, warn
        self._own = bool(given["detector"])
        self._tolerance = round(given["tolerance"] * SECOND)
        self._image: tuple[int, Any] | None = None
        self._boxes: tuple[int, Any] | None = None
        self._last: int | None = None
        self.dropped = 0

    def on_image(self, message: Any) -> None:
        """Take a picture; one that still waits for its detections makes room for it."""
        stamp = stamp_of(message)
        if stamp is None:
            self._drop("a picture has no stamp")
            return
        if self._image is not None:
            self.dropped += 1
        self._image = (stamp, message)
        self._meet()

    def on_detections(self, message: Any) -> None:
        """Take the detections of a picture."""
        stamp = stamp_of(message)
        if stamp is not None:
            self._boxes = (stamp, message)
            self._meet()

    def _meet(self) -> None:
        """Go on where a picture and its detections are there."""
        if self._image is None:
            return
        stamp, image = self._image
        boxes = None
        if not self._own:
            if self._boxes is None or abs(self._boxes[0] - stamp) > self._tolerance:
                return
            boxes, self._boxes = self._boxes[1], None
        self._image = None
        if stamp == self._last:
            self._drop("two pictures have one stamp")
            return
        self._last = stamp
        try:
            self._publish(self._record(stamp, image, boxes))
        except InputError as error:
            self._drop(str(error))

    def _record(self, stamp: int, image: Any, boxes: Any) -> dict[str, Any]:
        pixels = picture_of(image) if self._own else None
        found = None if boxes is None else boxes_of(boxes)
        steady = self._stream.step(Frame(pixels, stamp / SECOND, found, size=size_of(image)))
        return record_of(
            steady.graph,
            stamp=stamp,
            index=steady.index,
            camera=frame_of(image),
            events=steady.events,
            ended=steady.ended,
            dropped=steady.dropped,
        )

    def _drop(self, why: str) -> None:
        self.dropped += 1
        self._warn(f"{why} ({self.dropped} dropped so far)")


def graph_message(record: dict[str, Any], messages: Any, header: Any) -> Any:
    """A record as ``spatialtrust_msgs/SceneGraph``, by the classes of that package."""
    plain = ("id", "phrase", "hidden")
    found = messages.SceneGraph(header=header, frame=record["frame"], rule=record["rule"])
    found.width, found.height = record["width"] or 0, record["height"] or 0
    found.ended = record["ended"]
    for thing in record["objects"]:
        sides = dict(zip(("x1", "y1", "x2", "y2"), thing["box"], strict=True))
        score = float("nan") if thing["score"] is None else thing["score"]
        values = {name: thing[name] for name in plain}
        found.objects.append(messages.SceneObject(**values, **sides, score=score))
    for row in record["relations"]:
        values = {k: row[k] for k in ("subject", "relation", "object", "decision", "edge")}
        numbers = {k: float("nan") if row[k] is None else row[k] for k in ("p_true", "confidence")}
        left_out, reasons = row["left_out"] or "", row["reasons"]
        found.relations.append(
            messages.SceneRelation(**values, **numbers, left_out=left_out, reasons=reasons)
        )
    found.events = [messages.RelationEvent(**event) for event in record["events"]]
    return found


def main() -> None:  # pragma: no cover - needs ROS
    """Run the node until it is stopped."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    rclpy.init()
    node = Node("spatialtrust")
    given = {name: node.declare_parameter(name, value).value for name, value in PARAMETERS.items()}
    sensor = QoSProfile(
        reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=1
    )
    texts = node.create_publisher(String, given["graph_json"], 10)
    try:
        import spatialtrust_msgs.msg as messages
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        graphs = node.create_publisher(messages.SceneGraph, given["graph"], 10)
    except ImportError:
        graphs = None
        node.get_logger().warning("spatialtrust_msgs is not built: JSON alone is published")

    def publish(record: dict[str, Any]) -> None:
        texts.publish(String(data=json.dumps(record)))
        if graphs is not None:
            stamp = Time(sec=record["stamp"]["sec"], nanosec=record["stamp"]["nsec"])
            header = Header(stamp=stamp, frame_id=record["frame_id"])
            graphs.publish(graph_message(record, messages, header))

    work = GraphNode(publish, node.get_logger().warning, **given)
    node.create_subscription(Image, given["image"], work.on_image, sensor)
    if not given["detector"]:
        from vision_msgs.msg import Detection2DArray

        node.create_subscription(Detection2DArray, given["detections"], work.on_detections, sensor)
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
