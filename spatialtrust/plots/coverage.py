"""Pictures of coverage: what is covered, and how often that is right."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import metrics
from spatialtrust.evaluation.figures import TARGETS, Estimator
from spatialtrust.evaluation.labelled import columns_of, verdicts_of
from spatialtrust.plots.style import ASSERTED, CEILING, LOOKS, answerers, legend, nothing
from spatialtrust.shown import axes as axes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEPS: Final = 400
_BAND: Final = 24
"""Coverages at which an interval is drawn."""
UNKNOWN: Final = "no labelled claim has a confidence"


def risk_coverage(verdicts: Any, *, resamples: int = 200, seed: int = 0, axes: Any = None) -> Any:
    """How often what is covered is wrong, as less sure claims are covered too.

    One line for what was asserted (ranked by P(it is right)), with its 95 % interval by image, one
    for the verifier alone, one for the VLM's own confidence where it is known; dotted the least
    risk that any rule can have which only accepts or abstains.

    Parameters
    ----------
    verdicts: with labels.
    resamples: of the bootstrap by image; 0: no interval.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    InputError: no row has a label.
    MissingDependencyError: matplotlib is not installed.
    """
    columns = columns_of(verdicts_of(verdicts))
    ax = axes_of(axes)
    for name, (confidence, right, image) in answerers(columns):
        curve = metrics.risk_coverage_curve(confidence, right)
        look = {**LOOKS[name], "marker": "o" if curve.coverage.size < 3 else ""}
        ax.plot(curve.coverage, curve.risk, label=name, **look)
        if name == ASSERTED:
            grid = np.linspace(1 / _STEPS, 1, _STEPS)
            least = np.maximum(0, 1 - float(right.mean()) / grid)
            ax.plot(grid, least, label=CEILING, **LOOKS[CEILING])
            if resamples:
                _band(ax, Estimator(confidence, right, image, resamples, seed))
    if not ax.lines:
        nothing(ax, UNKNOWN)
    ax.set(xlabel="coverage", ylabel="risk: share wrong of what is covered", xlim=(0, 1.02))
    ax.set_ylim(0, None if ax.get_ylim()[1] > 0.05 else 0.05)
    ax.grid(alpha=0.3)
    legend(ax, loc="best")
    return ax


def _band(ax: Any, estimate: Estimator) -> None:
    """The interval around the line of what was asserted."""
    grid = np.linspace(1 / _BAND, 1, _BAND)
    found = [estimate(partial(metrics.accuracy_at_coverage, coverage=float(at))) for at in grid]
    low, high = (np.array([1 - entry[name] for entry in found]) for name in ("high", "low"))
    ax.fill_between(grid, low, high, color=LOOKS[ASSERTED]["color"], alpha=0.15, linewidth=0)


def coverage_targets(
    verdicts: Any,
    *,
    targets: Sequence[float] = TARGETS,
    resamples: int = 200,
    seed: int = 0,
    axes: Any = None,
) -> Any:
    """The share that can be covered at each accuracy, with 95 % intervals by image.

    Each point is the largest coverage whose accuracy reaches the target on these very claims; a
    certified threshold covers less. Dotted: the most that accepting alone can cover.

    Parameters
    ----------
    verdicts: with labels.
    targets: accuracies.
    resamples: of the bootstrap by image; 0: no intervals.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    InputError: no row has a label.
    MissingDependencyError: matplotlib is not installed.
    """
    columns = columns_of(verdicts_of(verdicts))
    ax = axes_of(axes)
    at = np.asarray(targets, dtype=np.float64)
    for number, (name, (confidence, right, image)) in enumerate(answerers(columns)):
        estimate = Estimator(confidence, right, image, resamples, seed)
        found = [
            estimate(partial(metrics.coverage_at_accuracy, accuracy=float(target))) for target in at
        ]
        value = np.array([entry["value"] for entry in found])
        shift = 0.004 * (number - 0.5)
        look = {**LOOKS[name], "markersize": 5}
        ax.plot(at + shift, value, label=name, **look)
        if resamples:
            low, high = (np.array([entry[end] for entry in found]) for end in ("low", "high"))
            ax.vlines(at + shift, low, high, color=look["color"], alpha=0.5)
        if name == ASSERTED:
            accuracy = float(right.mean())
            grid = np.linspace(at.min(), min(1.0, at.max() + 0.02), _STEPS)
            most = [metrics.coverage_ceiling(accuracy, float(target)) for target in grid]
            ax.plot(grid, most, label=CEILING, **LOOKS[CEILING])
    if not ax.lines:
        nothing(ax, UNKNOWN)
    ax.set(xlabel="accuracy of what is covered", ylabel="coverage", ylim=(0, 1.04))
    ax.set_xticks(at, [f"{target:.0%}" for target in at])
    ax.grid(alpha=0.3)
    legend(ax, loc="best")
    return ax


def accuracy_curves(
    ways: Mapping[str, Mapping[str, Sequence[float]]], *, title: str = "", axes: Any = None
) -> Any:
    """Accuracy over coverage, one line a way to trust.

    The dotted line is the most that any rule reaches which only accepts or abstains: the first
    way's accuracy at full coverage, divided by the coverage.

    Parameters
    ----------
    ways: name to ``coverage`` and ``accuracy``, equally long, coverage rising.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes, without a legend: its lines carry labels (``axes.legend()``).

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    """
    ax = axes_of(axes)
    for number, (name, curve) in enumerate(ways.items()):
        ax.plot(curve["coverage"], curve["accuracy"], color=f"C{number}", label=name)
    if ways:
        grid = np.linspace(1 / _STEPS, 1, _STEPS)
        base = next(iter(ways.values()))["accuracy"][-1]
        ax.plot(grid, np.minimum(1, base / grid), label=CEILING, **LOOKS[CEILING])
    ax.set(title=title, xlabel="coverage", ylabel="accuracy of what is covered", xlim=(0, 1))
    ax.set_ylim(0.3, 1.02)
    ax.grid(alpha=0.3)
    return ax
