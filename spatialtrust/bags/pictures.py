"""Pictures and depth from camera messages.

Source: sensor_msgs/Image and its encodings (image_encodings.hpp), REP 118 for depth: 32FC1 is
metres with NaN for unknown, 16UC1 millimetres with 0 for unknown; compressed_depth_image_transport
for ``compressedDepth``.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.errors import InputError
from spatialtrust.io.deep import grey_of
from spatialtrust.io.names import plain_name
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS: Final = 50_000_000
"""Larger pictures are refused: decoded, this is 150 MB."""

DEPTH: Final = ("32FC1", "16UC1")
"""Encodings of depth."""

_CHANNELS: Final = {
    "rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "rgba8": (np.uint8, 4), "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1), "mono16": (np.uint16, 1), "rgb16": (np.uint16, 3),
    "bgr16": (np.uint16, 3), "8UC1": (np.uint8, 1), "8UC3": (np.uint8, 3), "8UC4": (np.uint8, 4),
    "16UC1": (np.uint16, 1), "32FC1": (np.float32, 1), "yuv422": (np.uint8, 2),
    "yuv422_yuy2": (np.uint8, 2), "uyvy": (np.uint8, 2), "yuyv": (np.uint8, 2),
    "bayer_rggb8": (np.uint8, 1), "bayer_bggr8": (np.uint8, 1), "bayer_gbrg8": (np.uint8, 1),
    "bayer_grbg8": (np.uint8, 1), "bayer_rggb16": (np.uint16, 1), "bayer_bggr16": (np.uint16, 1),
    "bayer_gbrg16": (np.uint16, 1), "bayer_grbg16": (np.uint16, 1),
}  # fmt: skip
"""Type and number of values of a pixel. 8UC3 is taken for bgr8, as cv_bridge does."""

_BAYER: Final = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}
"""OpenCV names a pattern by its second row."""

_DEPTH_HEAD: Final = struct.Struct("<Iff")


class Depth(NamedTuple):
    """Depth in metres, NaN where it is not known, and what is odd about it (empty: nothing)."""

    metres: NDArray[np.float32]
    odd: str = ""


def encoding_of(message: Any) -> str:
    """What a camera message says it holds."""
    return str(getattr(message, "encoding", None) or getattr(message, "format", ""))


def is_depth(message: Any) -> bool:
    """Whether a camera message holds depth: by its encoding alone.

    >>> from types import SimpleNamespace
    >>> is_depth(SimpleNamespace(encoding="16UC1")), is_depth(SimpleNamespace(format="rgb8; jpeg"))
    (True, False)
    """
    encoding = encoding_of(message)
    return encoding.split(";")[0].strip() in DEPTH or "compresseddepth" in encoding.lower()


def picture_of(message: Any) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3) of a ``sensor_msgs`` Image or CompressedImage.

    Raises
    ------
    InputError: the encoding is not known, the data does not fit it, or the picture is too large.
    """
    if hasattr(message, "format"):
        return _unpacked(np.asarray(message.data, dtype=np.uint8).tobytes())
    values, encoding = _values(message)
    if encoding.startswith(("bayer_", "yu", "uy")):
        found = _converted(values, encoding)
    elif values.shape[2] == 1:
        found = np.repeat(values, 3, axis=2)
    else:
        swapped = encoding.startswith(("bgr", "8UC"))
        found = values[..., 2::-1] if swapped else values[..., :3]
    if found.dtype != np.uint8:
        found = grey_of(found)
    return np.ascontiguousarray(found)


def _converted(values: NDArray[Any], encoding: str) -> NDArray[Any]:
    """Bayer and YUV in RGB, by OpenCV."""
    import cv2

    if encoding.startswith("bayer_"):
        name, values = f"COLOR_Bayer{_BAYER[encoding[6:10]]}2RGB", values[..., 0]
    else:
        name = f"COLOR_YUV2RGB_{'UYVY' if encoding in ('yuv422', 'uyvy') else 'YUY2'}"
    try:
        return np.asarray(cv2.cvtColor(values, getattr(cv2, name)))
    except cv2.error as error:
        size = f"{values.shape[1]} x {values.shape[0]}"
        raise InputError(f"a picture of {size} pixels cannot be {encoding}") from error


def size_of(message: Any) -> tuple[int, int]:
    """Width and height of a camera message, nothing decoded.

    Raises
    ------
    InputError: it is no picture that is read.
    """
    if hasattr(message, "format"):
        image = _opened(np.asarray(message.data, dtype=np.uint8).tobytes())
        return int(image.width), int(image.height)
    _check_size(int(message.width), int(message.height))
    return int(message.width), int(message.height)


