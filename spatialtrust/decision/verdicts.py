"""From probabilities to verdicts: what is asserted, what goes out, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spatialtrust.decision.commit_gate import decide_by
from spatialtrust.decision.rule import ANSWERS, asserted_right
from spatialtrust.reasons import decode
from spatialtrust.tables import Verdicts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.decision.commit_gate import Rule
    from spatialtrust.tables import Claims, Fused


def conclude(
    claims: Claims,
    fused: Fused,
    rule: Rule,
    asserted: NDArray[np.int8],
    meaning: pa.Array | None = None,
) -> Verdicts:
    """Verdicts on claims, in their order, with the claims' own columns behind.

    Parameters
    ----------
    claims: (N,) rows.
    fused: what a trust model says of them, row by row.
    rule: plain or certified threshold, or one per relation.
    asserted: (N,) 1: yes, 0: no, -1: the VLM's answer is missing or unparsed.
    meaning: (N,) which reading the probabilities are of; None: claims mean what was written.

    Returns
    -------
    A claim without both boxes abstains whatever its ``p_true``; one whose answer is missing or
    unparsed has ``asserted`` null and abstains.
    """
    seen = np.isfinite(fused.p_boxes)
    decisions, low = decide_by(rule, fused.usable, asserted, claims.column("relation"))
    confidence = np.where(seen, decisions.confidence, asserted_right(fused.p_true, asserted))
    reasons = fused.reasons | np.where(seen, low, np.uint32(0))
    columns = decisions.to_arrow()
    verdicts = {
        "claim_id": claims.column("claim_id"),
        "asserted": pa.DictionaryArray.from_arrays(
            pa.array(asserted, mask=asserted < 0), pa.array(ANSWERS)
        ),
        "emitted": columns["emitted"],
        "p_true": fused.p_true,
        "p_boxes": fused.p_boxes,
        "confidence": confidence.astype(np.float32),
        "decision": columns["decision"],
        "reasons": decode(reasons),
        "meaning": pa.nulls(len(claims), pa.string()) if meaning is None else meaning,
    }
    own = {name: claims.column(name) for name in claims.data.column_names if name != "claim_id"}
    return Verdicts.from_columns({**verdicts, **own}, "verdicts")
