"""Results for the hand: as a pandas table, as a small HTML table, on the axes of a picture.

pandas and matplotlib are optional; both come with ``pip install "spatialtrust[report]"``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from spatialtrust.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS: Final = 20
"""Rows of a table that a notebook shows."""


def to_pandas(table: pa.Table) -> Any:
    """A pandas DataFrame: codes as their words, lists as lists, null as NaN or None.

    Raises
    ------
    MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError("pandas", "report", "to_pandas()") from error
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        nested = pa.types.is_nested(column.type)
        columns[name] = (
            pd.Series(column.to_pylist(), dtype=object) if nested else column.to_pandas()
        )
    return pd.DataFrame(columns, columns=table.column_names)


def html_table(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], total: int) -> str:
    """A heading and a table in HTML; every text is escaped.

    Parameters
    ----------
    rows: the first of them; ``total``: how many there are.

    >>> html_table("a < b", ["p"], [[0.5]], 1)
    '<div><p>a &lt; b</p><table><thead><tr><th>p</th></tr></thead><tbody><tr><td>0.500</td></tr></tbody></table></div>'
    """  # noqa: E501
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell(value))}</td>' for value in row)}</tr>" for row in rows
    )
    more = f"<p>... and {total - len(rows)} more</p>" if total > len(rows) else ""
    return (
        f"<div><p>{escape(title)}</p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{more}</div>"
    )


def cell(value: Any) -> str:
    """A value as people read it in a table: unknown is empty, numbers have three digits.

    >>> [cell(value) for value in (None, float("nan"), 0.8, 3, ["a", "b"], True)]
    ['', '', '0.800', '3', 'a, b', 'yes']
    """
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return str(value)


def axes(given: Any = None, size: tuple[float, float] = (5.2, 4.2)) -> Any:
    """Axes to draw on: those that were given, else of a new figure of its own.

    Nothing global is touched: no backend is chosen, no current figure is set. Save the picture with
    ``axes.figure.savefig("picture.png")``; in a notebook show ``axes.figure``.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    """
    return given if given is not None else figure(size).subplots()


def figure(size: tuple[float, float]) -> Any:
    """A new matplotlib figure, known to nobody else; ``size`` in inches.

    Raises
    ------
    MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "report", "a plot") from error
    made = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(made)
    return made
