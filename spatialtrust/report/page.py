"""One HTML file from parts: styles and scripts inline, data as text that no parser can mistake.

Data stands in ``<script type="application/json">`` with every character that means something to
HTML escaped, and is shown through ``textContent`` only. The page's own policy forbids any script
but the one whose hash it names, and any connection.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.errors import InputError
from spatialtrust.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCRIPTS: Final = (
    "data", "dom", "state", "filters", "charts", "overview", "relations", "images", "picture",
    "diagram", "edges", "judging", "main",
)  # fmt: skip
"""In the order in which they stand in the page."""

_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def as_json(value: Any) -> str:
    r"""JSON in plain ASCII that holds no character of HTML's syntax.

    Raises
    ------
    InputError: a number is not finite.

    >>> as_json("</script><img onerror=x>")
    '"\\u003c/script\\u003e\\u003cimg onerror=x\\u003e"'
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise InputError(f"a number for the page is not finite ({error})") from error
    return re.sub("[<>&]", lambda found: _ESCAPES[found[0]], text)


def packed(value: Any) -> str:
    """JSON, compressed, in base64: what the page unpacks when it is looked at."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def element(name: str, kind: str, text: str) -> str:
    """A script element that holds data.

    Parameters
    ----------
    name: its id.
    kind: its type, which is none that a browser runs.
    text: what :func:`as_json` or :func:`packed` made, or base64.
    """
    return f'<script type="{kind}" id="{escape(name)}">{text}</script>\n'


def write_page(path: Path, title: str, data: Iterable[str]) -> None:
    """Write the page, piece by piece.

    Parameters
    ----------
    title: shown by the browser's tab.
    data: elements that hold the page's data, in any order.

    Raises
    ------
    FileError: the path cannot be written.
    """
    with replacing(path) as unfinished, unfinished.open("w", encoding="ascii") as file:
        for piece in _pieces(title, data):
            file.write(piece)


def _pieces(title: str, data: Iterable[str]) -> Iterator[str]:
    style = _asset("style.css")
    scripts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{scripts}\n}})();\n'
    filled = {
        "title": escape(title).encode("ascii", "xmlcharrefreplace").decode(),
        "policy": policy(style, script),
        "style": style,
        "script": script,
    }
    parts = _PLACE.split(_asset("page.html"))
    for place, part in enumerate(parts):
        if place % 2 == 0:
            yield part
        elif part == "data":
            yield from data
        else:
            yield filled[part]


def policy(style: str, script: str) -> str:
    """The content security policy: this style, this script, pictures of files, and nothing else."""
    return (
        f"default-src 'none'; img-src 'self' file: data: blob:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (resources.files("spatialtrust.report") / "assets" / name).read_text(encoding="ascii")
