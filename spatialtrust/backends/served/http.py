"""One request and its reply, whole or an error that says what kind: standard library only."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads
from spatialtrust.files import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 16 << 20
"""Bytes of a reply at most; chats reply in kilobytes."""
_CHUNK: Final = 1 << 16


class PassingError(Exception):
    """What may be gone at the next try: a busy, restarting or far server.

    Attributes
    ----------
    wait: seconds that the server asks to wait; None: it does not say.
    busy: the server says that it is asked too much.
    reached: there is a server; False: there was no connection.
    """

    def __init__(
        self,
        problem: str,
        wait: float | None = None,
        *,
        busy: bool = False,
        reached: bool = True,
    ) -> None:
        super().__init__(problem)
        self.wait, self.busy, self.reached = wait, busy, reached


class RefusedError(Exception):
    """The server will not answer this request, however often it is sent.

    Attributes
    ----------
    code: of HTTP.
    """

    def __init__(self, code: int, problem: str) -> None:
        super().__init__(problem)
        self.code = code


@dataclass(frozen=True, slots=True)
class Posted:
    """A reply's body and the content type that it says it has."""

    body: bytes
    kind: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected request would carry its key to wherever the answer points."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


def post(url: str, body: Mapping[str, Any], secret: str | None, timeout: float) -> Posted:
    """Send JSON and read the whole reply, in ``timeout`` seconds in all.

    Raises
    ------
    PassingError: no connection, no or half an answer in time, 408, 409, 425, 429, 5xx.
    RefusedError: any other code.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if secret is not None:
        headers["Authorization"] = f"Bearer {secret}"
    content = json.dumps(body).encode()
    request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310 (http only)
    end = time.monotonic() + timeout
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            return Posted(_read(reply, end), reply.headers.get("Content-Type", ""))
    except urllib.error.HTTPError as error:
        with error:
            raise _by_code(error) from None
    except TimeoutError as error:
        raise PassingError(f"no whole reply within {timeout:g} s") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | socket.timeout):
            raise PassingError(f"no connection within {timeout:g} s", reached=False) from error
        reason = error.reason
        said = first_line(reason) if isinstance(reason, Exception) else str(reason)
        raise PassingError(f"no connection ({said})", reached=False) from error
    except (http.client.HTTPException, OSError) as error:
        raise PassingError(
            f"the connection broke ({type(error).__name__}: {first_line(error)})"
        ) from error


def _read(reply: Any, end: float) -> bytes:
    """The whole body; a server that trickles is as late as one that is silent."""
    parts: list[bytes] = []
    size = 0
    while True:
        if time.monotonic() > end:
            raise TimeoutError
        part = reply.read1(_CHUNK)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise PassingError(f"a reply of more than {LARGEST >> 20} MiB, which no chat gives")
    if reply.length:
        raise PassingError(f"the reply ended {reply.length} bytes before its end")
    return b"".join(parts)


def _by_code(error: urllib.error.HTTPError) -> PassingError | RefusedError:
    try:
        body = error.read(_CHUNK)
    except (OSError, http.client.HTTPException):
        body = b""
    said = f"HTTP {error.code}: {_message(body) or error.reason or 'no reason given'}"
    if error.code in (408, 409, 425, 429) or error.code >= 500:
        busy = error.code in (429, 503)
        if error.code == 429 and "insufficient_quota" in said:
            return RefusedError(402, said)
        return PassingError(said, _wait(error.headers.get("Retry-After")), busy=busy)
    if 300 <= error.code < 400:
        target = (error.headers.get("Location") or "another address")[:200]
        return RefusedError(error.code, f"{said}; it points to {target}: give that address")
    return RefusedError(error.code, said)


def _message(body: bytes) -> str:
    """What an error's body says, in one short line."""
    text = body.decode("utf-8", errors="replace")
    try:
        found = loads(text)
        inner = found.get("error", found) if isinstance(found, dict) else found
        if isinstance(inner, dict):
            code = inner.get("code")
            text = str(inner.get("message") or inner.get("detail") or inner)
            text = f"{text} ({code})" if isinstance(code, str) else text
        else:
            text = str(inner)
    except (ValueError, RecursionError):
        pass
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}..."


def _wait(value: str | None) -> float | None:
    """Seconds of a ``Retry-After``: a number, or a date.

    >>> _wait("1.5"), _wait("soon"), _wait(None)
    (1.5, None, None)
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds < 1e9 else None
