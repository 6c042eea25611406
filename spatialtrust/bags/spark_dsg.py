"""Records as Spark-DSG scene graphs (Hydra's format), and back.

Things are nodes of the layer ``OBJECTS``; relations are edges. Spark-DSG has one edge for a pair
and no names of edges, so ``info.metadata`` holds the relations with their direction and confidence.
Of a thing without a position the box is ``INVALID`` and ``metadata.position_known`` is false.

Source: Spark-DSG, https://github.com/MIT-SPARK/Spark-DSG (JSON of version 1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags.triplets import Read, Thing, Triplet, json_in, number_of, text_of
from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from spatialtrust.bags.records import Record

HEADER: Final = "SPARK_DSG_header"
_OBJECTS: Final = 2
"""Number of the layer of objects."""
_PREFIX: Final = ord("O") << 56
_GIVE: Final = "give a JSON file of Spark-DSG, as DynamicSceneGraph.save writes it"


def to_spark_dsg(record: Record) -> dict[str, Any]:
    """A record as Spark-DSG's JSON: all things, and the edges that are kept."""
    number = {thing["id"]: _PREFIX + place for place, thing in enumerate(record["objects"])}
    pairs: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in record["relations"]:
        if row["edge"] and row["subject"] in number and row["object"] in number:
            first, second = sorted((number[row["subject"]], number[row["object"]]))
            told = {key: row[key] for key in ("subject", "relation", "object")}
            told |= {"p_true": row["p_true"], "confidence": row["confidence"]}
            pairs.setdefault((first, second), []).append(told)
    stamp = record["stamp"]["sec"] * 1_000_000_000 + record["stamp"]["nsec"]
    return {
        HEADER: {
            "project_name": "spatialtrust",
            "version": {"major": 1, "minor": 1, "patch": 3},
        },
        "directed": False,
        "multigraph": False,
        "layer_keys": [{"layer": _OBJECTS, "partition": 0}],
        "layer_names": {"OBJECTS": {"layer": _OBJECTS, "partition": 0}},
        "metadata": {"frame": record["frame"], "frame_id": record["frame_id"], "stamp_ns": stamp},
        "nodes": [
            {
                "id": number[thing["id"]],
                "layer": _OBJECTS,
                "partition": 0,
                "attributes": _attributes(thing, stamp),
            }
            for thing in record["objects"]
        ],
        "edges": [
            {
                "source": first,
                "target": second,
                "info": {
                    "type": "EdgeAttributes",
                    "weighted": True,
                    "weight": max(row["confidence"] or 0.0 for row in rows),
                    "metadata": {"relations": rows},
                },
            }
            for (first, second), rows in pairs.items()
        ],
    }


def read_spark_dsg(path: str | Path) -> Read:
    """Things and relations of a Spark-DSG file, ours or another's.

    Another's edges count where their metadata names a ``relation``; those that name none (places,
    parents) are counted as not read.

    Raises
    ------
    FileError: the file cannot be read, or is none of Spark-DSG.
    """
    found = json_in(path, _GIVE)
    if not isinstance(found, dict) or not isinstance(found.get("nodes"), list):
        raise FileError(path, "is no scene graph of Spark-DSG: it has no list of nodes", _GIVE)
    things: dict[Any, Thing] = {}
    not_read = 0
    for node in found["nodes"]:
        attributes = node.get("attributes") if isinstance(node, dict) else None
        if not isinstance(attributes, dict) or not isinstance(node.get("id"), int):
            not_read += 1
            continue
        about = attributes.get("metadata")
        about = about if isinstance(about, dict) else {}
        name = text_of(about.get("id")) or f"{text_of(attributes.get('type'))[:1]}{node['id']}"
        phrase = text_of(attributes.get("name")) or name
        place = attributes.get("position") if about.get("position_known", True) else None
        things[node["id"]] = Thing(name, phrase, _place(place))
    triplets = []
    edges = found.get("edges")
    for edge in edges if isinstance(edges, list) else []:
        rows = _relations(edge, things)
        triplets += rows
        not_read += not rows
    return Read(tuple(things.values()), tuple(triplets), not_read)


def _attributes(thing: dict[str, Any], stamp: int) -> dict[str, Any]:
    known = thing["position"] is not None
    place = thing["position"] or [0.0, 0.0, 0.0]
    level = {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}
    return {
        "type": "ObjectNodeAttributes",
        "position": place,
        "last_update_time_ns": stamp,
        "is_active": not thing["hidden"],
        "is_predicted": False,
        "name": thing["phrase"],
        "color": {"r": 0, "g": 0, "b": 0, "a": 255},
        "bounding_box": {
            "type": "INVALID",
            "dimensions": [0.0, 0.0, 0.0],
            "world_P_center": place,
            "world_R_center": level,
        },
        "semantic_label": 4294967295,
        "semantic_feature": {"rows": 0, "cols": 0, "data": None},
        "registered": False,
        "world_R_object": level,
        "metadata": {
            "id": thing["id"],
            "position_known": known,
            "box_px": thing["box"],
            "score": thing["score"],
        },
    }


def _relations(edge: Any, things: dict[Any, Thing]) -> list[Triplet]:
    """What an edge says, in our way or in another's; nothing where it names no relation."""
    if not isinstance(edge, dict) or edge.get("source") not in things:
        return []
    info = edge.get("info")
    about = info.get("metadata") if isinstance(info, dict) else None
    about = about if isinstance(about, dict) else {}
    rows = about.get("relations")
    if isinstance(rows, list):
        known = {thing.name for thing in things.values()}
        told = [row for row in rows if isinstance(row, dict)]
        return [
            Triplet(
                text_of(row.get("subject")),
                text_of(row.get("relation")),
                text_of(row.get("object")),
                number_of(row.get("p_true")),
            )
            for row in told
            if row.get("subject") in known and row.get("object") in known
        ]
    relation = text_of(about.get("relation"))
    if not relation or edge.get("target") not in things:
        return []
    first, second = things[edge["source"]], things[edge["target"]]
    return [Triplet(first.name, relation, second.name, None)]


def _place(place: Any) -> tuple[float, float, float] | None:
    numbers = [number_of(v) for v in place] if isinstance(place, list) and len(place) == 3 else []
    if len(numbers) != 3 or None in numbers:
        return None
    x, y, z = (float(number or 0.0) for number in numbers)
    return x, y, z
