"""Why a claim got its probability: what each family of columns adds, in words.

Contributions are in log-odds, before calibration: the terms of the relation's regression, exactly,
and those of the trees by tree SHAP (Lundberg et al. 2020, Nature Machine Intelligence 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.evidence.columns import DETECTOR, LIVE, POSED, RELATION, THINGS
from spatialtrust.fusion.boosting import MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.evidence.columns import Features
    from spatialtrust.fusion.model import TrustModel

_POSED_FAMILIES: Final = {
    "offset": "position", "left": "position", "right": "position", "top": "position",
    "bottom": "position", "gap": "distance", "free": "distance", "log": "distance",
    "inset": "overlap", "eccentricity": "overlap", "depth": "depth",
    "first": "place in the image", "second": "place in the image",
}  # fmt: skip
_NAMED: Final = {
    "alignment": "position", "across": "position", "stability": "position",
    "separation": "overlap", "detection_quality": "detector",
    "first_in_second": "overlap", "second_in_first": "overlap",
    "log_size_ratio": "size", "first_log_area": "size", "second_log_area": "size",
    "log_metres_apart": "depth", MARGIN: "relation",
}  # fmt: skip

FAMILIES: Final[Mapping[str, str]] = {
    **{name: _POSED_FAMILIES[name.split("_")[0]] for name in POSED},
    **dict.fromkeys(RELATION, "relation"),
    **dict.fromkeys(DETECTOR, "detector"),
    **dict.fromkeys(LIVE, "VLM"),
    **_NAMED,
}
"""Column to its family; the relation's regression, as a column of the trees, is ``relation``."""

_WORDS: Final[Mapping[str, str]] = {
    "position": "where the boxes lie",
    "distance": "how far apart they are",
    "overlap": "how they overlap",
    "size": "how large they are",
    "depth": "how far away things of their size are",
    "place in the image": "where in the image they are",
    "relation": "how often the relation holds",
    "detector": "how sure the detector is",
    "VLM": "the VLM's own doubts",
}
_WORTH_SAYING: Final = 0.15
"""Log-odds; less moves a probability by under four points."""


def contributions(model: TrustModel, features: Features) -> dict[str, NDArray[np.float32]]:
    """Log-odds that each family adds, (N,); together they are the model's log-odds.

    A claim whose boxes are not known gets numbers without meaning.
    """
    margin = model.relation_logit(features)
    known = np.maximum(features.relation, 0)
    terms = model.relations.contributions(features.block(POSED), features.block(THINGS), known)
    result = {family: np.zeros(len(features), dtype=np.float32) for family in _WORDS}
    for name, added in zip(model.relations.expansion.features, terms, strict=True):
        result[FAMILIES[name]] += added
    result["relation"] += model.relations.constant[known]
    trees = model.full or model.boxes
    added_by_trees = trees.contributions(features.block(trees.features), margin)
    for name, added in zip((MARGIN, *trees.features), added_by_trees, strict=True):
        result[FAMILIES[name]] += added
    return result


def explain(model: TrustModel, features: Features) -> list[str]:
    """One sentence per claim; empty where boxes or relation are not known."""
    added = contributions(model, features)
    fused = model.predict(features)
    rows = []
    for row, seen in enumerate(features.seen):
        said = {family: float(values[row]) for family, values in added.items()}
        order = sorted(said, key=lambda family: -abs(said[family]))
        worth = [family for family in order if abs(said[family]) >= _WORTH_SAYING]
        parts = [
            f"{word}: {', '.join(f'{_WORDS[f]} ({said[f]:+.1f})' for f in chosen)}"
            for word, chosen in (
                ("for", [family for family in worth if said[family] > 0]),
                ("against", [family for family in worth if said[family] < 0]),
            )
            if chosen
        ]
        told = "; ".join(parts) or "nothing speaks for or against it"
        rows.append(f"P(true) {fused.p_true[row]:.2f}, {told} (log-odds)" if seen else "")
    return rows


def by_family(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares by column, summed by family, largest first."""
    total: dict[str, float] = {}
    for name, share in shares.items():
        total[FAMILIES[name]] = total.get(FAMILIES[name], 0.0) + share
    return dict(sorted(total.items(), key=lambda entry: -entry[1]))
