"""Records as ROS 2 messages: those of ``vision_msgs``, and the graph as ``spatialtrust_msgs``."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.bags.decoding import stock

if TYPE_CHECKING:
    from spatialtrust.bags.records import Record

DETECTIONS: Final = "vision_msgs/msg/Detection2DArray"
SCENE_GRAPH: Final = "spatialtrust_msgs/msg/SceneGraph"


@cache
def definition_of(kind: str) -> str:
    """A type's definition with those it uses, as ROS 2 bags embed it."""
    text: str = stock().generate_msgdef(kind, ros_version=2)[0]
    return text


def detections_message(record: Record) -> bytes:
    """The things that a frame shows, as CDR of a ``vision_msgs/Detection2DArray``."""
    header = _header(record)
    found = [
        _made(
            "vision_msgs/msg/Detection2D",
            header=header,
            results=[
                _made(
                    "vision_msgs/msg/ObjectHypothesisWithPose",
                    hypothesis=_made(
                        "vision_msgs/msg/ObjectHypothesis",
                        class_id=thing["phrase"],
                        score=math.nan if thing["score"] is None else thing["score"],
                    ),
                    pose=_pose(thing["position"]),
                )
            ],
            bbox=_box(*thing["box"]),
            id=thing["id"],
        )
        for thing in record["objects"]
        if not thing["hidden"]
    ]
    return _written(DETECTIONS, header=header, detections=found)


def graph_message(record: Record) -> bytes:
    """A record as CDR of a ``spatialtrust_msgs/SceneGraph``."""
    objects = [
        _made(
            "spatialtrust_msgs/msg/SceneObject",
            id=thing["id"],
            phrase=thing["phrase"],
            **dict(zip(("x1", "y1", "x2", "y2"), thing["box"], strict=True)),
            score=math.nan if thing["score"] is None else thing["score"],
            hidden=thing["hidden"],
            has_position=thing["position"] is not None,
            position=_point(thing["position"]),
        )
        for thing in record["objects"]
    ]
    relations = [
        _made(
            "spatialtrust_msgs/msg/SceneRelation",
            **{name: row[name] for name in ("subject", "relation", "object", "decision", "edge")},
            **{
                name: math.nan if row[name] is None else row[name]
                for name in ("p_true", "confidence")
            },
            left_out=row["left_out"] or "",
            reasons=row["reasons"],
        )
        for row in record["relations"]
    ]
    events = [_made("spatialtrust_msgs/msg/RelationEvent", **event) for event in record["events"]]
    return _written(
        SCENE_GRAPH,
        header=_header(record),
        frame=record["frame"],
        width=record["width"] or 0,
        height=record["height"] or 0,
        objects=objects,
        relations=relations,
        events=events,
        ended=record["ended"],
        rule=record["rule"],
    )


def _made(type_name: str, **values: Any) -> Any:
    return stock().types[type_name](**values)


def _written(type_name: str, **values: Any) -> bytes:
    return bytes(stock().serialize_cdr(_made(type_name, **values), type_name))


def _header(record: Record) -> Any:
    stamp = _made(
        "builtin_interfaces/msg/Time",
        sec=record["stamp"]["sec"],
        nanosec=record["stamp"]["nsec"],
    )
    return _made("std_msgs/msg/Header", stamp=stamp, frame_id=record["frame_id"])


def _box(x1: float, y1: float, x2: float, y2: float) -> Any:
    point = _made("vision_msgs/msg/Point2D", x=(x1 + x2) / 2, y=(y1 + y2) / 2)
    centre = _made("vision_msgs/msg/Pose2D", position=point, theta=0.0)
    return _made("vision_msgs/msg/BoundingBox2D", center=centre, size_x=x2 - x1, size_y=y2 - y1)


def _point(place: Any) -> Any:
    x, y, z = place or (0.0, 0.0, 0.0)
    return _made("geometry_msgs/msg/Point", x=x, y=y, z=z)


def _pose(place: Any) -> Any:
    turn = _made("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    pose = _made("geometry_msgs/msg/Pose", position=_point(place), orientation=turn)
    return _made("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))
