"""Scene graphs on disk, in the format that a file's ending names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialtrust.errors import FileError
from spatialtrust.files import write_text
from spatialtrust.graph.formats import parse, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.graph import SceneGraph


def save_graph(graph: SceneGraph, path: str | Path, data: Mapping[str, Any] | None = None) -> None:
    """Write a graph as ``.json``, ``.graphml`` or ``.dot``, atomically.

    Parameters
    ----------
    data: the graph as node-link data, where that is at hand.

    Raises
    ------
    InputError: the ending is not known.
    FileError: the file cannot be written.
    """
    write_text(render(graph, Path(path).suffix.removeprefix("."), data), path)


def load_graph(path: str | Path) -> SceneGraph:
    """Read a graph that :func:`save_graph` wrote.

    Raises
    ------
    FileError: the file is missing or not UTF-8.
    InputError: it is not a scene graph, or its ending is not known.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read ({error})", "give a graph file") from error
    return parse(text, Path(path).suffix.removeprefix("."), str(path))
