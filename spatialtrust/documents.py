"""JSON, TOML, YAML and XML that somebody else wrote: one way in for all of it, within limits.

A parser is a program that its input steers. What comes through here is bounded in size, depth and
length of strings, names no key twice, and holds no number that a column cannot; whatever is not so
is refused in milliseconds, with a sentence that says which limit it met.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from spatialtrust.errors import FileError
from spatialtrust.limits import allowed, hint

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH: Final = 64
"""Lists and objects within one another."""

MOST_JSON: Final = 1 << 31
MOST_TOML: Final = 1 << 20
MOST_YAML: Final = 4 << 20
MOST_XML: Final = 64 << 20
"""Bytes of one document."""

MOST_NAMES: Final = 1_000_000
"""Keys of one object."""

LONGEST: Final = 16 << 20
"""Bytes of one string."""

_MOST_DOTS: Final = 4096
_PIECE: Final = 1 << 24
_LONG_NUMBER: Final = re.compile(r"(?<![\d.])\d{19}")
_LARGE_NUMBER: Final = re.compile(r"[eE]\+?\d{3}")


def read_bytes(path: str | Path, most: int) -> bytes:
    """A file's content, if it is no larger than so many bytes (the limit ``TEXT_BYTES``).

    Raises
    ------
    FileError: it is missing, cannot be read, or is larger.
    """
    limit = allowed("TEXT_BYTES", most)
    try:
        with Path(path).open("rb") as stream:
            # What is asked for is laid out at once, so ask for what is there.
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(min(size, limit) + 1)
            while 0 < len(content) <= limit and (more := stream.read(1 << 20)):
                content += more
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise FileError(path, f"cannot be read ({told})", "check the path") from error
    if len(content) > limit:
        raise FileError(path, f"is larger than {limit:,} bytes", hint("TEXT_BYTES"))
    return content


def read_text(path: str | Path, most: int = MOST_JSON) -> str:
    """A file's text, which has to be UTF-8 (a byte order mark may stand before it).

    Raises
    ------
    FileError: it cannot be read, is larger than ``most`` bytes, or is not UTF-8.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8 ({error.reason})", "save it as UTF-8") from error


def read_json(path: str | Path, most: int = MOST_JSON) -> Any:
    """What a JSON file in UTF-8 holds; see :func:`loads`.

    Raises
    ------
    FileError: it cannot be read, is no JSON, or is beyond a limit.
    """
    text = read_text(path, most)
    try:
        return loads(text)
    except ValueError as error:
        raise FileError(path, f"cannot be read as JSON ({error})") from error


def read_object(path: str | Path, most: int = MOST_JSON) -> dict[str, Any]:
    """:func:`read_json` of a file that has to hold one object.

    Raises
    ------
    FileError: see :func:`read_json`; or it holds something else.
    """
    found = read_json(path, most)
    if not isinstance(found, dict):
        raise FileError(path, f"holds a {type(found).__name__}, not an object")
    return found


def loads(text: str | bytes, *, finite: bool = False) -> Any:
    r"""What a JSON text holds; whole numbers beyond 64 bits are fractions, or infinite.

    Parameters
    ----------
    finite: whether ``NaN``, ``Infinity`` and numbers that no float holds are refused.

    Raises
    ------
    ValueError: it is no JSON or not UTF-8, is nested deeper than ``DEPTH``, names a key twice, or
        holds a longer string or more keys than the limits say.

    >>> loads('{"a": [1, 2]}'), loads("9" * 400)
    ({'a': [1, 2]}, inf)
    >>> loads('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the key "a" stands twice in one object
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    if text.count("[") + text.count("{") > DEPTH or len(text) > LONGEST:
        _check_shape(text)
    options: dict[str, Any] = {"object_pairs_hook": _object}
    if _LONG_NUMBER.search(text):
        options["parse_int"] = _integer
    if finite:
        options["parse_constant"] = _not_finite
        if "parse_int" in options or _LARGE_NUMBER.search(text):
            options |= {"parse_int": _finite, "parse_float": _finite}
    try:
        return json.loads(text, **options)
    except RecursionError as error:  # only with a caller that is deep in its own calls
        raise ValueError(f"it is nested deeper than {DEPTH} levels") from error


def loads_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds.

    Raises
    ------
    ValueError: it is no TOML, or beyond a limit.

    >>> loads_toml("a = " + "[" * 5000)
    Traceback (most recent call last):
    ValueError: it is nested deeper than 64 levels
    """
    import tomllib

    if len(text) > MOST_TOML:
        raise ValueError(f"it is larger than {MOST_TOML:,} bytes")
    # The standard library's time for a dotted key goes with the square of its parts.
    if any(run.group().count(".") > _MOST_DOTS for run in re.finditer(r"[\w.\- \t\"']+", text)):
        raise ValueError(f"it has a key of more than {_MOST_DOTS} parts")
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {DEPTH} levels") from error
    if depth_of(found) > DEPTH:
        raise ValueError(f"it is nested deeper than {DEPTH} levels")
    return found


