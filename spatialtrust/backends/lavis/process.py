"""A worker process spoken to in JSON lines: time-outs, clear endings, nobody left behind.

One request is under way at a time; every line carries the request's number, so that an answer to a
request that was interrupted is never taken for the next one's. POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.documents import loads
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log: Final = logging.getLogger("spatialtrust")

_CHUNK: Final = 65_536
_TAIL_BYTES: Final = 8_192
_TAIL_LINES: Final = 15
_LOOK_EVERY: Final = 0.5  # seconds; a worker's own children may hold its pipes open after its end
_LONGEST_LINE: Final = 1 << 26
_MOST_GARBAGE: Final = 100
"""Lines that are no reply, of one worker; more are no accident."""
_GRACE: Final = 2.0  # seconds from the end of its output to the end of the process


class WorkerEndedError(BackendError):
    """The worker process ended, or wrote something that is not a reply."""


class WorkerTimeoutError(BackendError):
    """The worker did not reply in time and was stopped."""


class WorkerProcess:
    """A running worker, in a process group of its own that ends with this object.

    Parameters
    ----------
    command: program and arguments; it reads requests from stdin and writes replies to stdout.
    folder: its working directory.
    environment: its environment variables.

    Attributes
    ----------
    garbage: lines on its stdout that were no reply.

    Raises
    ------
    WorkerEndedError: the program cannot be started.
    """

    def __init__(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own worker, no shell
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerEndedError(
                f"{command[0]} cannot be started in {folder}: {error}"
            ) from error
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = (s.fileno() for s in streams if s is not None)
        for descriptor in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        self.garbage = 0
        self._received = b""
        self._said = b""
        self._requests = 0
        self._end = weakref.finalize(self, _end, self._process, os.getpid())

    @property
    def pid(self) -> int:
        """The process, which is also its group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take another request."""
        return self._end.alive and self._process.poll() is None

    def request(self, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send one request and wait for its reply.

        Parameters
        ----------
        message: JSON-ready; ``id`` is added.
        timeout: seconds.

        Raises
        ------
        WorkerEndedError: the worker ended first; its last lines on stderr are in the message.
        WorkerTimeoutError: no reply in time; the worker has been killed.
        """
        self._requests += 1
        what = str(message.get("op", "a request"))
        numbered = {**message, "id": self._requests}
        # One deadline from the question on, whatever is said in between.
        deadline = time.monotonic() + timeout
        outgoing = json.dumps(numbered, allow_nan=False).encode() + b"\n"
        self._exchange(outgoing, what, timeout, deadline)
        while True:
            line, _, self._received = self._received.partition(b"\n")
            reply = self._parse(line, what)
            if reply is not None and reply["id"] == self._requests:
                return reply
            if b"\n" not in self._received:
                self._exchange(b"", what, timeout, deadline)

    def close(self) -> None:
        """End the worker and everything it started."""
        self._end()

    def _exchange(self, outgoing: bytes, what: str, timeout: float, deadline: float) -> None:
        """Write ``outgoing`` and read until a whole line is there, whichever blocks."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            if outgoing:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._received:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise self._timed_out(what, timeout)
                ready = selector.select(min(remaining, _LOOK_EVERY))
                for key, _ in ready:
                    if key.fd == self._stdin:
                        outgoing = self._write(outgoing)
                        if not outgoing:
                            selector.unregister(self._stdin)
                    elif key.fd == self._stderr:
                        if not self._listen():
                            selector.unregister(self._stderr)
                    else:
                        chunk = os.read(self._stdout, _CHUNK)
                        self._received += chunk
                        if len(self._received) > _LONGEST_LINE:
                            raise self._ended(what)
                        if not chunk:
                            raise self._ended(what)
                if not ready and self._process.poll() is not None:
                    raise self._ended(what)

    def _write(self, outgoing: bytes) -> bytes:
        try:
            return outgoing[os.write(self._stdin, outgoing) :]
        except BrokenPipeError:
            return b""  # it has ended; the end of its stdout says so next

    def _listen(self) -> bool:
        """Keep the end of what it says on stderr; False at the end of the stream."""
        try:
            chunk = os.read(self._stderr, _CHUNK)
        except BlockingIOError:
            return False
        self._said = (self._said + chunk)[-_TAIL_BYTES:]
        return bool(chunk)

    def _parse(self, line: bytes, what: str) -> dict[str, Any] | None:
        """The reply that a line is; None, counted, where it is none: a library may print there."""
        try:
            reply = loads(line)
            if not isinstance(reply["id"], int):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            self.garbage += 1
            shown = line[:200].decode(errors="replace")
            problem = f'the worker answered "{what}" with a line that is not a reply: {shown!r}'
            if self.garbage <= _MOST_GARBAGE:
                log.warning("%s (line %d of that kind)", problem, self.garbage)
                return None
            self.close()
            raise WorkerEndedError(f"{problem}, and {_MOST_GARBAGE} before") from None
        return dict(reply)

    def _timed_out(self, what: str, timeout: float) -> WorkerTimeoutError:
        said = self._last_words()
        self.close()
        return WorkerTimeoutError(
            f'the worker did not answer "{what}" within {timeout:g} s and was stopped; {said}'
        )

    def _ended(self, what: str) -> WorkerEndedError:
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            how = "closed its output"
        else:
            how = f"ended with exit code {code}" if code >= 0 else _killed_by(-code)
        said = self._last_words()
        self.close()
        return WorkerEndedError(f'the worker {how} during "{what}"; {said}')

    def _last_words(self) -> str:
        while self._listen():
            pass
        lines = self._said.decode(errors="replace").splitlines()[-_TAIL_LINES:]
        if not lines:
            return "it said nothing on stderr"
        return "its last lines on stderr:\n" + "\n".join(f"    {line}" for line in lines)


def _killed_by(number: int) -> str:
    name = signal.Signals(number).name
    hint = " (often: the machine ran out of memory)" if number == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Kill the worker with its group; it is idle or past hope whenever this is called.

    A forked copy of the owner must not end the owner's worker.
    """
    if os.getpid() != owner:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
