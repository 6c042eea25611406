"""How far answers of other tools' result files can be trusted: by sub-task, and by question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import metrics
from spatialtrust.evaluation.figures import MIN_ROWS, Estimator, interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNNAMED: Final = "(not said)"


def measure(
    confidence: NDArray[np.float64],
    is_correct: NDArray[np.bool_],
    groups: NDArray[Any],
    *,
    calibrated: bool = True,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy of all rows, and the selective figures of those with a confidence.

    Parameters
    ----------
    confidence: (N,) P(the answer is right), or what ranks like it; NaN: not known.
    is_correct: (N,).
    groups: (N,) rows of one group are not independent; intervals draw whole groups.
    calibrated: the confidence is a probability, so ``ece`` means something.
    """
    found: dict[str, Any] = {"rows": len(is_correct), "groups": int(np.unique(groups).size)}
    if len(is_correct) < MIN_ROWS:
        return found
    found["accuracy"] = Estimator(
        np.ones(len(is_correct)), is_correct, groups, resamples, seed
    ).accuracy()
    known = np.isfinite(confidence)
    found["with_confidence"] = int(known.sum())
    if known.sum() < MIN_ROWS or np.unique(confidence[known]).size < 2:
        return found
    estimate = Estimator(confidence[known], is_correct[known], groups[known], resamples, seed)
    for name, metric in (("auroc", metrics.auroc), ("aurc", metrics.aurc)):
        found[name] = estimate(metric)
    if calibrated:
        found["ece"] = estimate(metrics.ece)
    found["coverage_at_accuracy"] = estimate.coverages()
    return found


def orbits(
    orbit: NDArray[np.object_], is_correct: NDArray[np.bool_]
) -> dict[str, float | int] | None:
    """Questions whose every variant is right, as circular scores count; None: no variants.

    >>> orbits(np.array(["a", "a", "b", "b"], object), np.array([True, True, True, False]))
    {'questions': 2, 'variants': 4, 'all_right': 0.5}
    """
    named = orbit.astype(str) != ""
    if not named.any():
        return None
    _, which = np.unique(orbit[named].astype(str), return_inverse=True)
    right = np.bincount(which, is_correct[named].astype(float)) == np.bincount(which)
    return {
        "questions": len(right),
        "variants": int(named.sum()),
        "all_right": float(right.mean()),
    }


def render(found: dict[str, Any]) -> str:
    """A report of :func:`spatialtrust.jobs.judging.judge` as plain text."""
    lines = [
        f"{found['source']}: {found['tool']}, {found['rows']} rows, "
        f"{found['by_status'].get('ok', 0)} count",
    ]
    for status, count in found["by_status"].items():
        if status != "ok":
            lines.append(f"  {count:>7}  {status}: {found['about'][status]}")
    blocks = [("confidence of the file", "own")]
    blocks += [("trust: the file's answers, checked against boxes", "trust")]
    for title, key in blocks:
        block = found.get(key)
        if block is None:
            continue
        lines += ["", f"{title} ({block['from']})", f"{'':<28}{'rows':>6}  accuracy"
                  "                 AUROC                    coverage at 80 / 90 %"]  # fmt: skip
        for name, figures in [("all", block["overall"]), *block["by_sub_task"].items()]:
            lines.append(f"{name[:28]:<28}{figures['rows']:>6}  {_figures(figures)}")
    if found.get("orbits"):
        said = found["orbits"]
        lines += ["", f"{said['questions']} questions in {said['variants']} variants: "
                  f"{said['all_right']:.3f} right in every one"]  # fmt: skip
    return "\n".join(lines)


def _figures(figures: dict[str, Any]) -> str:
    if "accuracy" not in figures:
        return "too few"
    text = f"{interval(figures['accuracy']):<25}"
    if "auroc" not in figures:
        return f"{text}-"
    at = figures["coverage_at_accuracy"]
    return (
        f"{text}{interval(figures['auroc']):<25}{at['0.8']['value']:.2f} / {at['0.9']['value']:.2f}"
    )
