"""What stands below a picture: the legend, and what each numbered arrow says."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.graph.arrows import STYLES
from spatialtrust.graph.canvas import FAINT, INK, Canvas, arrow, badge, paper
from spatialtrust.graph.why import shown, threshold_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.arrays import Pixels
    from spatialtrust.graph import SceneGraph
    from spatialtrust.graph.arrows import Arrow

_COLUMNS: Final = 3
_MARGIN: Final = 0.8
"""What is left free above and below the lines together, in sizes of the type."""


def panel(
    picture: Canvas,
    graph: SceneGraph,
    arrows: Sequence[Arrow],
    names: Mapping[str, str],
    briefs: Mapping[str, str],
    drawn: int,
) -> Canvas:
    """What the numbers say, the line styles, and what is not drawn.

    Parameters
    ----------
    briefs: why an edge was cut or corrected, in a few words, by claim.
    drawn: objects on the picture.
    """
    width, size = picture.pixels.shape[1], picture.font_size
    row = _row(size)
    made = Canvas(np.zeros((1, 1, 3), dtype=np.uint8), size, picture.line)
    indent, edge = size * 2.2, size * 0.5
    texts = [_line(found, graph, names, briefs) for found in arrows]
    longest = max((made.text_width(text) for text in texts), default=0) + indent + 2 * edge
    columns = max(1, min(_COLUMNS, int(width // max(longest, 1)), len(arrows)))
    entries = [made.wrapped(text, width / columns - indent - edge) for text in texts]
    rows = _fill(entries, columns)
    head = made.wrapped(_title(graph, arrows, drawn), width - size)
    legend = _legend(size, picture.line, _style_rows(made, width))[:, :width]
    listed = row * max(map(_lines, rows), default=0)
    height = row * len(head) + len(legend) + listed
    made.pixels = paper(height, width)
    made.pixels[row * len(head) : height - listed, : legend.shape[1]] = legend
    y = _first_line(size)
    for text in head:
        made.texts.append((edge, y, text, INK))
        y += row
    y = _first_line(size) + height - listed - round(size * _MARGIN)
    number = 0
    for place, column in enumerate(rows):
        x, at = edge + place * (width / columns), y
        for lines in column:
            centre = (round(x + size * 0.8), round(at))
            badge(made, centre, round(size * 0.72), number + 1, arrows[number].style)
            for text in lines:
                made.texts.append((x + indent, at, text, INK))
                at += row
            number += 1
    return made


def _line(
    found: Arrow, graph: SceneGraph, names: Mapping[str, str], briefs: Mapping[str, str]
) -> str:
    """One arrow in words: each relation with its own probability, and why it was cut."""
    relations = ", ".join(
        f"{relation} ({shown(p, threshold_of(graph.rule, relation))})"
        for relation, p in zip(found.relations, found.p_true, strict=True)
    )
    said = f"{names[found.subject_id]} {relations} {names[found.object_id]}"
    brief = briefs.get(found.claim_id, "")
    return f"{said}: {brief}" if brief else said


def _fill(entries: Sequence[list[str]], columns: int) -> list[list[list[str]]]:
    """The entries in columns, one after the other, each about as long."""
    total = sum(map(len, entries))
    rows: list[list[list[str]]] = [[]]
    for entry in entries:
        if _lines(rows[-1]) >= -(-total // columns) and len(rows) < columns:
            rows.append([])
        rows[-1].append(entry)
    return rows


def _lines(column: Sequence[Sequence[str]]) -> int:
    return sum(map(len, column))


def _title(graph: SceneGraph, arrows: Sequence[Arrow], drawn: int) -> str:
    told = Counter[str]()
    for found in arrows:
        told["cut" if found.style == "cut" else "edges"] += len(found.relations)
    edges = int(graph.kept.sum())
    believed = int(graph.believed.sum())
    cut = graph.candidates.num_rows - believed
    parts = [
        f"objects: {len(graph.objects)}{f' ({drawn} drawn)' if drawn < len(graph.objects) else ''}",
        f"edges kept: {edges} ({told['edges']} drawn)",
        *([f"implied or far: {believed - edges}"] if believed > edges else []),
        f"cut: {cut} ({told['cut']} drawn)",
    ]
    return "; ".join(parts)


def _style_rows(made: Canvas, width: int) -> tuple[tuple[str, ...], ...]:
    """The line styles, on as many rows as their names need."""
    rows: list[tuple[str, ...]] = [()]
    x = made.font_size
    for style in STYLES:
        wide = made.font_size * 5 + made.text_width(style)
        if rows[-1] and x + wide > width:
            rows.append(())
            x = made.font_size
        rows[-1] += (style,)
        x += round(wide)
    return tuple(rows)


@lru_cache(maxsize=8)
def _legend(size: int, line: int, styles: tuple[tuple[str, ...], ...]) -> Pixels:
    """The line styles row by row, on paper; drawn once for many pictures, not to be changed."""
    made = Canvas(np.zeros((1, 1, 3), dtype=np.uint8), size, line)
    wide = max(sum(size * 5 + made.text_width(style) for style in row) for row in styles)
    height = _row(size) * len(styles) + round(size * _MARGIN)
    made.pixels = paper(height, ceil(wide) + size + line * 2)
    for number, row in enumerate(styles):
        _draw_styles(made, row, _first_line(size) + _row(size) * number)
    made.written().flags.writeable = False
    return made.pixels


def _draw_styles(made: Canvas, styles: Sequence[str], y: float) -> None:
    x = made.font_size * 0.5 + made.line * 2
    for style in styles:
        length = made.font_size * 3.2
        curve = np.stack([np.linspace(x, x + length, 32), np.full(32, y)], axis=1)
        arrow(made, curve, style)
        x += length + made.font_size * 0.6
        made.texts.append((x, y, style, FAINT))
        x += made.text_width(style) + made.font_size * 1.2


def _row(size: int) -> int:
    """Height of a line of text, pixels."""
    return round(size * 1.75)


def _first_line(size: int) -> float:
    """Where the middle of the first line of a panel lies."""
    return _row(size) * 0.5 + size * 0.3
