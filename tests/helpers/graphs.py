"""Small scene graphs for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.graph import SceneGraph
from spatialtrust.tables import Detections, Verdicts

Claim = tuple[str, str, str, float]


def detections(phrases: Sequence[str], image_id: str = "a.jpg") -> Detections:
    """Objects named o0, o1 ... in a row from left to right."""
    return Detections.from_rows(
        {
            "image_id": image_id,
            "object_id": f"o{place}",
            "phrase": phrase,
            "x1": 20.0 * place,
            "y1": 5.0,
            "x2": 20.0 * place + 10,
            "y2": 15.0,
            "score": 0.5 + 0.1 * (place % 5),
            "rank": 0,
        }
        for place, phrase in enumerate(phrases)
    )


def verdicts(
    claims: Sequence[Claim],
    *,
    threshold: float = 0.8,
    answers: Sequence[int] | None = None,
    labels: Sequence[int | None] | None = None,
) -> Verdicts:
    """Verdicts on (subject id, relation, object id, p_true) by a plain threshold."""
    p_true = [claim[3] for claim in claims]
    asserted = list(answers) if answers is not None else [1] * len(claims)
    codes = np.array(asserted, dtype=np.int8)
    found = decide(p_true, codes, DecisionRule.plain(threshold)).to_arrow()
    words = {1: "yes", 0: "no", -1: None}
    rows = [
        {
            "claim_id": f"a.jpg#{row:06d}",
            "image_id": "a.jpg",
            "asserted": words[asserted[row]],
            "emitted": found["emitted"][row].as_py(),
            "p_true": p,
            "p_boxes": p,
            "confidence": found["confidence"][row].as_py(),
            "decision": found["decision"][row].as_py(),
            "reasons": (["below_threshold"] if found["decision"][row].as_py() == "abstain" else []),
            "subject_id": subject,
            "relation": relation,
            "object_id": other,
            "source": "enumerated",
            "label": labels[row] if labels is not None else None,
        }
        for row, (subject, relation, other, p) in enumerate(claims)
    ]
    return Verdicts.from_rows(rows)


def graph(
    claims: Sequence[Claim],
    phrases: Sequence[str] = ("mug", "kettle", "mug"),
    *,
    threshold: float = 0.8,
    answers: Sequence[int] | None = None,
    labels: Sequence[int | None] | None = None,
) -> SceneGraph:
    """The scene graph of one small image."""
    return SceneGraph.build(
        "a.jpg",
        (640, 480),
        detections(phrases),
        verdicts(claims, threshold=threshold, answers=answers, labels=labels),
        DecisionRule.plain(threshold),
        answered=answers is not None,
    )
