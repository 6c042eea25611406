"""Records as ConceptGraphs' ``cfslam_object_relations.json``, and back.

A list of pairs: ``object1`` and ``object2`` with ``id``, ``object_tag`` and a box in space, and
``object_relation``, which calls them a and b: ``a on b``, ``b in a``, ``none of these``. Relations
beyond on and in are written alike (``a left of b``); ConceptGraphs itself asks for on and in alone.

Source: ConceptGraphs, https://github.com/concept-graphs/concept-graphs, build_scenegraph_cfslam.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spatialtrust.bags.triplets import Read, Thing, Triplet, json_in, number_of, text_of
from spatialtrust.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from spatialtrust.bags.records import Record

NONE: Final = "none of these"
_FAILED: Final = ("FAIL", "")
_GIVE: Final = "give cfslam_object_relations.json of ConceptGraphs, a list of pairs"


def to_concept_graphs(record: Record) -> list[dict[str, Any]]:
    """The edges of a record that are kept, as ConceptGraphs' list.

    Of a thing without a position ``bbox_center`` is None; its extent is never known here.
    """
    number = {thing["id"]: place for place, thing in enumerate(record["objects"])}
    things = {thing["id"]: thing for thing in record["objects"]}

    def side(name: str) -> dict[str, Any]:
        return {
            "id": number[name],
            "bbox_extent": None,
            "bbox_center": things[name]["position"],
            "object_tag": things[name]["phrase"],
            "name": name,
        }

    return [
        {
            "object1": side(row["subject"]),
            "object2": side(row["object"]),
            "object_relation": f"a {row['relation']} b",
            "reason": f"P(true) = {row['p_true']:.3f}, by boxes over time",
            "p_true": row["p_true"],
        }
        for row in record["relations"]
        if row["edge"] and row["subject"] in things and row["object"] in things
    ]


def read_concept_graphs(path: str | Path) -> Read:
    """Things and relations of ConceptGraphs' list, ours or its own.

    Pairs of ``none of these`` give their things and no relation; those whose answer failed, or is
    of no known form, are counted as not read.

    Raises
    ------
    FileError: the file cannot be read, or is no such list.
    """
    found = json_in(path, _GIVE)
    if not isinstance(found, list):
        raise FileError(path, f"holds {type(found).__name__}, not a list of pairs", _GIVE)
    things: dict[str, Thing] = {}
    triplets = []
    not_read = 0
    for pair in found:
        given = [pair.get(key) for key in ("object1", "object2")] if isinstance(pair, dict) else []
        sides = [side for side in given if isinstance(side, dict)]
        if len(sides) != 2:
            not_read += 1
            continue
        names = []
        for side in sides:
            name = (
                text_of(side.get("name")) or f"{text_of(side.get('object_tag'))}#{side.get('id')}"
            )
            things.setdefault(
                name, Thing(name, text_of(side.get("object_tag")) or name, _centre(side))
            )
            names.append(name)
        said = text_of(pair.get("object_relation"))
        first, *words = said.split(" ")
        if said == NONE:
            continue
        if said in _FAILED or len(words) < 2 or {first, words[-1]} != {"a", "b"}:
            not_read += 1
            continue
        subject, other = names if first == "a" else names[::-1]
        relation = " ".join(words[:-1])
        triplets.append(Triplet(subject, relation, other, number_of(pair.get("p_true"))))
    return Read(tuple(things.values()), tuple(triplets), not_read)


def _centre(side: dict[str, Any]) -> tuple[float, float, float] | None:
    given = side.get("bbox_center")
    numbers = [number_of(value) for value in given] if isinstance(given, list) else []
    if len(numbers) != 3 or any(number is None for number in numbers):
        return None
    x, y, z = (float(number or 0.0) for number in numbers)
    return x, y, z
