"""Why a claim got its probability: what each family of columns adds, in words.

Contributions are in log-odds, before calibration: the terms of the relation's regression, exactly,
and those of the trees by tree SHAP (Lundberg et al. 2020, Nature Machine Intelligence 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.evidence.columns import FAMILIES
from spatialtrust.fusion.boosting import MARGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.evidence.columns import Features
    from spatialtrust.fusion.layers import Layers
    from spatialtrust.tables import Fused

_FAMILIES: Final[Mapping[str, str]] = {**FAMILIES, MARGIN: "relation"}
"""Family of each column of the trees; the relation's own regression is one of them."""

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
    "stated confidence": "how sure the VLM says it is",
    "perturbation": "how its answer holds when the objects are noised",
}
_WORTH_SAYING: Final = 0.15
"""Log-odds; less moves a probability by under four points."""


def contributions(layers: Layers, features: Features) -> dict[str, NDArray[np.float32]]:
    """Log-odds that each family adds, (N,); together they are the trees' log-odds.

    A claim whose boxes are not known gets numbers without meaning.
    """
    margin = layers.margin(features)
    result = {family: np.zeros(len(features), dtype=np.float32) for family in _WORDS}
    regressions = layers.regressions
    for name, added in zip(
        regressions.expansion.features, regressions.contributions(features), strict=True
    ):
        result[_FAMILIES[name]] += added
    result["relation"] += regressions.constant[np.maximum(features.relation, 0)]
    trees = layers.trees
    added_by_trees = trees.contributions(features.block(trees.features), margin)
    for name, added in zip((MARGIN, *trees.features), added_by_trees, strict=True):
        result[_FAMILIES[name]] += added
    return result


def explain(layers: Layers, features: Features, fused: Fused) -> list[str]:
    """One sentence per claim; empty where boxes or relation are not known.

    Parameters
    ----------
    fused: what the layers say of the claims.
    """
    added = contributions(layers, features)
    rows = []
    for row, known in enumerate(np.isfinite(fused.p_boxes)):
        if not known:
            rows.append("")
            continue
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
        rows.append(f"P(true) {fused.p_true[row]:.2f}, {told} (log-odds)")
    return rows


def by_family(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares by column, summed by family, largest first."""
    total: dict[str, float] = {}
    for name, share in shares.items():
        total[_FAMILIES[name]] = total.get(_FAMILIES[name], 0.0) + share
    return dict(sorted(total.items(), key=lambda entry: -entry[1]))
