"""What fusion is for, relation by relation: it against the VLM alone and the verifier alone.

A VLM may know one relation and be blind to another, and so may boxes. On the same claims, those
with both boxes, the trust model that may correct answers for itself; a gain is how many more of its
answers are right, paired, with a 95 % interval by image.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.evaluation.figures import interval
from spatialtrust.metrics.bootstrap import interval as interval_of
from spatialtrust.metrics.bootstrap import resample_means
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.evaluation.ways import Exam, Way

FUSED: Final = "trust model, may correct"
AGAINST: Final[Mapping[str, str]] = MappingProxyType(
    {"VLM alone": "VLM confidence", "verifier alone": "verifier alone"}
)
_ALL: Final = "all"
_CLEAR: Final = 0.001
"""Where an interval has to begin for a gain to be one: a single claim moves its end less."""
_FEW: Final = 20
"""Claims of a relation below which nothing is said about it."""


def by_relation(
    exam: Exam, found: Mapping[str, Way], *, resamples: int = 500, seed: int = 0
) -> dict[str, Any]:
    """Accuracy per relation, and what fusion gains.

    Parameters
    ----------
    found: what :func:`spatialtrust.evaluation.ways.ways` made.
    resamples: of the bootstrap; 0: no intervals.

    Returns
    -------
    Relation, and ``all``, to ``claims``, ``accuracy`` of each way, and ``gain`` of fusion over each
    of ``AGAINST``: plain data.
    """
    seen = np.isfinite(found[AGAINST["verifier alone"]].score)
    right = {
        name: (found[way].answer == exam.label) & seen
        for name, way in {**AGAINST, "fused": FUSED}.items()
    }
    groups = {NAMES[n]: exam.features.relation == n for n in np.unique(exam.features.relation)}
    rows = {name: here & seen for name, here in groups.items()}
    rows = {name: here for name, here in rows.items() if here.sum() >= _FEW} | {_ALL: seen}
    return {name: _figures(exam, right, here, resamples, seed) for name, here in rows.items()}


def render_relations(found: Mapping[str, Any]) -> str:
    """The figures as plain text, and a sentence on where fusion is better than both."""
    width = max(map(len, found)) + 2
    heads = "".join(f"{name:<16}" for name in (*AGAINST, "fused"))
    gains = "".join(f"{f'gain over {name}':<28}" for name in AGAINST)
    lines = [
        "right answers, where both boxes are known",
        f"{'':<{width}}{'claims':<8}{heads}{gains.rstrip()}",
    ]
    for name, row in found.items():
        cells = "".join(f"{row['accuracy'][way]:<16.3f}" for way in (*AGAINST, "fused"))
        won = "".join(f"{_signed(row['gain'][way]):<28}" for way in AGAINST)
        lines.append(f"{name:<{width}}{row['claims']:<8}{cells}{won.rstrip()}")
    better = [
        name
        for name, row in found.items()
        if name != _ALL and min(row["gain"][w].get("low", 0.0) for w in AGAINST) >= _CLEAR
    ]
    lines.append(
        f"better than both, interval above 0: {', '.join(better)}"
        if better
        else "on no single relation is fusion better than both with an interval above 0"
    )
    return "\n".join(lines)


def _figures(
    exam: Exam,
    right: Mapping[str, NDArray[np.bool_]],
    rows: NDArray[np.bool_],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    gains = [right["fused"][rows].astype(float) - right[name][rows] for name in AGAINST]
    figures = [{"value": float(gain.mean())} for gain in gains]
    if resamples:
        images = exam.image[rows]
        drawn = resample_means(gains, groups=images, n=resamples, seed=seed)
        count = int(np.unique(images).size)
        ends = [interval_of(each, groups=count, limits=(-1.0, 1.0)) for each in drawn]
        figures = [{"value": end.value, "low": end.low, "high": end.high} for end in ends]
    return {
        "claims": int(rows.sum()),
        "accuracy": {name: float(mask[rows].mean()) for name, mask in right.items()},
        "gain": dict(zip(AGAINST, figures, strict=True)),
    }


def _signed(estimate: dict[str, float]) -> str:
    text = interval(estimate)
    return text if estimate["value"] < 0 else f"+{text}"
