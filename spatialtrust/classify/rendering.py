"""A comparison as a table for people: on screen, Markdown, LaTeX, CSV.

The best of a column is bold, and what the paired bootstrap cannot tell from it is marked ``=``.
Methods with predictions of their own are marked ``+``: they are measured on other errors, so they
are neither best nor tied. A method that could not be fitted keeps its row, with the reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.errors import FileError
from spatialtrust.files import write_text
from spatialtrust.io.results import expect_ending, write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from spatialtrust.classify.comparison import Comparison

ENDINGS: Final = (".csv", ".tex", ".md", ".json")

_TITLES: Final = {
    "auroc": "AUROC",
    "aurc": "AURC",
    "eaurc": "E-AURC",
    "augrc": "AUGRC",
    "fpr95": "FPR95",
    "ece": "ECE",
    "aupr_correct": "AUPR correct",
    "aupr_error": "AUPR error",
    "log_loss": "log loss",
    "brier": "Brier",
}
_PERCENT: Final = ("auroc", "fpr95", "aupr_correct", "aupr_error")
_LATEX: Final = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

Row = list[str]


def expect_table_ending(path: str | Path) -> str:
    """The ending of a table's file: .csv, .tex, .md or .json.

    Raises
    ------
    FileError: for another.
    """
    return expect_ending(path, ENDINGS)


def write_comparison(found: Comparison, path: str | Path) -> tuple[str, ...]:
    """Write the table in the form that the ending says, atomically; JSON is the caller's.

    Returns
    -------
    what was changed on the way, in sentences.

    Raises
    ------
    FileError: for another ending, or where the file cannot be written.
    """
    ending = expect_table_ending(path)
    if ending == ".csv":
        return write_results(found.table, path)
    if ending == ".json":
        raise FileError(path, "is no table", "valid here: .csv, .tex, .md")
    write_text((to_latex if ending == ".tex" else to_markdown)(found), path)
    return ()


def to_markdown(found: Comparison) -> str:
    """A table of Markdown, and what it means below."""
    titles, rows = _cells(found, lambda text: f"**{text}**", _no_pipe)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = (
            row if len(row) > 2 else [row[0], f"*left out: {row[1]}*", *[""] * (len(titles) - 2)]
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *caption(found), ""])


def to_latex(found: Comparison) -> str:
    """A ``tabular`` with booktabs rules, and what it means as comments above."""
    titles, rows = _cells(found, lambda text: rf"\textbf{{{text}}}", _no_latex, r"$^{=}$")
    lines = [f"% {line}" for line in caption(found)]
    lines += [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{ll{'r' * (len(titles) - 2)}}}",
        r"\toprule",
        " & ".join(map(_no_latex, titles)) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        if len(row) == 2:
            reason = rf"\multicolumn{{{len(titles) - 1}}}{{l}}{{\emph{{left out: {row[1]}}}}}"
            row = [row[0], reason]  # noqa: PLW2901
        lines.append(" & ".join(row) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_screen(found: Comparison, width: int = 160) -> str:
    """Aligned columns for a terminal; the best of a column in asterisks."""
    titles, rows = _cells(found, lambda text: f"*{text}*", str)
    full = [titles, *(row for row in rows if len(row) > 2)]
    wide = [max(len(row[column]) for row in full) for column in range(len(titles))]
    lines = []
    for row in [titles, *rows]:
        if len(row) == 2:
            lines.append(f"{row[0].ljust(wide[0])}  left out: {row[1]}"[:width])
        else:
            cells = zip(row, wide, strict=True)
            lines.append("  ".join(cell.ljust(size) for cell, size in cells).rstrip())
    return "\n".join([*lines, *caption(found)])


def caption(found: Comparison) -> list[str]:
    """What the table's marks and columns mean, and what a reader must know of single rows."""
    settings = found.settings
    images = settings["images"]
    lines = [
        f"{settings['classes']} classes; images: "
        + ", ".join(f"{count} {name}" for name, count in images.items())
        + f"; embeddings of {settings['model']}"
        + (f", second encoder {settings['auxiliary']}" if settings.get("auxiliary") else "")
        + f"; seed {settings['seed']}.",
        f"Brackets: 95 % intervals over {settings['resamples']} resamples of test images. Bold: "
        "best of the column; = not told from it by the paired bootstrap; + measured on "
        "predictions of its own.",
    ]
    if settings["convention"] != "spatialtrust":
        lines.append(
            f"Metrics by the convention of {settings['convention']}, not by spatialtrust's."
        )
    else:
        lines.append("FPR95: share of errors accepted when 95 % of the right answers are.")
    if settings["options"]:
        chosen = [
            f"{name}.{key}={value}"
            for name, values in settings["options"].items()
            for key, value in values.items()
        ]
        lines.append(f"Options: {', '.join(chosen)}.")
    for row in found.table.select(["method", "notes"]).to_pylist():
        if row["notes"]:
            lines.append(f"{row['method']}: {row['notes']}.")
    return lines


def _cells(
    found: Comparison,
    bold: Callable[[str], str],
    escape: Callable[[str], str],
    tied: str = " =",
) -> tuple[Row, list[Row]]:
    """Titles, and a row per method: all cells, or the name and why it has none."""
    metrics = [
        name for name in _TITLES if f"{name}_rank" in found.table.column_names and name != "eaurc"
    ]
    certified = "accuracy" in found.settings and found.settings.get("certifies", True)
    titles = ["method", "labels used", "accuracy", *(_TITLES[name] for name in metrics)]
    titles += [f"certified {found.settings['accuracy']:.0%}"] if certified else []
    rows = []
    for entry in found.table.to_pylist():
        name = entry["method"] + (" +" if entry["own_predictions"] else "")
        if entry["status"] != "ok":
            rows.append([escape(name), escape(_one_line(entry["status"]))])
            continue
        row = [escape(name), escape(entry["labelled_data"]), escape(f"{entry['accuracy']:.1%}")]
        row += [_cell(entry, metric, bold, tied) for metric in metrics]
        row += [escape(f"{entry['certified_coverage']:.1%}")] if certified else []
        rows.append(row)
    return titles, rows


def _cell(entry: dict[str, Any], metric: str, bold: Callable[[str], str], tied: str) -> str:
    value, ends = entry[metric], (entry[f"{metric}_low"], entry[f"{metric}_high"])
    if np.isnan(value):
        return "-"
    scale, digits = (100, 1) if metric in _PERCENT else (1, 4)
    text = f"{scale * value:.{digits}f}"
    rank = entry[f"{metric}_rank"]
    shown = bold(text) if rank == 1 else text + (tied if rank == 2 else "")
    return f"{shown} [{scale * ends[0]:.{digits}f}, {scale * ends[1]:.{digits}f}]"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _no_pipe(text: str) -> str:
    return text.replace("|", r"\|")


def _no_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def lines_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines.

    >>> lines_of([["a", "bb"], ["ccc", "d"]])
    ['a    bb', 'ccc  d']
    """
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(size) for cell, size in zip(row, wide, strict=True)).rstrip()
        for row in rows
    ]
