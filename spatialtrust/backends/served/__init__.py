"""Any model behind an OpenAI-compatible server: ``openai:MODEL@URL``.

vLLM, Ollama, llama.cpp, LM Studio and the hosted ones. ``docs/vlms.md`` says how they are asked.

>>> from spatialtrust.backends.base import Options
>>> served = open_backend("qwen@http://localhost:8000/v1", "openai:qwen@...", Options())
>>> served.needs_pixels
True
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from spatialtrust.backends import asking
from spatialtrust.backends.install import home
from spatialtrust.backends.looking import Memory
from spatialtrust.backends.served.target import Target, parse_target

if TYPE_CHECKING:
    from spatialtrust.backends.base import Options


log: Final = logging.getLogger("spatialtrust")

_HERE: Final = ("localhost", "127.0.0.1", "::1")


class Served(asking.ReadingAsker):
    """An ``Asker``; the first question is the first thing that is sent.

    ``p_yes`` is P(yes) / (P(yes) + P(no)) where the reply's answer begins, by the server's
    log-probabilities; where it gives none, ``(yes + 1/2) / (n + 1)`` of n repeats.
    """

    revision = None

    def __init__(self, target: Target, reference: str, options: Options) -> None:
        super().__init__(reference, options)
        self._target = target

    def __getstate__(self) -> dict[str, Any]:
        """All but the connection: a copy in another process makes its own."""
        kept = {name: value for name, value in self.__dict__.items() if name != "reader"}
        return {**kept, "_memory": Memory()}

    @cached_property
    def reader(self) -> asking.Reader:
        """The connection and the record of replies."""
        from spatialtrust.backends.served.client import Client
        from spatialtrust.backends.served.reader import ServedReader
        from spatialtrust.backends.served.record import Record

        parts = urlsplit(self._target.url)
        if self._target.key and parts.scheme == "http" and parts.hostname not in _HERE:
            log.warning(
                "the key in %s goes to %s unencrypted; give https:// if the server has it",
                self._target.key,
                self._target.url,
            )
        record = Record(self.record)
        log.info("replies of %s are kept in %s", self._target.model, record.path)
        return ServedReader(Client(self._target, record))

    @property
    def record(self) -> Path:
        """The file that every reply is appended to."""
        if self._target.record:
            return Path(self._target.record).expanduser()
        whose = f"{self._target.model}@{self._target.url}"
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self._target.model).strip("-.")[:40]
        return home() / "asked" / f"{slug}-{hashlib.sha256(whose.encode()).hexdigest()[:12]}.jsonl"

    @property
    def usage(self) -> dict[str, Any] | None:
        """What asking took: questions, tokens, cost; None before the first question."""
        reader: Any = self.__dict__.get("reader")
        if reader is None:
            return None
        client = reader.client
        paid = client.record.paid()
        counted = client.usage
        return {
            "asked": counted.asked,
            "from_record": counted.from_record,
            "tries_repeated": counted.tries_repeated,
            "prompt_tokens": counted.prompt_tokens,
            "completion_tokens": counted.completion_tokens,
            "cost": self._cost(counted.prompt_tokens, counted.completion_tokens),
            "problems": dict(counted.reasons),
            "record": str(client.record.path),
            "in_record": {
                **paid,
                "cost": self._cost(paid["prompt_tokens"], paid["completion_tokens"]),
            },
        }

    def _cost(self, prompt: int, completion: int) -> float | None:
        """In the currency of the prices; None where they were not given."""
        price_in, price_out = self._target.price_in, self._target.price_out
        if math.isnan(price_in) or math.isnan(price_out):
            return None
        return round((prompt * price_in + completion * price_out) / 1e6, 6)


def open_backend(target: str, reference: str, options: Options) -> Served:
    """Check a reference; nothing is sent. See ``registry.py``.

    Raises
    ------
    InputError: it is not ``MODEL@URL``, or a setting behind ``#`` is not known.
    """
    return Served(parse_target(target), reference, options)
