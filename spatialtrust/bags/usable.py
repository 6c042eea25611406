"""What of a bag can be used, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags.decoding import decoder_of, full_type
from spatialtrust.bags.pictures import encoding_of, is_depth, picture_of
from spatialtrust.bags.reading import listed
from spatialtrust.errors import InputError
from spatialtrust.io.names import plain_name

if TYPE_CHECKING:
    from spatialtrust.bags.reading import Bag, Topic

USES: Final = {
    "sensor_msgs/msg/Image": "image",
    "sensor_msgs/msg/CompressedImage": "image",
    "sensor_msgs/msg/CameraInfo": "camera info",
    "vision_msgs/msg/Detection2DArray": "detections",
    "tf2_msgs/msg/TFMessage": "tf",
    "tf/msg/tfMessage": "tf",
}
"""Type to what it is used as; JSON topics may hold claims."""

_LISTED: Final = 30
_LOOK: Final = 2_000
"""Messages that are looked at to tell colour from depth."""


def uses_of(bag: Bag) -> dict[str, dict[str, str]]:
    """By topic: what it can be used as (``use``), its picture's ``encoding``, and its ``problem``.

    One message of each camera topic is looked at; a type only says that it holds a picture.
    """
    found: dict[str, dict[str, str]] = {}
    look: dict[str, Any] = {}
    for name, topic in bag.topics.items():
        about = found[name] = {"use": _use(topic), "encoding": "", "problem": ""}
        if not about["use"]:
            continue
        try:
            decoder = decoder_of(topic)
            if about["use"] == "image" and bag.summary.counts.get(name):
                look[name] = decoder.read
        except InputError as error:
            about |= {"use": "", "problem": str(error)}
    for number, message in enumerate(bag.messages(look)) if look else ():
        read = look.pop(message.topic, None)
        if read is not None:
            found[message.topic] |= _looked(read, message.data)
        if not look or number >= _LOOK:
            break
    return found


def only(bag: Bag, use: str, option: str) -> str:
    """The topic of a use, where there is exactly one.

    Raises
    ------
    InputError: there is none, or several.
    """
    found = [name for name, about in uses_of(bag).items() if about["use"] == use]
    if len(found) == 1:
        return found[0]
    names = ", ".join(plain_name(name) for name in sorted(found or bag.topics)[:_LISTED]) or "none"
    many = f"{len(found)} topics hold {use}" if found else f"no topic holds {use} that can be used"
    raise InputError(f"{bag.path}: {many}; name one with {option}; topics: {names}")


def require_use(bag: Bag, name: str, use: str, option: str) -> None:
    """Refuse a topic whose type is of another use.

    Raises
    ------
    InputError: it holds something else; the topics that would do are listed.
    """
    topic = bag.topics[name]
    if _use(topic) != use:
        fit = sorted(other for other, found in bag.topics.items() if _use(found) == use)
        kind = plain_name(topic.type) or f"messages encoded as {plain_name(topic.encoding)}"
        raise InputError(
            f"{option} {plain_name(name)} holds {kind}, not {use}; topics of {use}: "
            f"{listed(fit) if fit else 'none'}"
        )


def _use(topic: Topic) -> str:
    if topic.encoding == "json":
        return "claims" if not topic.type.startswith(("foxglove.", "spatialtrust.")) else ""
    return USES.get(full_type(topic.type), "")


def _looked(read: Any, data: bytes) -> dict[str, str]:
    """What one message of a camera topic says of all of them."""
    try:
        message = read(data)
    except Exception as error:
        return {"use": "", "problem": f"its messages cannot be read ({type(error).__name__})"}
    encoding = encoding_of(message)
    if is_depth(message):
        return {"use": "depth", "encoding": encoding}
    try:
        picture_of(message)
    except InputError as error:
        return {"use": "", "encoding": encoding, "problem": str(error)}
    return {"use": "image", "encoding": encoding}
