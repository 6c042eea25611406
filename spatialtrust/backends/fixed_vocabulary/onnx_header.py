"""What an ONNX file says of itself, read without running it: metadata, and what goes in.

The two runtimes tell different parts of this or none, so it is read here, from the few fields of
the protocol buffer that matter; tensors are passed over.

Source: ``onnx.proto`` of ONNX (ModelProto, GraphProto, ValueInfoProto).
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final, NamedTuple

from spatialtrust.errors import BackendError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Buffer = bytes | mmap.mmap | memoryview

FLOAT, UINT8, INT64, HALF = 1, 2, 7, 10
"""Element types by ``TensorProto.DataType``; others are refused."""

_GRAPH, _METADATA = 7, 14
_INITIALISER, _INPUT = 5, 11
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LFS: Final = b"version https://git-lfs"


class Input(NamedTuple):
    """One input of a graph.

    Attributes
    ----------
    kind: element type, as ``FLOAT``.
    shape: None where a side is free.
    """

    name: str
    kind: int
    shape: tuple[int | None, ...]


class Header(NamedTuple):
    """What a model says of itself."""

    inputs: tuple[Input, ...]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Inputs and metadata of an ONNX file.

    Raises
    ------
    FileError: there is no such file, or it cannot be read.
    BackendError: it is no ONNX model, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                raise BackendError(f"{path}: is empty; copy or export the model again")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if data[: len(_LFS)] == _LFS:
                    raise BackendError(
                        f"{path}: is a pointer of Git LFS, not the model; fetch the model with: "
                        "git lfs pull"
                    )
                found = _model(data)
    except OSError as error:
        remedy = "give the path of an .onnx file: onnx:PATH, or onnx:PATH,NAMES"
        raise FileError(path, f"cannot be read ({error.strerror or error})", remedy) from error
    except (IndexError, ValueError) as error:
        raise BackendError(
            f"{path}: is no ONNX model, or a damaged one ({error}); copy or export it again"
        ) from error
    if not found.inputs:
        raise BackendError(f"{path}: is no ONNX model: it has no inputs; export it again")
    return found


def _model(data: mmap.mmap) -> Header:
    inputs: list[Input] = []
    constants: set[str] = set()
    metadata: dict[str, str] = {}
    for number, start, end in _fields(data, 0, len(data)):
        if number == _METADATA:
            entry = {n: bytes(data[a:b]) for n, a, b in _fields(data, start, end)}
            metadata[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
        elif number == _GRAPH:
            for inner, a, b in _fields(data, start, end):
                if inner == _INPUT:
                    inputs.append(_input(data, a, b))
                elif inner == _INITIALISER:
                    named = [bytes(data[x:y]) for n, x, y in _fields(data, a, b) if n == 8]
                    constants |= set(map(_text, named))
    # Old exporters list weights among the inputs.
    return Header(tuple(each for each in inputs if each.name not in constants), metadata)


def _input(data: Buffer, start: int, end: int) -> Input:
    name, kind = "", 0
    shape: tuple[int | None, ...] = ()
    for number, a, b in _fields(data, start, end):
        if number == 1:
            name = _text(bytes(data[a:b]))
        elif number == 2:
            for _, c, d in (f for f in _fields(data, a, b) if f[0] == 1):  # tensor_type
                for inner, e, g in _fields(data, c, d):
                    if inner == 1:
                        kind = e
                    elif inner == 2:
                        shape = tuple(
                            _side(data, h, i) for n, h, i in _fields(data, e, g) if n == 1
                        )
    return Input(name, kind, shape)


def _side(data: Buffer, start: int, end: int) -> int | None:
    sides = [a for number, a, _ in _fields(data, start, end) if number == 1]
    return sides[0] if sides and sides[0] > 0 else None


def _fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, and first and last place of each field; of a number its value, twice."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, value, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at, end)
        elif wire in {_EIGHT, _FOUR}:
            size = 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"byte {at} has wire type {wire}")
        if number == 0 or at + size > end:
            raise ValueError(f"the field at byte {at} ends behind the file or its message")
        yield number, at, at + size
        at += size


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"the number at byte {at} does not end")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
