"""Ways to trust a VLM's answers, side by side on the same labelled claims.

Five keep the VLM's answer and only rank it: its own confidence, the five-prompt text baseline,
geometry alone, the base method and the trust model. Two answer themselves:
the verifier alone, from boxes, and the trust model where it may correct. Any combination of VLM and
boxes has to beat both.

A figure of an edge counts claims that a way would emit yes: its candidates. Where a way does not
know, its score is the lowest there is, so unknown rows are covered last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.evaluation.figures import TARGETS, Estimator, interval
from spatialtrust.evidence.columns import Features
from spatialtrust.evidence.from_answers import listen, text_baseline
from spatialtrust.fusion.base_method import base_signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.tables import Answers, Claims, Evidence

RECALL: Final = 0.682
"""Share of the correct edges at which the base method's paper reports their precision."""


_CEILING: Final = "ceiling, accepting"


@dataclass(frozen=True, slots=True)
class Exam:
    """Labelled claims that a VLM answered, with all that any way to trust looks at.

    Attributes
    ----------
    features: (N,) claims.
    text: (N,) score of the five-prompt text baseline.
    label: int8 (N,) 1 true, 0 false.
    image: (N,) image of each.
    unanswered: labelled claims beyond these N, which the VLM did not answer: nothing covers them.
    """

    features: Features
    text: NDArray[np.float32]
    label: NDArray[np.int8]
    image: NDArray[Any]
    unanswered: int = 0

    @classmethod
    def of(cls, claims: Claims, evidence: Evidence, answers: Answers) -> Self:
        """The labelled claims of three tables of a run, joined by ``claim_id``.

        Raises
        ------
        InputError: no claim has both a label and an answer.
        """
        ordered = claims.sorted()
        features = Features.from_table(evidence.sorted())
        label = ordered.numbers("label")
        labelled = np.isfinite(label)
        rows = np.flatnonzero(labelled & (features.answer >= 0))
        if not rows.size:
            raise InputError("no claim has both a label and a VLM's answer; nothing to compare")
        text = text_baseline(listen(ordered, answers))
        return cls(
            features.select(rows),
            text[rows],
            label[rows].astype(np.int8),
            np.array(ordered.strings("image_id"))[rows],
            int(labelled.sum()) - rows.size,
        )

    def __len__(self) -> int:
        return len(self.label)

    def select(self, rows: NDArray[Any]) -> Self:
        """The claims where a mask is true, or at these positions."""
        return replace(
            self,
            features=self.features.select(rows),
            text=self.text[rows],
            label=self.label[rows],
            image=self.image[rows],
        )


