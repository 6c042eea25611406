"""Several pictures on one figure, and figures as files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.files import write_bytes
from spatialtrust.io.results import expect_ending
from spatialtrust.plots.confidences import confidence_histogram, reliability
from spatialtrust.plots.coverage import accuracy_curves, coverage_targets, risk_coverage
from spatialtrust.plots.style import in_order
from spatialtrust.shown import figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    Curve = Mapping[str, Any]

ENDINGS: Final = (".png", ".svg", ".pdf")
_DPI: Final = 110


def evaluation(verdicts: Any, *, resamples: int = 200, seed: int = 0) -> Any:
    """Risk over coverage, coverage at accuracies, reliability and confidences on one figure.

    Returns
    -------
    The four Axes, an array (2, 2).

    Raises
    ------
    InputError: no row has a label.
    MissingDependencyError: matplotlib is not installed.
    """
    page = figure((11.0, 8.4)).subplots(2, 2)
    risk_coverage(verdicts, resamples=resamples, seed=seed, axes=page[0, 0])
    coverage_targets(verdicts, resamples=resamples, seed=seed, axes=page[0, 1])
    reliability(verdicts, axes=page[1, 0])
    confidence_histogram(verdicts, axes=page[1, 1])
    return page


def save_curves(panels: Mapping[str, Mapping[str, Curve]], path: str | Path) -> None:
    """Write a picture with one panel a VLM: accuracy over coverage, one line a way to trust.

    Parameters
    ----------
    panels: title to way to ``coverage`` and ``accuracy``, see :func:`accuracy_curves`.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    FileError: the path cannot be written.
    """
    page = figure((5.2 * len(panels), 4.6))
    row = page.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, ways) in zip(row, panels.items(), strict=True):
        accuracy_curves(ways, title=title, axes=ax)
        if ax is not row[0]:
            ax.set_ylabel("")
    handles, labels = in_order(row[0])
    columns = max(1, min(len(labels), 2 * len(panels)))
    page.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    save(row[0], path)


def save(axes: Any, path: str | Path) -> None:
    """Write the figure of an Axes (or of several) as ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    FileError: another ending, or the path cannot be written.
    """
    ending = expect_ending(path, ENDINGS)
    first = axes if hasattr(axes, "figure") else next(iter(axes.flat))
    written = BytesIO()
    first.figure.savefig(written, format=ending[1:], dpi=_DPI)
    write_bytes(written.getvalue(), Path(path))
