"""Asks a server: as fast as it may, as long as it takes, and nothing twice.

Each request is tried up to ``attempts`` times with growing pauses; a pause that the server asks for
(``Retry-After``) holds for everybody. Parameters that a server does not know are left out, once it
has said so. What fails for good is told apart: one question's fault, or the server's.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.served.http import PassingError, RefusedError, post
from spatialtrust.backends.served.record import Record, key_of
from spatialtrust.backends.served.replies import Told, told
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spatialtrust.backends.served.target import Target

log: Final = logging.getLogger("spatialtrust")

LONGEST: Final = 900.0
"""Seconds of a ``Retry-After`` that are waited for; a server that asks for more ends the run."""
_DEAD: Final = 3
"""Questions in a row that are given up before the server is."""
_FIRST_PAUSE: Final = 0.5
_ADVICE: Final = {
    401: "the key is missing or wrong: export it and name it, openai:MODEL@URL#key=NAME",
    402: "the account has no credit left",
    403: "this key may not use this model",
    404: "there is no such model or address: is MODEL what the server calls it (GET URL/models), "
    "and does URL end where /chat/completions begins, mostly in /v1?",
    429: "give the same command when that time is over, or go slower: #rpm=60",
    405: "the address takes no questions: does URL end where /chat/completions begins?",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes
    ----------
    picture: a ``data:`` address.
    digest: of the picture.
    text: of the question.
    sample: 0: the likeliest reply; from 1 on: drawn.
    """

    picture: str
    digest: str
    text: str
    sample: int = 0


@dataclass(slots=True)
class Usage:
    """What asking took so far in this process."""

    asked: int = 0
    from_record: int = 0
    tries_repeated: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


