"""Scene graphs as files: node-link JSON, GraphML and DOT; each loads back equal.

Kept edges are edges in every format, so any reader of it sees the trusted graph and nothing else.
The other candidates travel as one attribute of the graph and come back when we read it.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from spatialtrust.decision.commit_gate import rule_from_dict
from spatialtrust.documents import check_xml, loads
from spatialtrust.errors import InputError, SchemaVersionError
from spatialtrust.graph.candidates import CANDIDATES
from spatialtrust.graph.checking import check_claims, check_facts
from spatialtrust.graph.graphml import graphml
from spatialtrust.graph.node_link import NODE_COLUMNS
from spatialtrust.graph.prompt import to_text
from spatialtrust.graph.scene import SceneGraph
from spatialtrust.schema import VERSION
from spatialtrust.tables import Detections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import networkx as nx

KINDS: Final = ("json", "graphml", "dot")
"""Formats that load back, which are also the endings of their files."""

WRITTEN: Final = (*KINDS, "txt")
"""What is written: ``txt`` is for a planner's prompt, and is not read."""

_EDGE_ENDS: Final = ("subject_id", "object_id")
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PAIR: Final = re.compile(rf"(\w+)=({_QUOTED})", re.DOTALL)
_STATEMENT: Final = re.compile(
    rf"^[ \t]*(?:(graph)|({_QUOTED})(?: -> ({_QUOTED}))?) \[((?:\w+={_QUOTED},? ?)*)\];",
    re.DOTALL | re.MULTILINE,
)


def from_dict(data: Mapping[str, Any], source: str = "scene graph") -> SceneGraph:
    """Inverse of :meth:`SceneGraph.to_dict`.

    Raises
    ------
    InputError: a field is missing or of another type.
    SchemaVersionError: another schema version wrote it.
    """
    try:
        facts = data["graph"]
        if facts["schema"] != VERSION:
            raise SchemaVersionError(
                source, facts["schema"], VERSION, "export it again with this version"
            )
        edges = [
            {"subject_id": edge["source"], "object_id": edge["target"], **edge}
            for edge in data["edges"]
        ]
        candidates = [
            {name: row.get(name) for name in CANDIDATES.names}
            for row in [*edges, *facts["candidates"]]
        ]
        nodes = [
            {"image_id": facts["image_id"], "object_id": node["id"], **_without(node, "id", "name")}
            for node in data["nodes"]
        ]
        table = pa.Table.from_pylist(candidates, schema=CANDIDATES)
        check_facts(facts, data["nodes"], source)
        check_claims(table, len(edges), {node["id"] for node in data["nodes"]}, source)
        return SceneGraph(
            facts["image_id"],
            facts["width"],
            facts["height"],
            Detections.from_rows(nodes, source).sorted(),
            _nan_for_null(table).sort_by("claim_id"),
            rule_from_dict(facts["rule"]),
            facts["repaired"],
            facts.get("reduced", False),
        )
    except (
        KeyError, TypeError, AttributeError, OverflowError, UnicodeError, pa.ArrowException
    ) as error:  # fmt: skip
        raise InputError(
            f"{source}: is not a scene graph of this package ({type(error).__name__}: {error}); "
            "see spatialtrust/graph/scene_graph.schema.json"
        ) from error


def from_networkx(graph: nx.MultiDiGraph) -> SceneGraph:
    """Inverse of :meth:`SceneGraph.to_networkx`."""
    import networkx as nx

    return from_dict(nx.node_link_data(graph, edges="edges"), "networkx graph")


def to_json(data: Mapping[str, Any]) -> str:
    """Node-link JSON, a line for every node, edge and other candidate."""
    facts = data["graph"]
    lists = {
        "graph": (_LINE({**facts, "candidates": []}).removesuffix("]}"), facts["candidates"], "]}"),
        "nodes": ("[", data["nodes"], "]"),
        "edges": ("[", data["edges"], "]"),
    }
    parts = [f'"{name}": {_LINE(data[name])}' for name in ("directed", "multigraph")]
    for name, (start, rows, end) in lists.items():
        listed = ",\n  ".join(map(_LINE, rows))
        parts.append(f'"{name}": {start}' + (f"\n  {listed}\n {end}" if listed else end))
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def from_json(text: str, source: str = "scene graph") -> SceneGraph:
    """Inverse of :func:`to_json`."""
    try:
        data = loads(text, finite=True)
    except ValueError as error:
        raise InputError(f"{source}: is not JSON ({error})") from error
    return from_dict(data, source)


def to_graphml(data: Mapping[str, Any]) -> str:
    """GraphML; lists and the other candidates as JSON text in an attribute."""
    return graphml(
        _flat(data["graph"]),
        [(node["id"], _flat(_without(node, "id"))) for node in data["nodes"]],
        [
            (edge["source"], edge["target"], edge["key"],
             _flat(_without(edge, "source", "target", "key")))
            for edge in data["edges"]
        ],
    )  # fmt: skip


def from_graphml(text: str, source: str = "scene graph") -> SceneGraph:
    """Inverse of :func:`to_graphml`."""
    import networkx as nx

    try:
        check_xml(text)
        flat = nx.parse_graphml(text, force_multigraph=True)
    except Exception as error:  # the reader raises whatever a broken file leads it to
        raise InputError(f"{source}: is not GraphML ({error})") from error
    return _from_flat(
        dict(flat.graph),
        [(name, dict(node)) for name, node in flat.nodes(data=True)],
        [(start, end, dict(edge)) for start, end, edge in flat.edges(data=True)],
        source,
    )


