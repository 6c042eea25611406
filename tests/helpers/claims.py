"""A cup, a shelf, and what is claimed of them."""

from __future__ import annotations

import numpy as np

from spatialtrust.tables import Answers, Claims, Grounding

SIZE = np.ones((1, 2), dtype=np.float32)
CUP, SHELF = [0.2, 0.4, 0.3, 0.6], [0.6, 0.1, 0.9, 0.7]


def claims(*said: tuple[str, str | None, str]) -> Claims:
    return Claims.from_rows(
        {"claim_id": str(row), "image_id": "a", "subject": s, "relation": r, "object": o}
        for row, (s, r, o) in enumerate(said)
    )


def boxes(rows: int, subject: list[float] = CUP, other: list[float] = SHELF) -> Grounding:
    return Grounding.from_boxes(
        np.tile(subject, (rows, 1)), np.tile(other, (rows, 1)), np.tile(SIZE, (rows, 1))
    )


def answers(*p_yes: float) -> Answers:
    return Answers.from_rows(
        {"claim_id": str(row), "model": "m", "view": "plain", "form": "claim",
         "prompt_id": "default", "answer": "yes" if p > 0.5 else "no", "p_yes": p}
        for row, p in enumerate(p_yes)
    )  # fmt: skip
