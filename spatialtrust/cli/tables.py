"""Results as tables for people on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialtrust.shown import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

_MOST_ROWS = 100
_MOST_COLUMNS = 6
_ALIKE = 4
"""So many records under names of their own are a table."""


def rendered(result: Any) -> RenderableType:
    """JSON-ready data as a table of names and values; records as tables of their own.

    Notes are left out: they are said on stderr.
    """
    from rich.console import Group
    from rich.text import Text

    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        return _records("", result)
    if not isinstance(result, dict):
        return Text(cell(result))
    if len(result) >= _ALIKE and all(isinstance(row, dict) for row in result.values()):
        return _records("", [{"name": name, **row} for name, row in result.items()])
    inner: list[RenderableType] = []
    flat = _flat({name: value for name, value in result.items() if name != "notes"})
    plain_cells = {name: value for name, value in flat.items() if not _is_records(value)}
    if plain_cells:
        inner.append(_pairs(plain_cells))
    inner += [_records(name, value) for name, value in flat.items() if _is_records(value)]
    return Group(*inner)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _flat(result: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """Nested names joined: ``rows: images``."""
    found: dict[str, Any] = {}
    for name, value in result.items():
        label = f"{outer}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            found |= _flat(value, f"{label}: ")
        elif value is not None and value != []:
            found[label] = value
    return found


def _pairs(cells: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in cells.items():
        lines = value if isinstance(value, list) else [value]
        table.add_row(Text(name), Text("\n".join(cell(line) for line in lines) or "-"))
    return table


def _records(title: str, rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    known = dict.fromkeys(name for row in rows for name in row)
    held = [name for name in known if any(cell(row.get(name)) for row in rows)]
    names = held[:_MOST_COLUMNS]
    hidden = f"further columns, with --json: {', '.join(held[_MOST_COLUMNS:])}"
    more = f" (the first {_MOST_ROWS} of {len(rows)})" if len(rows) > _MOST_ROWS else ""
    table = Table(title=f"{title}{more}" or None, title_justify="left", pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(cell(row.get(name))) for name in names))
    if len(held) > _MOST_COLUMNS:
        table.caption = hidden
    return table
