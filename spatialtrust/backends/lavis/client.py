"""The asker ``lavis:``: plans questions here, has pictures and texts scored by a LAVIS worker.

The worker is started at the first question and ends with the asker. When it crashes, what was lost
is asked again of a new one, once; a second crash on the same request, and a request that takes too
long, end in a ``BackendError`` with the worker's last lines. Faults that the worker reports (out of
memory, an image that cannot be read) are treated as those of any other backend: the batch is split,
and rows that fail alone say so in ``status``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends import asking
from spatialtrust.backends.asks import OK
from spatialtrust.backends.batching import Budget
from spatialtrust.backends.blip2.replies import SPELLINGS
from spatialtrust.backends.lavis.session import Session, Timeouts
from spatialtrust.backends.looking import Memory
from spatialtrust.errors import FileError, InputError, suggest
from spatialtrust.questions.prompts import STATEMENT, caption, question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options
    from spatialtrust.questions.prompts import Triple

logger = logging.getLogger(__name__)

TYPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "blip2_opt": (
            "pretrain_opt2.7b",
            "pretrain_opt6.7b",
            "caption_coco_opt2.7b",
            "caption_coco_opt6.7b",
        ),
        "blip2_t5": (
            "pretrain_flant5xl",
            "pretrain_flant5xl_vitL",
            "pretrain_flant5xxl",
            "caption_coco_flant5xl",
        ),
        "blip2_image_text_matching": ("pretrain", "pretrain_vitL", "coco"),
    }
)
"""Architecture to the types that LAVIS 1.0.2 knows of it."""

WORKER: Final = Path(__file__).resolve().with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Target:
    """Which model: an architecture and type that LAVIS knows, or a YAML file."""

    architecture: str | None
    type: str | None
    config: Path | None


def parse_target(target: str, reference: str) -> Target:
    """What comes after ``lavis:``.

    Raises
    ------
    InputError: it is neither ``architecture/type`` nor the path of a YAML file.
    FileError: the YAML file does not exist.

    >>> parse_target("blip2_t5/pretrain_flant5xl", "lavis:...").architecture
    'blip2_t5'
    """
    if target.endswith((".yaml", ".yml")):
        file = Path(target).expanduser().resolve()
        if not file.is_file():
            raise FileError(target, "does not exist", f"{reference} needs a YAML file of LAVIS")
        return Target(None, None, file)
    architecture, _, kind = target.partition("/")
    if architecture not in TYPES:
        raise InputError(
            f'{reference}: architecture "{architecture}" is not known; '
            f"{suggest(architecture, TYPES)}valid: {', '.join(TYPES)}, or the path of a YAML file"
        )
    valid = TYPES[architecture]
    if kind not in valid:
        raise InputError(
            f'{reference}: {architecture} has no type "{kind}"; '
            f"{suggest(kind, valid)}valid: {', '.join(valid)}"
        )
    return Target(architecture, kind, None)


class LavisReader:
    """A ``Reader`` whose model is in a worker; features are NumPy arrays."""

    def __init__(self, session: Session, budget: Budget) -> None:
        self.session, self.budget = session, budget
        session.start()

    @property
    def picture_cost(self) -> float:
        """Bytes of activations per picture."""
        return float(self.session.facts["picture_bytes"])

    preparers = 0
    """The worker prepares them."""

    def prepare(self, pixels: Pixels) -> Pixels:
        """A picture as it is handed over."""
        return np.ascontiguousarray(pixels)

    def encode(self, prepared: Sequence[Pixels]) -> Sequence[NDArray[np.float32]]:
        """The worker's features of each picture."""
        names = [f"{place}.npy" for place in range(len(prepared))]
        for name, array in zip(names, prepared, strict=True):
            np.save(self.session.scratch / name, array, allow_pickle=False)
        self.session.request({"op": "encode", "images": names, "to": "encoded.npy"})
        features = np.load(self.session.scratch / "encoded.npy", allow_pickle=False)
        return [row.copy() for row in features]

    def spell(self, claim: Triple, prompt: str) -> tuple[str, bool]:
        """The text that is scored, and whether it asks for a reply."""
        if self.session.facts["asks"] == "captions":
            return caption(claim, prompt), True
        text = question(claim, prompt)
        return (text, False) if prompt == STATEMENT else (f"Question: {text} Answer:", True)

    def score(
        self,
        features: Sequence[NDArray[np.float32]],
        picture: NDArray[np.int64],
        texts: Sequence[tuple[str, bool]],
    ) -> asking.Scores:
        """See ``Reader.score``."""
        scores = asking.Scores(len(texts))

        def forward(rows: list[int]) -> None:
            used, slot = np.unique(picture[rows], return_inverse=True)
            stacked = np.stack([features[place] for place in used])
            np.save(self.session.scratch / "asked.npy", stacked, allow_pickle=False)
            asked = [[int(s), *texts[row]] for s, row in zip(slot, rows, strict=True)]
            reply = self.session.request({"op": "score", "features": "asked.npy", "rows": asked})
            for name in ("margin", "mass", "entropy", "loglik_per_token", "similarity"):
                getattr(scores, name)[rows] = np.array(reply[name], dtype=np.float32)
            scores.status[rows] = [status or OK for status in reply["status"]]

        failures = self.budget.run([float(self.session.facts["row_bytes"])] * len(texts), forward)
        for row, status in failures.items():
            scores.status[row] = status
        scores.p_yes[:] = 1.0 / (1.0 + np.exp(-scores.margin.clip(-80, 80)))
        return scores


class Lavis(asking.ReadingAsker):
    """An ``Asker``; the worker starts at the first question and ends with this object.

    ``p_yes`` is P(yes) / (P(yes) + P(no)) of the reply's first token (OPT, T5), or the match
    probability of the claim's caption, beside which ``similarity`` is filled (image-text matching).
    """

    def __init__(
        self,
        target: Target,
        reference: str,
        options: Options,
        *,
        python: Path,
        worker: Path = WORKER,
        timeouts: Timeouts | None = None,
    ) -> None:
        super().__init__(reference, options)
        self._target = target
        self._command = [str(python), "-I", str(worker)]
        self._timeouts = timeouts or Timeouts()

    def __getstate__(self) -> dict[str, Any]:
        """All but the worker: a copy in another process starts its own."""
        kept = {name: value for name, value in self.__dict__.items() if name != "reader"}
        return {**kept, "_memory": Memory()}

    @cached_property
    def reader(self) -> LavisReader:
        """The worker, with its model loaded."""
        target, options = self._target, self._options
        if options.dtype not in ("auto", "float32"):
            logger.warning(
                "%s: LAVIS chooses its own dtypes; %s is not used", self.reference, options.dtype
            )
        load = {
            "op": "load",
            "architecture": target.architecture,
            "type": target.type,
            "config": None if target.config is None else str(target.config),
            "device": options.device,
            "yes": SPELLINGS["yes"],
            "no": SPELLINGS["no"],
        }
        folder = Path.cwd() if target.config is None else target.config.parent
        session = Session(self._command, load, folder, self._timeouts)
        return LavisReader(session, self._budget)

    @property
    def revision(self) -> str | None:
        """Hash of the checkpoint, known once it is loaded."""
        loaded = self.__dict__.get("reader")
        return None if loaded is None else str(loaded.session.facts["revision"])

    def close(self) -> None:
        """End the worker; the next question starts another."""
        if "reader" in self.__dict__:
            self.reader.session.close()
            del self.reader