def to_dot(data: Mapping[str, Any]) -> str:
    """DOT for Graphviz; labels and line styles are set, all else are attributes of our own."""
    lines = [f"  graph [{_attributes(_flat(data['graph']))}];"]
    for node in data["nodes"]:
        shown = {"label": node["name"], "shape": "box"}
        lines.append(
            f"  {_quote(node['id'])} [{_attributes({**_flat(_without(node, 'id')), **shown})}];"
        )
    for edge in data["edges"]:
        shown = {
            "label": f"{edge['relation']} {edge['confidence']:.2f}",
            "style": "dashed" if edge["decision"] == "correct" else "solid",
        }
        # Graphviz draws "label", so a person's label goes by another name here.
        own = _flat(_without(edge, "source", "target", "key", "label") | {"truth": edge["label"]})
        lines.append(
            f"  {_quote(edge['source'])} -> {_quote(edge['target'])} "
            f"[{_attributes({**own, **shown})}];"
        )
    return "\n".join([f"digraph {_quote(data['graph']['image_id'])} {{", *lines, "}"]) + "\n"


def from_dot(text: str, source: str = "scene graph") -> SceneGraph:
    """Inverse of :func:`to_dot`; reads what that writes, not DOT at large."""
    facts: dict[str, Any] = {}
    nodes: list[tuple[str, dict[str, Any]]] = []
    edges: list[tuple[str, str, dict[str, Any]]] = []
    for is_graph, name, end, listed in _STATEMENT.findall(text):
        values = {key: _unquote(value) for key, value in _PAIR.findall(listed)}
        if is_graph:
            facts = values
        elif end:
            truth = {"label": values["truth"]} if "truth" in values else {}
            edges.append((_unquote(name), _unquote(end), _without(values, "label") | truth))
        else:
            nodes.append((_unquote(name), values))
    return _from_flat(facts, nodes, edges, source)


def render(graph: SceneGraph, kind: str, data: Mapping[str, Any] | None = None) -> str:
    """A graph as text in one of ``WRITTEN``.

    Parameters
    ----------
    data: the graph as node-link data, where that is at hand.

    Raises
    ------
    InputError: the format is not known.
    """
    if _known(kind, WRITTEN) == "txt":
        return to_text(graph)
    return _WRITERS[kind](graph.to_dict() if data is None else data)


def parse(text: str, kind: str, source: str = "scene graph") -> SceneGraph:
    """Inverse of :func:`render`.

    Raises
    ------
    InputError: it is not a scene graph of ours, or the format is not known.
    """
    return _READERS[_known(kind, KINDS)](text, source)


@lru_cache(maxsize=1)
def json_schema() -> dict[str, Any]:
    """The published JSON schema of the node-link format."""
    file = resources.files("spatialtrust.graph") / "scene_graph.schema.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


_TEXT: Final = json.JSONEncoder(ensure_ascii=False).encode
_LINE: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "json": to_json,
    "graphml": to_graphml,
    "dot": to_dot,
}
_READERS: Final[Mapping[str, Callable[[str, str], SceneGraph]]] = {
    "json": from_json,
    "graphml": from_graphml,
    "dot": from_dot,
}


def _known(kind: str, kinds: Sequence[str]) -> str:
    if kind not in kinds:
        raise InputError(f'graph format "{kind}" is not known; valid: {", ".join(kinds)}')
    return kind


def _nan_for_null(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            table = table.set_column(place, field, table[field.name].fill_null(math.nan))
    return table


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Scalars only: null left out, lists and mappings as JSON text."""
    return {
        name: _TEXT(value) if isinstance(value, list | dict) else value
        for name, value in values.items()
        if value is not None
    }


_JSON_FIELDS: Final = ("rule", "candidates", "reasons")
_INTEGERS: Final = ("schema", "width", "height", "label")
_FLAGS: Final = ("repaired", "reduced", "enumerated")
_FLOATS: Final = ("x1", "y1", "x2", "y2", "score", "p_true", "p_boxes", "confidence")


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Undo :func:`_flat`, from typed values (GraphML) or text (DOT)."""
    typed = dict(values)
    for name, value in values.items():
        if name in _JSON_FIELDS:
            typed[name] = loads(value)
        elif name in _INTEGERS:
            typed[name] = int(value)
        elif name in _FLOATS:
            typed[name] = float(value)
        elif name in _FLAGS:
            typed[name] = value in (True, "True")
    return typed


def _from_flat(
    facts: Mapping[str, Any],
    nodes: list[tuple[str, dict[str, Any]]],
    edges: list[tuple[str, str, dict[str, Any]]],
    source: str,
) -> SceneGraph:
    try:
        graph = {"width": None, "height": None, **_typed(facts)}
        kept = [{**_typed(edge), "source": start, "target": end} for start, end, edge in edges]
        listed = [{"id": name, **_node(node)} for name, node in nodes]
    except ValueError as error:
        raise InputError(f"{source}: holds a value of another type ({error})") from error
    return from_dict({"graph": graph, "nodes": listed, "edges": kept}, source)


def _node(values: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in values.items() if name in NODE_COLUMNS}
    return {**dict.fromkeys(NODE_COLUMNS), **_typed(own)}


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _attributes(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_quote(value)}" for name, value in values.items())


def _quote(value: Any) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
