"""The stages that judge claims: evidence, fusion, decision. No model of vision is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.decision.verdicts import conclude
from spatialtrust.defaults import TRUST_MODEL
from spatialtrust.evidence.from_answers import assertions
from spatialtrust.evidence.gathering import gather
from spatialtrust.fusion.model import TrustModel
from spatialtrust.fusion.pairs import read_enumerated
from spatialtrust.reasons import decode, encode
from spatialtrust.run.batches import attach, detach
from spatialtrust.run.stages.base import answers_of, grounding_of, loaded, without_model
from spatialtrust.tables import Claims, Evidence, Fused

if TYPE_CHECKING:
    from spatialtrust.decision.commit_gate import Rule


@dataclass
class Gather:
    """The evidence of each claim."""

    writes: ClassVar[str] = "evidence"
    reads: ClassVar[tuple[str, ...]] = ("images", "detections", "claims")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ("answers",)
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """Nothing can be set."""
        return {}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the evidence."""
        claims = detach(batch, "claims", Claims)
        evidence = gather(claims, grounding_of(batch, claims), answers_of(batch))
        return attach(batch, self.writes, evidence)


@dataclass
class Fuse:
    """P(the claim is true) by a trust model: name of a shipped one, or path of a fitted one."""

    model: str = TRUST_MODEL
    sha256: str | None = None

    writes: ClassVar[str] = "scores"
    reads: ClassVar[tuple[str, ...]] = ("images", "detections", "claims", "evidence")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ()
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """The model, by content."""
        return {"model": self.model, "sha256": self.sha256}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add ``claim_id``, ``p_true``, ``p_boxes``, ``reasons`` and ``meaning``."""
        model: TrustModel = loaded(self, lambda: TrustModel.load(self.model))
        evidence = detach(batch, "evidence", Evidence)
        fused = model.predict(evidence)
        meaning = pa.nulls(len(evidence), pa.string())
        if model.reads_pairs:
            fused, meaning = self._read(batch, evidence, fused)
        rows = Evidence.from_columns(
            {
                "claim_id": evidence.column("claim_id"),
                "reasons": decode(fused.reasons),
                "p_true": fused.p_true,
                "p_boxes": fused.p_boxes,
                "meaning": meaning,
            }
        )
        return attach(batch, self.writes, rows)

    def _read(self, batch: pa.Table, evidence: Evidence, fused: Fused) -> tuple[Fused, pa.Array]:
        """What a model that only knows written claims says of pairs, and the reading it is of."""
        claims = detach(batch, "claims", Claims)
        row = pc.index_in(evidence.column("claim_id"), value_set=claims.column("claim_id"))
        claims = claims.take(np.asarray(row.to_numpy()))
        return read_enumerated(fused, claims, lambda: grounding_of(batch, claims))

    def __getstate__(self) -> dict[str, Any]:
        return without_model(self)


@dataclass
class Decide:
    """Accept, correct or abstain by a rule."""

    rule: Rule

    writes: ClassVar[str] = "verdicts"
    reads: ClassVar[tuple[str, ...]] = ("images", "claims", "scores")
    costly: ClassVar[bool] = False
    may_read: ClassVar[tuple[str, ...]] = ("answers",)
    loads_model: ClassVar[bool] = False
    gpus: ClassVar[float] = 0

    def settings(self) -> dict[str, Any]:
        """The rule."""
        return self.rule.to_dict()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the verdicts."""
        claims = detach(batch, "claims", Claims)
        scores = detach(batch, "scores", Evidence)
        row = pc.index_in(claims.column("claim_id"), value_set=scores.column("claim_id"))
        ordered = scores.take(np.asarray(row.to_numpy()))
        fused = Fused(
            ordered.numbers("p_true"), ordered.numbers("p_boxes"), encode(ordered.column("reasons"))
        )
        meaning = ordered.data["meaning"] if "meaning" in ordered.data.column_names else None
        verdicts = conclude(
            claims, fused, self.rule, assertions(claims, answers_of(batch)), meaning
        )
        return attach(batch, self.writes, verdicts)
