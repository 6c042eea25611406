"""A local server that talks like OpenAI's: replays replies, and every way in which servers fail."""

from __future__ import annotations

import json
import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Act:
    """What the server does with one request.

    Attributes
    ----------
    body: what it sends; a dict as JSON.
    code, headers: of HTTP.
    stall: seconds before it sends anything.
    cut: it sends so many bytes of the body and hangs up.
    drop: it hangs up at once.
    """

    body: Any = b""
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stall: float = 0.0
    cut: int | None = None
    drop: bool = False


def chat(text: str, top: dict[str, float] | None = None, **usage: int) -> dict[str, Any]:
    """A chat completion; ``top``: probabilities of its first token's candidates."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    if top is not None:
        candidates = [{"token": name, "logprob": math.log(p), "bytes": None}
                      for name, p in top.items()]  # fmt: skip
        first = {**candidates[0], "top_logprobs": candidates}
        choice["logprobs"] = {"content": [first]}
    counts = {"prompt_tokens": 100, "completion_tokens": 2, **usage}
    return {"object": "chat.completion", "choices": [choice], "usage": counts}


def question_of(request: dict[str, Any]) -> str:
    """The text of a request."""
    return str(request["messages"][0]["content"][-1]["text"])


@dataclass
class Server:
    """A running server.

    Attributes
    ----------
    url: for ``openai:MODEL@URL``.
    requests: every body that came, in order.
    headers: of each request.
    most: requests that were under way at once, at most.
    """

    act: Callable[[dict[str, Any], int], Act]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most: int = 0
    _running: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def questions(self) -> list[str]:
        """The texts that were asked."""
        return [question_of(request) for request in self.requests]


@contextmanager
def replaying(act: Callable[[dict[str, Any], int], Act]) -> Iterator[Server]:
    """A server on a free port of this machine that does with request number n as ``act`` says."""
    server = Server(act)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length))
            with server._lock:
                number = len(server.requests)
                server.requests.append(body)
                server.headers.append(dict(self.headers))
                server._running += 1
                server.most = max(server.most, server._running)
            try:
                self._do(server.act(body, number))
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with server._lock:
                    server._running -= 1

        def _do(self, act: Act) -> None:
            self.close_connection = True
            time.sleep(act.stall)
            if act.drop:
                return
            content = act.body if isinstance(act.body, bytes) else json.dumps(act.body).encode()
            self.send_response(act.code)
            for name, value in act.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content if act.cut is None else content[: act.cut])

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
