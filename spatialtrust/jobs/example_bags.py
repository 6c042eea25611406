"""The bags of a drive: ROS 2 (MCAP or sqlite3) and ROS 1, written without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.bags.decoding import stock
from spatialtrust.bags.messages import definition_of
from spatialtrust.bags.reading import SECOND, Topic, needs
from spatialtrust.bags.writing import GraphWriter
from spatialtrust.errors import FileError, InputError
from spatialtrust.files import replacing
from spatialtrust.jobs.moving_camera import (
    BOXES,
    CAMERA,
    DEPTH,
    IMAGE,
    Drive,
    camera_matrix,
    picture,
    scene_of,
    views,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spatialtrust.jobs.moving_camera import View

FORMS: Final = ("mcap", "sqlite3", "ros1")
"""What can be written."""

FRAME: Final = "camera_optical"
"""Coordinate frame of the example's camera."""

_TYPES: Final = {
    IMAGE: "sensor_msgs/msg/Image",
    DEPTH: "sensor_msgs/msg/Image",
    CAMERA: "sensor_msgs/msg/CameraInfo",
    BOXES: "vision_msgs/msg/Detection2DArray",
}

_LATENCY: Final = SECOND // 50
"""By which the detector's messages are recorded after the picture."""

_ROS1_VISION: Final = {
    "BoundingBox2D": "geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "ObjectHypothesisWithPose": (
        "int64 id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nsensor_msgs/Image source_img\n"
    ),
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
}
"""vision_msgs as ROS 1 has it: classes are numbers."""


def write_bag(path: str | Path, drive: Drive | None = None, form: str = "mcap") -> Path:
    """Write the bag of a drive: camera, depth, calibration and detections.

    Parameters
    ----------
    path: file; for ``sqlite3`` the folder of a ROS 2 bag, which must not exist.
    form: one of ``FORMS``. In a ROS 1 bag classes are numbers, as its vision_msgs has them; their
        names are written beside it, to ``PATH.names``.

    Raises
    ------
    InputError: the form is not known.
    FileError: the folder exists, or cannot be written.
    """
    given, target = Drive() if drive is None else drive, Path(path)
    if form not in FORMS:
        raise InputError(f'form "{form}" is not known; valid: {", ".join(FORMS)}')
    if form == "mcap":
        known = {
            name: Topic(name, kind, "cdr", "ros2msg", definition_of(kind).encode())
            for name, kind in _TYPES.items()
        }
        with replacing(target) as unfinished, unfinished.open("wb") as stream:
            writer = GraphWriter(stream)
            for name, log_time, message in _messages(given, _Ros2()):
                data = bytes(stock().serialize_cdr(message, _TYPES[name]))
                writer.copy(known[name], log_time, data)
            writer.finish()
    elif form == "sqlite3":
        _sqlite3(target, given)
    else:
        _ros1(target, given)
    return target


def _sqlite3(path: Path, drive: Drive) -> None:
    try:
        from rosbags.rosbag2 import Writer
        from rosbags.rosbag2.enums import StoragePlugin
    except ImportError as error:
        raise needs("rosbags") from error
    if path.exists():
        raise FileError(path, "exists", "name a folder that does not")
    path.parent.mkdir(parents=True, exist_ok=True)
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {
            name: writer.add_connection(name, kind, typestore=stock())
            for name, kind in _TYPES.items()
        }
        for name, log_time, message in _messages(drive, _Ros2()):
            data = stock().serialize_cdr(message, _TYPES[name])
            writer.write(connections[name], log_time, data)


def _ros1(path: Path, drive: Drive) -> None:
    try:
        from rosbags.rosbag1 import Writer
    except ImportError as error:
        raise needs("rosbags") from error
    made = _Ros1(scene_of(drive).objects)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with Writer(path) as writer:
        connections = {
            name: writer.add_connection(name, kind, typestore=made.store)
            for name, kind in _TYPES.items()
        }
        for name, log_time, message in _messages(drive, made):
            data = made.store.serialize_ros1(message, _TYPES[name])
            writer.write(connections[name], log_time, data)
    path.with_name(f"{path.name}.names").write_text("\n".join(made.names) + "\n", "utf-8")


