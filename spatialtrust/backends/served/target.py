"""``openai:MODEL@URL#SETTINGS``: which model, on which server, and how it is asked.

The settings stand behind a ``#``, which no server ever sees: ``#key=MY_KEY&repeats=5&rpm=60``.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from spatialtrust.errors import BackendError, InputError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTED: Final = {"api.openai.com": "OPENAI_API_KEY"}
"""Hosts whose key has a name that everybody uses; other servers get no key unless one is named."""

_VARIABLE: Final = r"[A-Z_][A-Z0-9_]{0,63}"
_FORM: Final = (
    "give openai:MODEL@URL, such as openai:Qwen/Qwen2.5-VL-7B-Instruct@http://localhost:8000/v1"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A served model and how it is asked.

    Attributes
    ----------
    model: as the server calls it.
    url: ends where ``/chat/completions`` begins.
    key: name of the environment variable that holds the key; empty: none is sent.
    repeats: how often a question is asked where the server gives no log-probabilities.
    concurrency: questions under way at once.
    rpm: requests a minute at most; infinite: no limit.
    timeout: seconds that one reply may take, from the first byte sent to the last received.
    attempts: how often a request is sent before it is given up.
    tokens: of a reply at most.
    side: pixels of a picture's longer side at most; 0: as it is.
    price_in, price_out: of a million tokens, in any currency; NaN: unknown.
    record: file that every reply is appended to; empty: one below ``$SPATIALTRUST_HOME/asked``.
    """

    model: str
    url: str
    key: str = ""
    repeats: int = 5
    concurrency: int = 8
    rpm: float = math.inf
    timeout: float = 120.0
    attempts: int = 6
    tokens: int = 32
    side: int = 0
    price_in: float = math.nan
    price_out: float = math.nan
    record: str = ""

    def secret(self) -> str | None:
        """The key, read from the environment anew each time and kept nowhere.

        Raises
        ------
        BackendError: the variable is not set.
        """
        if not self.key:
            return None
        value = os.environ.get(self.key, "").strip()
        if not value:
            raise BackendError(
                f"{self.url} needs a key, and the environment variable {self.key} is not set; "
                f"export {self.key}=..., or name another variable: openai:...#key=NAME"
            )
        if not value.isprintable() or not value.isascii():
            raise BackendError(
                f"the environment variable {self.key} holds what cannot be a key (line breaks or "
                "letters that no header may hold); set it again"
            )
        return value


_SETTINGS: Final[dict[str, tuple[Callable[[str], Any], float, float]]] = {
    "repeats": (int, 1, 100),
    "concurrency": (int, 1, 256),
    "rpm": (float, 0.01, 1e6),
    "timeout": (float, 0.01, 86_400),
    "attempts": (int, 1, 50),
    "tokens": (int, 1, 32_768),
    "side": (int, 0, 65_536),
    "price_in": (float, 0, 1e6),
    "price_out": (float, 0, 1e6),
}
"""Setting to its type, least and greatest value."""


def parse_target(target: str) -> Target:
    """What stands behind ``openai:``.

    Raises
    ------
    InputError: it is not ``MODEL@URL``, or a setting is not known or out of range. No message
        repeats what might be a key.

    >>> parse_target("qwen@http://localhost:8000/v1#repeats=3").repeats
    3
    """
    address, _, settings = target.partition("#")
    model, at, url = address.partition("@http")
    if not at or not model:
        raise InputError(f'"openai:{_shown(address)}" names no server; {_FORM}')
    url = _url(f"http{url}")
    given: dict[str, Any] = {"model": model, "url": url}
    given["key"] = HOSTED.get(urlsplit(url).hostname or "", "")
    for name, value in parse_qsl(settings, keep_blank_values=True):
        given[name] = _setting(name, value)
    return Target(**given)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"the server's address cannot be read ({error}); {_FORM}") from error
    if not host or port == 0:
        raise InputError(f'"{_shown(text)}" is no address of a server; {_FORM}')
    if parts.username or parts.password:
        raise InputError(
            f"the address of {host} holds a name or password, which would be written into every "
            "row; put the key into an environment variable and name it: openai:MODEL@URL#key=NAME"
        )
    if parts.query:
        raise InputError(
            f"the address of {host} has a query (?...); settings stand behind #, and a key belongs "
            "into an environment variable: openai:MODEL@URL#key=NAME"
        )
    return text.rstrip("/").removesuffix("/chat/completions").rstrip("/")


def _setting(name: str, value: str) -> Any:
    valid = [field.name for field in fields(Target) if field.name not in ("model", "url")]
    if name not in valid:
        raise InputError(
            f'setting "{name[:30]}" of a served model is not known; {suggest(name, valid)}'
            f"valid: {', '.join(valid)}"
        )
    if name == "key":
        if not re.fullmatch(_VARIABLE, value):
            raise InputError(
                "key= takes the NAME of an environment variable (capitals, digits, _), never the "
                "key itself, since references are written into files; export MY_KEY=... and give "
                "#key=MY_KEY"
            )
        return value
    if name == "record":
        return value
    kind, low, high = _SETTINGS[name]
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise InputError(
            f'setting {name}="{value[:30]}" of a served model is not valid; give a number from '
            f"{low:g} to {high:g}"
        )
    return number


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."