def loads_yaml(text: str, *, strings_only: bool = False) -> Any:
    """What a YAML text holds: plain values, no objects of any program, no aliases.

    Parameters
    ----------
    strings_only: whether numbers and dates stay the text that they are.

    Raises
    ------
    ValueError: it is no YAML, or beyond a limit.

    >>> loads_yaml("names: [mug, 1]", strings_only=True)
    {'names': ['mug', '1']}
    """
    import yaml

    if len(text) > MOST_YAML:
        raise ValueError(f"it is larger than {MOST_YAML:,} bytes")
    fast = hasattr(yaml, "CSafeLoader")
    kinds = ("CBaseLoader", "CSafeLoader") if fast else ("BaseLoader", "SafeLoader")
    loader = getattr(yaml, kinds[0 if strings_only else 1])
    try:
        _check_events(yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506 - one of the safe ones
    except (yaml.YAMLError, RecursionError, OverflowError, TypeError, AttributeError) as error:
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"it is not plain YAML ({told})") from error


def check_xml(text: str) -> None:
    """Refuse XML that declares entities, is nested deeply, or is beyond the size limit.

    Raises
    ------
    ValueError: it is so, or no XML.

    >>> check_xml("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>")
    Traceback (most recent call last):
    ValueError: it declares a document type, in which entities can be hidden
    """
    from xml.parsers import expat

    if len(text) > MOST_XML:
        raise ValueError(f"it is larger than {MOST_XML:,} bytes")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type, in which entities can be hidden")
    depth = 0

    def start(_: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH or len(attributes) > MOST_NAMES:
            raise ValueError(f"it is nested deeper than {DEPTH} levels")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text.encode("utf-8", errors="surrogatepass"), True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML ({error})") from error


def depth_of(value: Any) -> int:
    """How deep lists, tuples and mappings stand in one another; 0 of a scalar.

    >>> depth_of({"a": [1, []]})
    3
    """
    depth, level = 0, [value]
    while level := [held for held in level if isinstance(held, list | tuple | dict)]:
        depth += 1
        level = [
            inner for held in level for inner in (held.values() if isinstance(held, dict) else held)
        ]
    return depth


def too_deep(content: bytes) -> bool:
    """Whether JSON in UTF-8 is nested deeper than ``DEPTH``, or holds a string over ``LONGEST``.

    Brackets within strings do not count; no parser runs.

    >>> too_deep(b"[" * 65), too_deep(b'"' + b"[" * 65 + b'"')
    (True, False)
    """
    if content.count(b"[") + content.count(b"{") <= DEPTH and len(content) <= LONGEST:
        return False
    # What is left are quotes that begin or end a string.
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth, inside, since = 0, False, 0
    for start in range(0, len(plain), _PIECE):
        piece = np.frombuffer(plain, np.uint8, min(_PIECE, len(plain) - start), start)
        quotes = piece == ord('"')
        within = np.logical_xor.accumulate(quotes) ^ inside
        folded = piece | 0x20  # [ and { differ by this bit, and so do ] and }
        steps = (folded == ord("{")).astype(np.int8) - (folded == ord("}")).astype(np.int8)
        steps[within] = 0
        levels = np.cumsum(steps, dtype=np.int32) + depth
        if levels.max(initial=0) > DEPTH:
            return True
        ends = np.flatnonzero(quotes) + start
        if np.diff(ends, prepend=since, append=start + len(piece)).max() > LONGEST:
            return True
        depth, inside = int(levels[-1]), bool(within[-1])
        since = int(ends[-1]) if ends.size else since
    return False


def _check_shape(text: str) -> None:
    if too_deep(text.encode("utf-8", errors="surrogatepass")):
        raise ValueError(f"it is nested deeper than {DEPTH} levels, or holds too long a text")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f'the key "{twice[:40]}" stands twice in one object')
    if len(found) > MOST_NAMES:
        raise ValueError(f"an object has more than {MOST_NAMES:,} keys")
    return found


def _integer(digits: str) -> int | float:
    """A whole number that 64 bits hold, else the nearest fraction: its file says it, a row may."""
    if len(digits) <= 20 and -(1 << 63) <= (value := int(digits)) < 1 << 63:
        return value
    return float(digits)


def _finite(digits: str) -> int | float:
    value = _integer(digits) if digits.lstrip("-").isdecimal() else float(digits)
    if abs(value) == float("inf"):
        raise ValueError(f"{digits[:20]} is larger than any number that can be held")
    return value


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


@dataclass(slots=True)
class _Open:
    """A YAML collection that has not ended yet: its keys, and whether the next node is one."""

    mapping: bool
    keys: set[str] = field(default_factory=set)
    is_key: bool = True


def _check_events(events: Iterator[Any]) -> None:
    """Refuse aliases, deep nesting and repeated keys, before anything is made of them."""
    import yaml

    stack: list[_Open] = []
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it uses aliases, by which a small file can stand for a huge one")
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        if stack and stack[-1].mapping:
            inner = stack[-1]
            if inner.is_key and isinstance(event, yaml.ScalarEvent):
                if event.value in inner.keys:
                    raise ValueError(f'the key "{event.value[:40]}" stands twice in one mapping')
                inner.keys.add(event.value)
            inner.is_key = not inner.is_key
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(_Open(isinstance(event, yaml.MappingStartEvent)))
            if len(stack) > DEPTH:
                raise ValueError(f"it is nested deeper than {DEPTH} levels")
