"""Coverage curves as a picture: what accuracy each way to trust reaches at each coverage."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import MissingDependencyError
from spatialtrust.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Curve = Mapping[str, Any]

_STEPS: Final = 400


def draw_curves(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Write a PNG with one panel a VLM: accuracy over coverage, one line a way to trust.

    The dotted line is the most that any rule reaches which only accepts or abstains: the first
    way's accuracy at full coverage, divided by the coverage.

    Parameters
    ----------
    panels: title to way to ``coverage`` and ``accuracy``, equally long, coverage rising.
    path: of the PNG.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    FileError: the path cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "report", "a picture of curves") from error
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.linspace(1 / _STEPS, 1, _STEPS)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, ways) in zip(axes, panels.items(), strict=True):
        for number, (name, curve) in enumerate(ways.items()):
            axis.plot(curve["coverage"], curve["accuracy"], color=f"C{number}", label=name)
        base = next(iter(ways.values()))["accuracy"][-1]
        axis.plot(grid, np.minimum(1, base / grid), "k:", label="most that accepting can reach")
        axis.set(title=title, xlabel="coverage", xlim=(0, 1), ylim=(0.3, 1.02))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy of what is covered")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    written = BytesIO()
    figure.savefig(written, format="png", dpi=110)
    write_bytes(written.getvalue(), path)
