"""The stage that takes the answers which the user's claims came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from spatialtrust.run.batches import attach, unnest
from spatialtrust.tables import Answers

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class TakeAnswers:
    """Answers from the file of claims, joined to the batch as ``given_answers``; none is asked for.

    Attributes
    ----------
    model: whose they are called.
    given: hash of them.
    """

    model: str
    given: str

    writes: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("images", "claims")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ()
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """Whose answers, and which."""
        return {"asker": self.model, "given": self.given}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the answers."""
        rows = unnest(batch, "given_answers").drop_columns("image_id")
        return attach(batch, self.writes, Answers.from_arrow(rows))
