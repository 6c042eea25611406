"""Messages from bytes, by the definitions that the bag itself holds.

Where a bag holds none (old sqlite3 bags), the stock definitions are assumed, and that is said.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spatialtrust.bags.reading import needs
from spatialtrust.documents import loads
from spatialtrust.errors import InputError
from spatialtrust.io.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from spatialtrust.bags.reading import Topic

ENCODINGS: Final = ("cdr", "ros1", "json")
"""Encodings of messages that are read."""

SHIPPED: Final = ("spatialtrust_msgs", "vision_msgs")
"""Packages whose definitions ship, beside the stock ones."""


class Decoder(NamedTuple):
    """How the messages of a topic are read.

    Attributes
    ----------
    read: bytes to message; raises whatever it stumbles over where the bytes make no sense.
    note: what was assumed; empty where the bag says it itself.
    """

    read: Callable[[bytes], Any]
    note: str = ""


def decoder_of(topic: Topic) -> Decoder:
    """How to read the messages of a topic.

    Raises
    ------
    InputError: its encoding is not known, or its type has no definition that can be read.
    """
    where = f'topic "{plain_name(topic.name)}"'
    if topic.encoding == "json":
        return Decoder(_json)
    if topic.encoding not in ENCODINGS:
        raise InputError(
            f'{where} is encoded as "{plain_name(topic.encoding)}"; valid: {", ".join(ENCODINGS)}'
        )
    kind = full_type(topic.type)
    note = ""
    if topic.definition and topic.language in ("ros2msg", "ros2idl", "ros1msg"):
        store = _embedded(topic.language, topic.definition, kind, where)
    else:
        store = stock()
        if kind not in store.fielddefs:
            raise InputError(
                f"{where} is of type {plain_name(topic.type) or 'unknown'}; the bag holds no "
                "definition of it, and none ships; record it with definitions (MCAP does)"
            )
        note = f"{where}: the bag holds no definition of {kind}; the stock one is assumed"
    read = store.deserialize_ros1 if topic.encoding == "ros1" else store.deserialize_cdr
    return Decoder(lambda data: read(data, kind), note)


def full_type(name: str) -> str:
    """A type as ROS 2 writes it.

    >>> full_type("sensor_msgs/Image"), full_type("sensor_msgs/msg/Image")
    ('sensor_msgs/msg/Image', 'sensor_msgs/msg/Image')
    """
    parts = name.split("/")
    return f"{parts[0]}/msg/{parts[1]}" if len(parts) == 2 else name


@cache
def stock() -> Any:
    """A type store with the stock definitions of ROS 2 and those that ship."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError as error:
        raise needs("rosbags") from error
    store = get_typestore(Stores.ROS2_HUMBLE)
    found: dict[str, Any] = {}
    for package in SHIPPED:
        for file in sorted(_folder(package).iterdir(), key=lambda file: file.name):
            name = f"{package}/msg/{file.name.removesuffix('.msg')}"
            found |= get_types_from_msg(file.read_text(encoding="utf-8"), name)
    store.register(found)
    return store


def _folder(package: str) -> Any:
    return resources.files("spatialtrust.bags") / "msgs" / package


def _embedded(language: str, definition: bytes, kind: str, where: str) -> Any:
    try:
        from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
    except ImportError as error:
        raise needs("rosbags") from error
    store = get_typestore(Stores.EMPTY)
    try:
        text = definition.decode("utf-8")
        found: dict[str, Any] = {}
        if language == "ros2idl":
            for part in text.split("=" * 80 + "\n"):
                body = part.split("\n", 1)[1] if part.startswith("IDL: ") else part
                found |= get_types_from_idl(body) if body.strip() else {}
        else:
            found = get_types_from_msg(text, kind)
        store.register(found)
        if kind not in store.fielddefs:
            raise ValueError("it does not define the type itself")
    except Exception as error:
        # The parser of definitions raises what it stumbles over, and bags come from anywhere.
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{where}: the definition of {plain_name(kind)} in the bag cannot be read ({said})"
        ) from error
    return store


def _json(data: bytes) -> Any:
    return loads(data, finite=True)
