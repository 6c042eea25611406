"""Pictures of confidences: are they true, how are they spread, and what do they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from spatialtrust import metrics
from spatialtrust.errors import InputError
from spatialtrust.evaluation.labelled import asserted, columns_of, verdicts_of
from spatialtrust.plots.coverage import UNKNOWN
from spatialtrust.plots.style import ASSERTED, LOOKS, legend, nothing
from spatialtrust.shown import axes as axes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_RIGHT, _WRONG, _NOT_LABELLED = "#0072b2", "#d55e00", "#8a8a8a"
_Z: Final = 1.96


def reliability(verdicts: Any, *, bins: int = 10, axes: Any = None) -> Any:
    """How often claims of one confidence are right: on the diagonal where they say the truth.

    Vertical lines are 95 % intervals of each share (Wilson); grey bars say how many claims there
    are. The title holds the ECE and what it would be by chance alone.

    Parameters
    ----------
    verdicts: with labels.
    bins: of equal width.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    InputError: no row has a label.
    MissingDependencyError: matplotlib is not installed.
    """
    confidence, right = asserted(columns_of(verdicts_of(verdicts)))
    known = np.isfinite(confidence)
    confidence, right = confidence[known], right[known]
    ax = axes_of(axes)
    ax.plot([0, 1], [0, 1], color="#222222", linestyle=":", label="says the truth")
    if not confidence.size:
        nothing(ax, UNKNOWN)
    else:
        table = metrics.reliability(confidence, right, bins)
        held = table.rows > 0
        rows, share = table.rows[held], table.accuracy[held]
        low, high = _wilson(share, rows)
        ax.bar(
            (table.lower[held] + table.upper[held]) / 2,
            0.25 * rows / rows.max(),
            width=0.9 / bins,
            color="#cccccc",
            label=f"claims (highest bar: {rows.max()})",
        )
        look = {**LOOKS[ASSERTED], "linestyle": "-", "markersize": 5}
        ax.plot(table.confidence[held], share, label="share right", **look)
        ax.vlines(table.confidence[held], low, high, color=look["color"], alpha=0.5)
        ece, floor = metrics.ece(confidence, right), metrics.ece_floor(confidence)
        ax.set_title(f"ECE {ece:.3f} (by chance alone {floor:.3f})", fontsize=10)
    ax.set(xlabel="P(what was asserted is right)", ylabel="share right")
    ax.set(xlim=(-0.02, 1.02), ylim=(0, 1.3))  # with room for the legend
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.grid(alpha=0.3)
    legend(ax, loc="upper left")
    return ax


def _wilson(share: Any, rows: Any) -> tuple[Any, Any]:
    """Wilson's interval of a share, 95 %."""
    centre = (share + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    half = _Z * np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)) / (1 + _Z**2 / rows)
    return centre - half, centre + half


def confidence_histogram(verdicts: Any, *, bins: int = 20, axes: Any = None) -> Any:
    """How sure the verdicts are: right ones and wrong ones apart where labels are known.

    Parameters
    ----------
    verdicts: labels are not needed.
    bins: of equal width from 0 to 1.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes; the dashed line is the least confidence of what was emitted.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    """
    held = verdicts_of(verdicts)
    ax = axes_of(axes)
    confidence = held.numbers("confidence").astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    emitted = pc.equal(held.column("emitted"), "yes").fill_null(False).to_numpy()
    out = held.column("emitted").is_valid().to_numpy()
    label = np.full(len(held), np.nan)
    if "label" in held.data.column_names:
        label = held.numbers("label").astype(np.float64)
    said = np.where(out, emitted, pc.equal(held.column("asserted"), "yes").fill_null(False))
    right = said.astype(bool) == (label == 1)
    known, labelled = np.isfinite(confidence), np.isfinite(label)
    kinds = (
        ("right", _RIGHT, known & labelled & right),
        ("wrong", _WRONG, known & labelled & ~right),
        ("not labelled", _NOT_LABELLED, known & ~labelled),
    )
    drawn = [(name, colour, confidence[rows]) for name, colour, rows in kinds if rows.any()]
    if drawn:
        names, colours, values = zip(*drawn, strict=True)
        counts = [f"{name} ({len(column)})" for name, column in zip(names, values, strict=True)]
        ax.hist(list(values), edges, stacked=True, color=list(colours), label=counts)
    else:
        nothing(ax, "no verdict has a confidence")
    if (known & out).any():
        least = float(confidence[known & out].min())
        ax.axvline(least, color="#222222", linestyle="--", label=f"emitted from {least:.2f} on")
    unknown = int((~known).sum())
    ax.set(xlabel="confidence", ylabel="claims", xlim=(0, 1))
    if unknown:
        ax.set_title(f"{unknown} claims without a confidence are not shown", fontsize=10)
    ax.grid(alpha=0.3, axis="y")
    if drawn:
        ax.legend(fontsize=8, loc="upper left", framealpha=0.85)
    return ax


def importance(model: Any, *, axes: Any = None) -> Any:
    """What a trust model looks at: the share of its trees' gain by family of evidence.

    Parameters
    ----------
    model: a :class:`~spatialtrust.TrustModel`, or families with their shares.
    axes: to draw on; None: those of a new figure.

    Returns
    -------
    The Axes, the largest family on top.

    Raises
    ------
    InputError: it is neither.
    MissingDependencyError: matplotlib is not installed.
    """
    shares: Mapping[str, float] | None = None
    if isinstance(model, dict):
        shares = model
    elif hasattr(model, "importances"):
        shares = model.importances()
    if shares is None:
        raise InputError(
            f'a {type(model).__name__} has no importances; give TrustModel.load("vsr-boxes")'
        )
    ax = axes_of(axes)
    order = sorted(shares, key=lambda family: shares[family])
    bars = ax.barh(order, [shares[family] for family in order], color=_RIGHT)
    ax.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=8)
    ax.set(xlabel="share of the trees' gain", title=getattr(model, "name", ""))
    ax.margins(x=0.12)
    ax.grid(alpha=0.3, axis="x")
    return ax
