"""Files changed at random: bytes, and values within JSON."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any, Final

_TOKENS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"0", b"1e308", b"1e-320", b"null", b"true",
    b"[]", b"{}", b'""', b"9007199254740993", b"9" * 400, b"-" + b"9" * 30, b"2147483648", b"257",
    b"[" * 70, b"[" * 5000, b'{"a":' * 100, b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe",
    b'"\\ud800"', b"\\", b"'", b'"', b"\n", b"\r\n", b"\n\n\n", b",", b";", b"\t", b" " * 200,
    b"../../x", b"/etc/x", b"=1+1", b"\x1b[31m", b"x" * 5000, b"#", b"%s", b"<!DOCTYPE a>", b"&a;",
    "\u202e".encode(), "caf\u00e9".encode(), "\u0663".encode(), b"- " * 100, b"a.b." * 50,
)  # fmt: skip


def mutated(seeds: list[bytes], rng: random.Random, ending: str) -> bytes:
    """A sound file with one to six changes; of JSON also in its structure."""
    content = rng.choice(seeds)
    if ending in (".json", ".jsonl") and rng.random() < 0.6:
        content = _other_json(content, rng)
        if rng.random() < 0.7:
            return content
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        content = _changed(content, seeds, rng)
    return content[: 1 << 20]


def _changed(content: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    size = len(content)
    at = rng.randrange(size + 1)
    to = min(size, at + rng.choice((1, 1, 2, 4, 8, 32, 200)))
    kind = rng.randrange(8)
    if kind == 0:
        return content[:at] + bytes(rng.randrange(256) for _ in range(to - at)) + content[to:]
    if kind == 1:
        return content[:at] + content[to:]
    if kind == 2:
        return content[:at] + rng.choice(_TOKENS) + content[to:]
    if kind == 3:
        return content[:at] + rng.choice(_TOKENS) + content[at:]
    if kind == 4:
        return content[:to] + content[at:to] * rng.choice((1, 2, 50)) + content[to:]
    if kind == 5:
        return content[:at] if rng.random() < 0.5 else content[at:]
    if kind == 6:
        other = rng.choice(seeds)
        return content[:at] + other[rng.randrange(len(other) + 1) :]
    if size and at < size:
        flipped = content[at] ^ (1 << rng.randrange(8))
        return content[:at] + bytes([flipped]) + content[at + 1 :]
    return content


_ODD: Final = (
    None, True, False, 0, -1, 1, 257, 2**31, 2**53 + 1, 10**30, 0.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), "", "x", "nan", "1", "\ud800", "\x00", "a" * 3000, "../../x", [],
    {}, [1, 2, 3, 4], [[1, 2], [3, 4]], {"a": 1}, [None], ["x"], [float("nan")] * 4, "1 2 3 4",
)  # fmt: skip


def _other_json(content: bytes, rng: random.Random) -> bytes:
    """The same JSON (or a line of JSON lines) with a value changed, removed, repeated or nested."""
    lines = content.split(b"\n") if content[:1] == b"{" and b"\n{" in content else [content]
    place = rng.randrange(len(lines))
    try:
        root = [json.loads(lines[place])]
    except (ValueError, RecursionError):
        return content
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_value(root, rng)
    lines[place] = json.dumps(root[0] if root else None, default=str).encode()
    if rng.random() < 0.1:  # a key twice
        lines[place] = lines[place].replace(b"{", b'{"image":1,"image":2,', 1)
    return b"\n".join(lines)


def _change_value(root: Any, rng: random.Random) -> None:
    inner = root
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return
        key = rng.choice(keys)
        value = inner[key]
        if isinstance(value, dict | list) and value and rng.random() < 0.85:
            inner = value
            continue
        break
    kind = rng.randrange(6)
    if kind == 0:
        del inner[key]
    elif kind == 1:
        inner[key] = [value]
    elif kind == 2 and isinstance(inner, dict):
        inner[rng.choice(("x", "", "image", "box", "0"))] = deepcopy(rng.choice(_ODD))
    elif kind == 3 and isinstance(inner, list):
        inner.extend(deepcopy(value) for _ in range(rng.choice((1, 3))))
    else:
        inner[key] = deepcopy(rng.choice(_ODD))