class _Ros2:
    """Makes messages of ROS 2 types."""

    store: Any
    seq: dict[str, int]

    def __init__(self) -> None:
        self.store, self.seq = stock(), {}

    def made(self, kind: str, **values: Any) -> Any:
        """A message of a type."""
        return self.store.types[kind](**values)

    def header(self, stamp: int) -> Any:
        """A header of the camera's frame."""
        time = self.made("builtin_interfaces/msg/Time", sec=stamp // SECOND, nanosec=stamp % SECOND)
        return self.made("std_msgs/msg/Header", stamp=time, frame_id=FRAME, **self.seq)

    def camera(self, stamp: int, size: int) -> Any:
        """The calibration."""
        matrix = camera_matrix(size)
        region = self.made(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False,
        )  # fmt: skip
        arrays = {
            "d": np.zeros(5),
            "k": matrix.ravel(),
            "r": np.eye(3).ravel(),
            "p": np.hstack([matrix, np.zeros((3, 1))]).ravel(),
        }
        return self.made(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(stamp), height=size, width=size, distortion_model="plumb_bob",
            binning_x=0, binning_y=0, roi=region, **self.named(arrays),
        )  # fmt: skip

    def named(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Names of a calibration's arrays."""
        return arrays

    def image(self, stamp: int, pixels: Any, encoding: str) -> Any:
        """A picture."""
        return self.made(
            "sensor_msgs/msg/Image",
            header=self.header(stamp), height=pixels.shape[0], width=pixels.shape[1],
            encoding=encoding, is_bigendian=0, step=pixels.strides[0],
            data=np.frombuffer(pixels.tobytes(), dtype=np.uint8),
        )  # fmt: skip

    def detections(self, view: View) -> Any:
        """What the simulated detector found."""
        header = self.header(view.stamp)
        found = [self.detection(header, row) for row in view.found]
        return self.made("vision_msgs/msg/Detection2DArray", header=header, detections=found)

    def detection(self, header: Any, row: dict[str, Any]) -> Any:
        """One detection."""
        said = self.made(
            "vision_msgs/msg/ObjectHypothesis", class_id=row["phrase"], score=row["score"]
        )
        result = self.made(
            "vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=said, pose=self.pose()
        )
        at = self.made(
            "vision_msgs/msg/Point2D",
            x=(row["x1"] + row["x2"]) / 2,
            y=(row["y1"] + row["y2"]) / 2,
        )
        centre = self.made("vision_msgs/msg/Pose2D", position=at, theta=0.0)
        box = self.box(centre, row)
        return self.made(
            "vision_msgs/msg/Detection2D", header=header, results=[result], bbox=box, id=""
        )

    def box(self, centre: Any, row: dict[str, Any]) -> Any:
        """A box around its centre."""
        return self.made(
            "vision_msgs/msg/BoundingBox2D",
            center=centre,
            size_x=row["x2"] - row["x1"],
            size_y=row["y2"] - row["y1"],
        )

    def pose(self) -> Any:
        """A pose that says nothing."""
        at = self.made("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0)
        turn = self.made("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
        pose = self.made("geometry_msgs/msg/Pose", position=at, orientation=turn)
        return self.made("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))


class _Ros1(_Ros2):
    """Makes messages of ROS 1 types, classes as numbers."""

    def __init__(self, objects: Any) -> None:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self.store, self.seq = get_typestore(Stores.ROS1_NOETIC), {"seq": 0}
        self.names = sorted({item.phrase for item in objects})
        found: dict[str, Any] = {}
        for name, text in _ROS1_VISION.items():
            found |= get_types_from_msg(text, f"vision_msgs/msg/{name}")
        self.store.register(found)

    def named(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return {name.upper(): values for name, values in arrays.items()}

    def detection(self, header: Any, row: dict[str, Any]) -> Any:
        result = self.made(
            "vision_msgs/msg/ObjectHypothesisWithPose",
            id=self.names.index(row["phrase"]), score=row["score"], pose=self.pose(),
        )  # fmt: skip
        centre = self.made(
            "geometry_msgs/msg/Pose2D",
            x=(row["x1"] + row["x2"]) / 2, y=(row["y1"] + row["y2"]) / 2, theta=0.0,
        )  # fmt: skip
        none = np.zeros((0, 0, 3), dtype=np.uint8)
        return self.made(
            "vision_msgs/msg/Detection2D",
            header=header, results=[result], bbox=self.box(centre, row),
            source_img=self.image(0, none, "rgb8"),
        )  # fmt: skip


def _messages(drive: Drive, made: _Ros2) -> Iterator[tuple[str, int, Any]]:
    """Topic, time of recording and message, in the order of recording."""
    for view in views(drive):
        at = view.stamp + SECOND // 1000
        yield CAMERA, at, made.camera(view.stamp, drive.size)
        yield IMAGE, at, made.image(view.stamp, picture(view), "rgb8")
        yield DEPTH, at, made.image(view.stamp, view.depth(), "16UC1")
        yield BOXES, at + _LATENCY, made.detections(view)
