"""GraphML as networkx writes it, byte for byte, without building its graph or an XML tree.

Writing is most of what a folder run does beside deciding, and a tree of elements costs many times
what its text does. What is read still goes through networkx.

>>> text = graphml({"schema": 1}, [("mug#0", {"phrase": "mug"})], [])
>>> print(text.splitlines()[-6])
    <node id="mug#0">
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_HEAD: Final = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns '
    'http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">'
)
_TYPES: Final = {str: "string", int: "long", float: "double", bool: "boolean"}
_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_IN_QUOTES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;",
     "\t": "&#09;"}
)  # fmt: skip


def graphml(
    facts: Mapping[str, Any],
    nodes: Sequence[tuple[str, Mapping[str, Any]]],
    edges: Iterable[tuple[str, str, str, Mapping[str, Any]]],
) -> str:
    """A directed multigraph as GraphML.

    Parameters
    ----------
    facts: of the graph, plain scalars.
    nodes: name and attributes of each, plain scalars.
    edges: source, target, key and attributes of each.
    """
    keys: dict[tuple[str, str, type], str] = {}

    def data(of: str, values: Mapping[str, Any], indent: str) -> list[str]:
        lines = []
        for name, value in values.items():
            key = keys.setdefault((name, of, type(value)), f"d{len(keys)}")
            text = str(value).translate(_IN_TEXT)
            lines.append(f'{indent}<data key="{key}">{text}</data>' if text else
                         f'{indent}<data key="{key}" />')  # fmt: skip
        return lines

    about = data("graph", facts, "    ")
    lines = []
    for name, values in nodes:
        lines += _element("node", f'id="{_quoted(name)}"', data("node", values, "      "))
    for source, target, key, values in _by_source([name for name, _ in nodes], edges):
        ends = f'source="{_quoted(source)}" target="{_quoted(target)}" id="{_quoted(key)}"'
        lines += _element("edge", ends, data("edge", values, "      "))
    declared = [
        f'  <key id="{key}" for="{of}" attr.name="{_quoted(name)}" attr.type="{_TYPES[kind]}" />'
        for (name, of, kind), key in reversed(keys.items())
    ]
    whole = [_HEAD, *declared, '  <graph edgedefault="directed">', *lines, *about]
    text = "\n".join([*whole, "  </graph>", "</graphml>"]) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _element(name: str, attributes: str, data: Sequence[str]) -> list[str]:
    if not data:
        return [f"    <{name} {attributes} />"]
    return [f"    <{name} {attributes}>", *data, f"    </{name}>"]


def _by_source(
    nodes: Sequence[str], edges: Iterable[tuple[str, str, str, Mapping[str, Any]]]
) -> Iterable[tuple[str, str, str, Mapping[str, Any]]]:
    """Edges in the order of a graph that is kept by source and target."""
    kept: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {name: {} for name in nodes}
    for source, target, key, values in edges:
        kept.setdefault(target, {})
        kept.setdefault(source, {}).setdefault(target, {})[key] = values
    return [
        (source, target, key, values)
        for source, targets in kept.items()
        for target, keyed in targets.items()
        for key, values in keyed.items()
    ]


def _quoted(text: str) -> str:
    return text.translate(_IN_QUOTES)