def depth_of(message: Any, unit: str | None = None) -> Depth:
    """Depth in metres (H, W), by REP 118.

    Parameters
    ----------
    unit: ``m`` or ``mm`` where the camera does not keep to it; None: as the encoding says.

    Raises
    ------
    InputError: it holds no depth, or the data does not fit.
    """
    if hasattr(message, "format"):
        values, encoding = _unpacked_depth(message)
    else:
        stored, encoding = _values(message)
        values = stored[..., 0]
    if encoding not in DEPTH:
        raise InputError(f"{plain_name(encoding)} is no depth; valid: {', '.join(DEPTH)}")
    whole = encoding == "16UC1"
    metres = values.astype(np.float32)
    metres[~np.isfinite(metres) | (metres <= 0)] = np.nan
    millimetres = unit == "mm" if unit is not None else whole
    if millimetres:
        metres /= 1000
    return Depth(metres, _odd(metres, encoding, unit))


NEAR, FAR = 0.1, 80.0
"""Metres between which the middle of a depth image lies, if its unit is right."""


def _odd(metres: NDArray[np.float32], encoding: str, unit: str | None) -> str:
    known = metres[np.isfinite(metres)]
    if not known.size:
        return "holds no depth at all"
    middle = float(np.median(known))
    if NEAR <= middle <= FAR or unit is not None:
        return ""
    said = "millimetres" if encoding == "16UC1" else "metres"
    other = "m" if encoding == "16UC1" else "mm"
    return (
        f"its middle is {middle:.4g} m if {encoding} is {said}, as REP 118 says: implausible; if "
        f"it is not, say --depth-unit {other}"
    )


def _values(message: Any) -> tuple[NDArray[Any], str]:
    """Values (H, W, channels) of an Image, rows without their padding."""
    encoding = str(message.encoding).strip()
    if encoding not in _CHANNELS:
        listed = ", ".join(_CHANNELS)
        raise InputError(f'encoding "{plain_name(encoding)}" is not known; valid: {listed}')
    kind, channels = _CHANNELS[encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    _check_size(width, height)
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row = width * channels * dtype.itemsize
    step = step or row
    data = np.frombuffer(np.asarray(message.data, dtype=np.uint8).tobytes(), dtype=np.uint8)
    if step < row or len(data) < step * (height - 1) + row:
        raise InputError(
            f"{width} x {height} {encoding} needs {row * height:,} bytes in rows of {step:,}; "
            f"there are {len(data):,}"
        )
    padded = np.zeros(step * height, dtype=np.uint8)
    padded[: min(len(data), len(padded))] = data[: len(padded)]
    packed = np.ascontiguousarray(padded.reshape(height, step)[:, :row])
    values = packed.view(dtype).reshape(height, width, channels)
    return values.astype(dtype.newbyteorder("="), copy=False), encoding


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise InputError(f"the picture is {width} x {height} pixels")
    if width * height > (limit := allowed("BAG_PIXELS", MAX_PIXELS)):
        problem = f"the picture is {width} x {height} pixels; at most {limit:,} are decoded"
        raise InputError(f"{problem}; {hint('BAG_PIXELS')}")


def _opened(data: bytes) -> Any:
    """A compressed picture with its head read, and nothing decoded."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "BMP", "TIFF"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"the picture says that it has far more pixels than the {MAX_PIXELS:,} that are decoded"
        ) from error
    except Exception as error:
        raise InputError("the data is no PNG, JPEG, WEBP, BMP or TIFF") from error
    _check_size(image.width, image.height)
    return image


def _unpacked(data: bytes) -> NDArray[np.uint8]:
    image = _opened(data)
    try:
        if image.mode.startswith(("I", "F")):
            return np.repeat(grey_of(np.asarray(image))[..., None], 3, axis=2)
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except Exception as error:
        # Pillow's decoders raise what they stumble over.
        raise InputError(f"the compressed picture is damaged ({str(error)[:80]})") from error


def _unpacked_depth(message: Any) -> tuple[NDArray[Any], str]:
    """What ``compressedDepth`` holds: a head of 12 bytes, then a PNG."""
    encoding, _, rest = str(message.format).partition(";")
    encoding = encoding.strip()
    data = np.asarray(message.data, dtype=np.uint8).tobytes()
    if "compresseddepth" not in rest.lower():
        if encoding not in DEPTH and encoding != "mono16":
            raise InputError(f'format "{plain_name(str(message.format))}" is no depth')
        return np.asarray(_opened(data)), "16UC1"
    if "rvl" in rest.lower():
        raise InputError("compressedDepth in RVL is not read; record it as png")
    if len(data) <= _DEPTH_HEAD.size:
        raise InputError("compressedDepth ends within its head")
    _, slope, offset = _DEPTH_HEAD.unpack_from(data)
    image = _opened(data[_DEPTH_HEAD.size :])
    try:
        stored = np.asarray(image)
    except Exception as error:
        raise InputError(f"the compressed depth is damaged ({str(error)[:80]})") from error
    if encoding == "16UC1":
        return stored, encoding
    with np.errstate(divide="ignore", invalid="ignore"):
        metres = slope / (stored.astype(np.float32) - offset)
    metres[stored == 0] = np.nan
    return metres, "32FC1"
