"""Pictures: noise levels side by side, and what stated confidences are worth (reliability)."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.csp.perturbation import KINDS, LADDER, perturb
from spatialtrust.errors import MissingDependencyError
from spatialtrust.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spatialtrust.arrays import Pixels
    from spatialtrust.csp.regions import Region

_TALL: Final = 5.0


def draw_levels(
    picture: Pixels,
    regions: Sequence[Region],
    path: Path,
    *,
    levels: Sequence[int] = LADDER[::2],
    seed: int = 0,
) -> None:
    """Write a PNG: a row for each kind of perturbation, a column for each level.

    Raises
    ------
    InputError: a region is empty or outside the picture.
    MissingDependencyError: matplotlib is not installed.
    FileError: the path cannot be written.
    """
    figure = _figure(2.0 * len(levels), 2.15 * len(KINDS))
    grid = figure.subplots(len(KINDS), len(levels), squeeze=False)
    for line, kind in zip(grid, KINDS, strict=True):
        for axis, level in zip(line, levels, strict=True):
            axis.imshow(perturb(picture, regions, level, kind=kind, seed=seed))
            axis.set(xticks=[], yticks=[], title=f"{kind}, {level} %")
    _write(figure, path)


def draw_reliability(panels: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write a PNG with one panel a model: accuracy over stated confidence, on the diagonal if true.

    Below each, how many answers state so much.

    Parameters
    ----------
    panels: title to ``confidence``, ``accuracy`` and ``count`` of the bins that hold answers.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    FileError: the path cannot be written.
    """
    figure = _figure(3.4 * len(panels), _TALL)
    grid = figure.subplots(
        2, len(panels), squeeze=False, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    for place, (title, bins) in enumerate(panels.items()):
        upper, lower = grid[0][place], grid[1][place]
        count = np.asarray(bins["count"], dtype=float)
        upper.plot([0.4, 1], [0.4, 1], "k:")
        upper.plot(bins["confidence"], bins["accuracy"], "o-", markersize=4)
        upper.set(title=title, xlim=(0.4, 1.02), ylim=(0, 1.02))
        upper.grid(alpha=0.3)
        lower.bar(bins["confidence"], count / max(count.sum(), 1), width=0.02)
        lower.set(xlabel="confidence", ylim=(0, 1))
    grid[0][0].set_ylabel("share right")
    grid[1][0].set_ylabel("share of answers")
    _write(figure, path)


def draw_falling(lines: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """Write a PNG: mean stated confidence over noise level, and the share of right answers.

    Parameters
    ----------
    lines: model to ``levels``, ``stated`` and ``accuracy``.
    """
    figure = _figure(5.6, 4.0)
    axis = figure.subplots()
    for number, (name, line) in enumerate(lines.items()):
        axis.plot(line["levels"], line["stated"], "o-", color=f"C{number}", label=name)
        axis.plot(line["levels"], line["accuracy"], ":", color=f"C{number}")
    axis.plot([], [], "k:", label="share right")
    axis.set(xlabel="noise on the two objects, %", ylabel="mean stated confidence", ylim=(0.4, 1))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    _write(figure, path)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "report", "a picture of figures") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Any, path: Path) -> None:
    written = BytesIO()
    figure.savefig(written, format="png", dpi=110)
    write_bytes(written.getvalue(), path)