class Client:
    """A served model's address, its pace, and the record of what it replied.

    Parameters
    ----------
    target: see ``Target``.
    record: where replies are kept.
    sleep, clock: of the machine; tests give others.
    """

    def __init__(
        self,
        target: Target,
        record: Record,
        *,
        sleep: Callable[[float], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target, self.record = target, record
        self.usage = Usage()
        self.dropped: set[str] = set()
        self.top = 20
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0

    def ask(self, asks: Sequence[Ask]) -> list[Told | str]:
        """A reply each, or why there is none.

        Raises
        ------
        BackendError: the server is down, or refuses everything; what it replied before is kept.
        """
        found: list[Told | str] = [""] * len(asks)
        waiting: list[tuple[int, Ask, str]] = []
        for place, ask in enumerate(asks):
            key = self._key(ask)
            kept = self.record.get(key)
            if kept is None:
                waiting.append((place, ask, key))
            else:
                found[place] = Told.from_dict(kept)
                self.usage.from_record += 1
        if waiting:
            self._all(waiting, found)
        return found

    def _all(self, waiting: Sequence[tuple[int, Ask, str]], found: list[Told | str]) -> None:
        self.target.secret()  # say that the key is not set before anything is sent
        self._stop.clear()
        row_of_failures = 0
        any_reply = len(self.record) > 0
        queue = iter(waiting)
        pool = ThreadPoolExecutor(self.target.concurrency, "spatialtrust-ask")
        running: dict[Future[Told], int] = {}
        try:
            while True:
                while len(running) < self.target.concurrency and (work := next(queue, None)):
                    running[pool.submit(self._one, work[1], work[2])] = work[0]
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=running.__getitem__):
                    place = running.pop(future)
                    try:
                        found[place] = future.result()
                        row_of_failures, any_reply = 0, True
                    except (PassingError, RefusedError) as error:
                        found[place] = f"failed: {error}"
                        self._count(str(error))
                        row_of_failures += 1
                        self._give_up(error, row_of_failures, any_reply, len(waiting))
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _give_up(self, error: Exception, in_a_row: int, any_reply: bool, asked: int) -> None:
        """End the run where the server, not the question, is at fault."""
        code = error.code if isinstance(error, RefusedError) else None
        whole = code in _ADVICE or (code is not None and 300 <= code < 400)
        # One question that a living server never answers must not end every run that asks it.
        passing = isinstance(error, PassingError)
        gone = isinstance(error, PassingError) and not error.reached
        enough = in_a_row >= (min(_DEAD, asked) if gone else _DEAD)
        if not whole and not (enough and (passing or not any_reply)):
            return
        advice = _ADVICE.get(code or 0, "start the server, or wait until it answers again")
        if code in {400, 422}:
            advice = "it refuses every question; is it a model that is given pictures?"
        raise BackendError(
            f"{self.target.model} at {self.target.url} gives no answers ({error}). {advice}. "
            f"{len(self.record)} replies are kept in {self.record.path} and are not asked for "
            "again: give the same command once more"
        ) from error

    def _one(self, ask: Ask, key: str) -> Told:
        """One reply, tried for as often as is set, kept before it is used."""
        problem: PassingError | None = None
        attempt = 0
        while attempt < self.target.attempts:
            self._pace()
            try:
                posted = post(
                    f"{self.target.url}/chat/completions",
                    self.body(ask),
                    self.target.secret(),
                    self.target.timeout,
                )
                reply = told(posted.body, posted.kind)
            except RefusedError as error:
                if self._adapts(error):
                    continue
                raise
            except PassingError as error:
                problem = error
                attempt += 1
                self._pause(error, attempt)
                continue
            self.record.put(key, reply.to_dict())
            with self._lock:
                self.usage.asked += 1
                self.usage.prompt_tokens += reply.usage.get("prompt_tokens", 0)
                self.usage.completion_tokens += reply.usage.get("completion_tokens", 0)
            return reply
        raise problem or PassingError("it was not tried")

    def body(self, ask: Ask) -> dict[str, Any]:
        """The request, without what this server does not know."""
        content = [
            {"type": "image_url", "image_url": {"url": ask.picture}},
            {"type": "text", "text": ask.text},
        ]
        full: dict[str, Any] = {
            "model": self.target.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.target.tokens,
            "temperature": 1.0 if ask.sample else 0.0,
        }
        if "max_tokens" in self.dropped:
            full["max_completion_tokens"] = full.pop("max_tokens")
        if ask.sample:
            full["seed"] = ask.sample
        else:
            full |= {"logprobs": True, "top_logprobs": self.top}
        if "logprobs" in self.dropped:
            full.pop("top_logprobs", None)
        return {name: value for name, value in full.items() if name not in self.dropped}

    def _key(self, ask: Ask) -> str:
        return key_of(
            {
                "url": self.target.url,
                "model": self.target.model,
                "picture": ask.digest,
                "text": ask.text,
                "sample": ask.sample,
                "tokens": self.target.tokens,
            }
        )

    def _adapts(self, error: RefusedError) -> bool:
        """Leave out the parameter that a refusal names; False: it names none that can be."""
        if error.code not in (400, 422):
            return False
        said = str(error).lower()
        with self._lock:
            if "logprobs" in said and self.top > 5 and "logprobs" not in self.dropped:
                self.top = 5
                return True
            for name in ("logprobs", "temperature", "seed", "max_completion_tokens", "max_tokens"):
                if name in said and name not in self.dropped:
                    self.dropped.add(name)
                    log.warning(
                        "%s: the server does not accept %s; leaving it out (%s)",
                        self.target.url,
                        name,
                        error,
                    )
                    return True
        return False

    def _pace(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + 60.0 / self.target.rpm
        if at > now:
            self._sleep(at - now)
        if self._stop.is_set():
            raise PassingError("the run has ended")

    def _pause(self, error: PassingError, attempt: int) -> None:
        """Wait before the next try; a pause that the server asks for holds for all requests."""
        self._count(str(error))
        if attempt >= self.target.attempts:
            return
        pause = min(_FIRST_PAUSE * 2.0 ** (attempt - 1), 60.0) * random.uniform(0.5, 1.0)
        if error.wait is not None:
            if error.wait > LONGEST:
                raise RefusedError(429, f"{error}; it asks to wait {error.wait:,.0f} s")
            pause = max(pause, error.wait)
        with self._lock:
            self.usage.tries_repeated += 1
            if error.busy:
                self._next = max(self._next, self._clock() + pause)
        self._sleep(pause)

    def _count(self, problem: str) -> None:
        with self._lock:
            reasons = self.usage.reasons
            reasons[problem[:80]] = reasons.get(problem[:80], 0) + 1
