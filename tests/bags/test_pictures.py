"""Camera encodings, depth by REP 118, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from spatialtrust.bags.pictures import depth_of, is_depth, picture_of, size_of
from spatialtrust.errors import InputError


def _scene() -> np.ndarray:
    """A smooth coloured picture."""
    y, x = np.mgrid[0:32, 0:48]
    return np.stack([5 * x, 7 * y, 3 * x + 2 * y], axis=2).astype(np.uint8)


def _message(values: np.ndarray, encoding: str, big: int = 0, pad: int = 0) -> Any:
    rows = values.reshape(values.shape[0], -1)
    if big:
        rows = rows.astype(rows.dtype.newbyteorder(">"))
    packed = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    padded = np.pad(packed, ((0, 0), (0, pad)))
    return SimpleNamespace(
        encoding=encoding, height=values.shape[0], width=values.shape[1], is_bigendian=big,
        step=padded.shape[1], data=padded.reshape(-1),
    )  # fmt: skip


@pytest.mark.parametrize("pad", [0, 6])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "8UC3"])
def test_colours_come_out_in_rgb(encoding: str, pad: int) -> None:
    scene = _scene()
    stored = scene[..., ::-1] if encoding.startswith(("bgr", "8UC")) else scene
    if encoding.endswith("a8"):
        stored = np.dstack([stored, np.full(scene.shape[:2], 255, np.uint8)])
    assert (picture_of(_message(stored, encoding, pad=pad)) == scene).all()


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_come_out_in_rgb(pattern: str) -> None:
    scene = _scene()
    mosaic = np.empty(scene.shape[:2], dtype=np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = scene[row::2, column::2, "rgb".index(letter)]
    found = picture_of(_message(mosaic, f"bayer_{pattern}8")).astype(int)
    assert np.abs(found - scene)[4:-4, 4:-4].mean() < 6


@pytest.mark.parametrize(
    ("encoding", "code"),
    [("yuv422", cv2.COLOR_RGB2YUV_UYVY), ("yuv422_yuy2", cv2.COLOR_RGB2YUV_YUY2)],
)
def test_yuv_comes_out_in_rgb(encoding: str, code: int) -> None:
    scene = _scene()
    found = picture_of(_message(cv2.cvtColor(scene, code), encoding)).astype(int)
    assert np.abs(found - scene).mean() < 8


@pytest.mark.parametrize("big", [0, 1])
def test_deep_grey_is_scaled(big: int) -> None:
    grey = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) * 40
    found = picture_of(_message(grey, "mono16", big))
    assert found.shape == (32, 48, 3)
    assert (np.diff(found[..., 0].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(("kind", "text"), [("PNG", "rgb8; png compressed"), ("JPEG", "jpeg")])
def test_compressed_pictures_are_read(kind: str, text: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(_scene()).save(stream, kind)
    data = np.frombuffer(stream.getvalue(), dtype=np.uint8)
    message = SimpleNamespace(format=text, data=data)
    assert np.abs(picture_of(message).astype(int) - _scene()).mean() < 8
    assert size_of(message) == (48, 32)


def test_depth_is_metres_and_unknown_is_nan() -> None:
    stored = np.array([[0, 1500], [2000, 65535]], dtype=np.uint16)
    assert depth_of(_message(stored, "16UC1")).metres.tolist()[1][0] == 2.0
    assert np.isnan(depth_of(_message(stored, "16UC1")).metres[0, 0])
    floats = np.array([[np.nan, 1.5], [np.inf, -1.0]], dtype=np.float32)
    found = depth_of(_message(floats, "32FC1")).metres
    assert np.isnan(found).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_compressed_depth_is_read(encoding: str) -> None:
    metres = np.array([[0.0, 1.5], [2.0, 4.0]])
    if encoding == "16UC1":
        head, stored = struct.pack("<Iff", 0, 0, 0), (metres * 1000).astype(np.uint16)
    else:
        head = struct.pack("<Iff", 0, 100.0, 10.0)
        with np.errstate(divide="ignore"):
            stored = np.where(metres > 0, 100.0 / metres + 10.0, 0).round().astype(np.uint16)
    png = cv2.imencode(".png", stored)[1].tobytes()
    data = np.frombuffer(head + png, dtype=np.uint8)
    message = SimpleNamespace(format=f"{encoding}; compressedDepth png", data=data)
    assert is_depth(message)
    found = depth_of(message).metres
    assert np.isnan(found[0, 0])
    assert found[1] == pytest.approx([2.0, 4.0], rel=0.02)


@pytest.mark.parametrize(
    ("values", "encoding", "unit", "odd"),
    [
        (np.full((4, 4), 2, np.uint16), "16UC1", None, "--depth-unit m"),
        (np.full((4, 4), 2000.0, np.float32), "32FC1", None, "--depth-unit mm"),
        (np.full((4, 4), 2000.0, np.float32), "32FC1", "mm", ""),
        (np.zeros((4, 4), np.uint16), "16UC1", None, "no depth at all"),
        (np.full((4, 4), 2000, np.uint16), "16UC1", None, ""),
    ],
)
def test_a_wrong_unit_is_implausible(
    values: np.ndarray, encoding: str, unit: str | None, odd: str
) -> None:
    found = depth_of(_message(values, encoding), unit).odd
    assert odd in found
    assert bool(found) == bool(odd)


def _bomb() -> bytes:
    """A PNG of 40,000 x 40,000 pixels in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (_message(_scene(), "nv21"), 'encoding "nv21" is not known'),
        (_message(_scene(), "rgb8\x1b[2J"), "is not known"),
        (SimpleNamespace(**{**vars(_message(_scene(), "rgb8")), "height": 99}), "there are 4,608"),
        (SimpleNamespace(**{**vars(_message(_scene(), "rgb8")), "step": 3}), "in rows of 3"),
        (SimpleNamespace(**{**vars(_message(_scene(), "rgb8")), "width": 0}), "0 x 32"),
        (SimpleNamespace(**{**vars(_message(_scene(), "rgb8")), "width": 2**31}), "at most"),
        (
            SimpleNamespace(format="png", data=np.frombuffer(_bomb(), np.uint8)),
            "more pixels|40000 x 40000",
        ),
        (SimpleNamespace(format="jpeg", data=np.zeros(9, np.uint8)), "no PNG, JPEG"),
        (SimpleNamespace(format="h264", data=np.arange(99, dtype=np.uint8)), "no PNG, JPEG"),
    ],
)
def test_what_is_no_picture_is_refused(message: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        picture_of(message)
    assert "\x1b" not in str(caught.value)


def test_a_picture_that_breaks_off_is_refused() -> None:
    stream = io.BytesIO()
    Image.fromarray(_scene()).save(stream, "PNG")
    data = np.frombuffer(stream.getvalue()[:-60], dtype=np.uint8)
    with pytest.raises(InputError, match="damaged"):
        picture_of(SimpleNamespace(format="png", data=data))


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        ("16UC1; compressedDepth rvl", bytes(40), "RVL"),
        ("16UC1; compressedDepth png", bytes(4), "within its head"),
        ("16UC1; compressedDepth png", bytes(40), "no PNG"),
        ("rgb8; jpeg", bytes(40), "is no depth"),
    ],
)
def test_depth_that_cannot_be_read_is_refused(text: str, data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        depth_of(SimpleNamespace(format=text, data=np.frombuffer(data, dtype=np.uint8)))