class Way(NamedTuple):
    """What one way to trust says of (N,) claims.

    Attributes
    ----------
    answer: int8, 1 yes, 0 no: what it would emit.
    score: higher is surer that the answer is right; NaN: unknown.
    """

    answer: NDArray[np.int8]
    score: NDArray[Any]

    def ranked(self, label: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Confidence, what is unknown lowest, and whether each answer is right."""
        return np.nan_to_num(self.score.astype(np.float64), nan=-np.inf), self.answer == label

    def curve(self, label: NDArray[np.int8]) -> dict[str, list[float]]:
        """``coverage`` and ``accuracy`` at every threshold, from the strictest to the loosest."""
        walked = metrics.risk_coverage_curve(*self.ranked(label))
        return {"coverage": walked.coverage.tolist(), "accuracy": (1 - walked.risk).tolist()}


def ways(
    exam: Exam,
    p_true: NDArray[Any],
    p_boxes: NDArray[Any],
    base: NDArray[Any],
) -> dict[str, Way]:
    """All ways to trust, by name.

    Parameters
    ----------
    p_true, p_boxes: (N,) of a trust model that saw none of these images. Where a box is missing
        nothing can be corrected, and ``p_true`` ranks the VLM's answer by what is known of it.
    base: (N,) P(the VLM is right) by a :class:`~spatialtrust.fusion.base_method.BaseMethod` that
        saw none of them either.
    """
    said = exam.features.answer
    p_yes = exam.features.column("p_yes").astype(np.float64)
    alignment = base_signals(exam.features, said)[:, 0]
    return {
        "VLM confidence": Way(said, np.where(said == 1, p_yes, 1 - p_yes)),
        "five-prompt text": Way(said, exam.text),
        # Where a relation has no axis alignment says nothing either way.
        "geometry alone": Way(said, np.nan_to_num(alignment)),
        "base method": Way(said, base),
        "trust model": Way(said, np.where(said == 1, p_true, 1 - p_true)),
        "trust model, may correct": _itself(np.where(np.isfinite(p_boxes), p_true, np.nan)),
        "verifier alone": _itself(p_boxes),
    }


def compare(
    exam: Exam, found: Mapping[str, Way], *, resamples: int = 500, seed: int = 0
) -> dict[str, Any]:
    """Figures of every way, with 95 % intervals by image.

    Parameters
    ----------
    found: what :func:`ways` made.
    resamples: of the bootstrap; 0: no intervals.

    Returns
    -------
    Plain data: ``claims``, ``unanswered``, ``images``, ``true`` (share), and per way ``accuracy``
    of its answers, ``auroc``, ``aurc``, ``coverage_at_accuracy`` (with the ``ceiling`` of ways that
    only accept) and ``edges``: the ``candidates`` it would emit yes, their ``precision`` unpruned,
    and pruned to ``RECALL`` of the correct ones: ``precision_pruned``, ``share_kept`` and
    ``true_found``, the share of all true claims.
    """
    return {
        "claims": len(exam),
        "unanswered": exam.unanswered,
        "images": int(np.unique(exam.image).size),
        "true": float(exam.label.mean()),
        "ways": {name: _figures(exam, way, resamples, seed) for name, way in found.items()},
    }


def render(compared: Mapping[str, Any]) -> str:
    """The figures as plain text."""
    of = compared["ways"]
    width = max(map(len, (_CEILING, *of))) + 2
    lines = [
        f"{compared['claims']} claims on {compared['images']} images, "
        f"{compared['true']:.1%} of them true; {compared['unanswered']} more had no answer",
        f"{'':<{width}}{'accuracy':<22}{'AUROC':<22}AURC",
    ]
    for name, way in of.items():
        cells = "".join(f"{interval(way[key]):<22}" for key in ("accuracy", "auroc", "aurc"))
        lines.append(f"{name:<{width}}{cells.rstrip()}")
    goals = [f"{target:g}" for target in TARGETS]
    heads = "".join(f"{float(goal):<22.0%}" for goal in goals)
    lines += ["", "coverage at accuracy", f"{'':<{width}}{heads.rstrip()}"]
    ceilings = of["VLM confidence"]["coverage_at_accuracy"]
    limit = "".join(f"{ceilings[goal]['ceiling']:<22.3f}" for goal in goals)
    lines.append(f"{_CEILING:<{width}}{limit.rstrip()}")
    for name, way in of.items():
        cells = "".join(f"{interval(way['coverage_at_accuracy'][goal]):<22}" for goal in goals)
        lines.append(f"{name:<{width}}{cells.rstrip()}")
    lines += [
        "",
        f"edges: as emitted, and pruned to {RECALL:.1%} of the correct ones",
        f"{'':<{width}}{'candidates':<12}{'precision':<22}{'precision, pruned':<22}"
        f"{'kept':<8}of all true",
    ]
    for name, way in of.items():
        edges = way["edges"]
        lines.append(
            f"{name:<{width}}{edges['candidates']:<12}{interval(edges['precision']):<22}"
            f"{interval(edges['precision_pruned']):<22}{edges['share_kept']:<8.3f}"
            f"{edges['true_found']:.3f}"
        )
    return "\n".join(lines)


def _itself(probability: NDArray[Any]) -> Way:
    """A way that answers itself: the favoured side."""
    favoured = (probability >= 0.5).astype(np.int8)
    return Way(favoured, np.maximum(probability, 1 - probability))


def _figures(exam: Exam, way: Way, resamples: int, seed: int) -> dict[str, Any]:
    score, right = way.ranked(exam.label)
    estimate = Estimator(score, right, exam.image, resamples, seed)
    return {
        "accuracy": estimate.accuracy(),
        "auroc": estimate(metrics.auroc),
        "aurc": estimate(metrics.aurc),
        "coverage_at_accuracy": estimate.coverages(),
        "edges": _edges(exam, way, score, resamples, seed),
    }


def _edges(
    exam: Exam, way: Way, score: NDArray[np.float64], resamples: int, seed: int
) -> dict[str, Any]:
    rows = np.flatnonzero(way.answer == 1)
    nothing = {"value": float("nan")}
    if not rows.size:
        share = dict.fromkeys(("share_kept", "true_found"), float("nan"))
        return {"candidates": 0, "precision": nothing, "precision_pruned": nothing, **share}
    true = exam.label[rows] == 1
    estimate = Estimator(score[rows], true, exam.image[rows], resamples, seed)
    kept = score[rows] >= _threshold(score[rows], true)
    return {
        "candidates": int(rows.size),
        "precision": estimate.accuracy(),
        "precision_pruned": estimate(partial(metrics.precision_at_recall, recall=RECALL)),
        "share_kept": float(kept.mean()),
        "true_found": float((kept & true).sum() / max(int(exam.label.sum()), 1)),
    }


def _threshold(score: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """The strictest that keeps ``RECALL`` of the correct edges."""
    if not true.any():
        return np.inf
    correct = np.sort(score[true])[::-1]
    return float(correct[int(np.ceil(RECALL * correct.size)) - 1])
