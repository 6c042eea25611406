"""Compressed chunks of bags: unpacked up to a limit, and as far as they are whole."""

from __future__ import annotations

import bz2
from typing import Final

from spatialtrust.bags.reading import MAX_RECORD, needs

KNOWN: Final = ("", "none", "lz4", "zstd", "bz2")
"""Compressions that bags use."""


class TooLargeError(ValueError):
    """More would come out than a record may hold."""


def unpack(data: bytes, compression: str, limit: int = MAX_RECORD) -> bytes:
    """The bytes of a chunk; of one that is cut off, those that can still be had.

    Parameters
    ----------
    data: compressed.
    compression: one of ``KNOWN``.
    limit: bytes that may come out.

    Raises
    ------
    ValueError: the compression is not known, or the data is damaged from its beginning.
    TooLargeError: more than ``limit`` bytes would come out.

    >>> unpack(bz2.compress(b"abc"), "bz2")
    b'abc'
    """
    if compression in ("", "none"):
        return data
    try:
        found = _UNPACK[compression](data, limit + 1)
    except KeyError:
        raise ValueError(f'compression "{compression[:20]}" is not known') from None
    except (OSError, RuntimeError, EOFError) as error:
        raise ValueError(f"{compression} data is damaged ({error})") from error
    if len(found) > limit:
        raise TooLargeError(f"a chunk unpacks to more than {limit >> 20} MiB")
    return found


def _bz2(data: bytes, most: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, most)


def _lz4(data: bytes, most: int) -> bytes:
    try:
        from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]
    except ImportError as error:
        raise needs("lz4") from error
    return bytes(LZ4FrameDecompressor().decompress(data, most))


def _zstd(data: bytes, most: int) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise needs("zstandard") from error
    found = bytearray()
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            while len(found) < most and (piece := stream.read(min(most - len(found), 1 << 20))):
                found += piece
    except zstandard.ZstdError as error:
        if not found:
            raise ValueError(f"zstd data is damaged ({error})") from error
    return bytes(found)


_UNPACK: Final = {"bz2": _bz2, "lz4": _lz4, "zstd": _zstd}
