"""A LAVIS worker that is there when it is needed: started late, replaced when it has ended."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialtrust.backends.lavis.process import WorkerEndedError, WorkerProcess
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a worker.

    Attributes
    ----------
    start: for the model to be loaded; the first time, LAVIS downloads gigabytes.
    request: for one batch of pictures or texts.
    """

    start: float = 3600.0
    request: float = 600.0


class Session:
    """A worker with its model loaded, replaced by a new one when it has ended.

    Parameters
    ----------
    command: what starts a worker; the scratch folder is added as its last argument.
    load: the request that loads the model.
    folder: working directory; LAVIS looks there for the files that it names without a path.
    timeouts: see ``Timeouts``.
    """

    def __init__(
        self, command: Sequence[str], load: Mapping[str, Any], folder: Path, timeouts: Timeouts
    ) -> None:
        self._command, self._load, self._folder = list(command), dict(load), folder
        self._timeouts = timeouts
        self.scratch = Path(tempfile.mkdtemp(prefix="spatialtrust-lavis-"))
        self._clean = weakref.finalize(self, _remove, self.scratch, os.getpid())
        self._worker: WorkerProcess | None = None
        self.facts: dict[str, Any] = {}

    def start(self) -> WorkerProcess:
        """The running worker; a new one where there is none.

        Raises
        ------
        BackendError: it ended, reported an error or took too long while loading the model.
        """
        if self._worker is None or not self._worker.alive:
            self._end_worker()
            self._worker = WorkerProcess(
                [*self._command, str(self.scratch)], folder=self._folder, environment=_environment()
            )
            facts = self._worker.request(self._load, self._timeouts.start)
            if "error" in facts:
                self._end_worker()
                raise BackendError(f"LAVIS could not load the model: {facts['error']}")
            self.facts = facts
        return self._worker

    def request(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """One request, asked again of a new worker if the first one ends.

        Raises
        ------
        BackendError: two workers ended over it, or it took too long.
        RuntimeError: the worker reports an error; it can take further requests.
        """
        try:
            reply = self.start().request(message, self._timeouts.request)
        except WorkerEndedError as error:
            if not self.facts:
                raise
            logger.warning("starting a new LAVIS worker: %s", error)
            reply = self.start().request(message, self._timeouts.request)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def close(self) -> None:
        """End the worker and remove what was exchanged with it."""
        self._end_worker()
        self._clean()

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _environment() -> dict[str, str]:
    """The variables of this process, in the words of the worker's older libraries."""
    environment = dict(os.environ)
    if environment.get("HF_HUB_OFFLINE") == "1":
        environment["TRANSFORMERS_OFFLINE"] = "1"
    return environment


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked copy of the owner must not remove it
        shutil.rmtree(folder, ignore_errors=True)
