"""Objects, edges and contradictions of scene graphs of a folder of photos with recorded boxes.

python -m benchmarks.graph_photos PHOTOS [--boxes PHOTOS/annotations.json]

Prints, for every edge that is believed, after repair and after reduction: edges, edges an object,
edges that take part in a contradiction, by relation, and the time that repair and reduction take.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from spatialtrust.graph import SceneGraph
from spatialtrust.graph.formats import from_dict
from spatialtrust.graph.repair import contradictions
from spatialtrust.run.config import RunConfig
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import execute, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of images")
    parser.add_argument("--boxes", type=Path, help="default: annotations.json in the folder")
    parser.add_argument("--relations", help="default: those of a run")
    given = parser.parse_args()
    config = RunConfig(
        detector=f"recorded:{given.boxes or given.photos / 'annotations.json'}",
        repair=False, all_edges=True, overlays=False, formats=(),
    )  # fmt: skip
    if given.relations:
        config = replace(config, relations=tuple(given.relations.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        execute(prepare(config, folder, [given.photos]))
        with RunFolder(folder) as run:
            texts = [text for text in run.whole("scenes")["graph"].to_pylist() if text]
    whole = [from_dict(json.loads(text)) for text in texts]
    objects = sum(len(graph.objects) for graph in whole)
    print(f"{len(whole)} images, {objects} objects")
    tell("believed", whole, objects)
    started = time.perf_counter()
    repaired = [graph.repair() for graph in whole]
    between = time.perf_counter()
    reduced = [graph.reduce() for graph in repaired]
    ended = time.perf_counter()
    tell("repaired", repaired, objects)
    tell("reduced", reduced, objects)
    why = Counter(w for graph in reduced for w in graph.candidates["left_out"].to_pylist() if w)
    print(f"left out: {dict(why)}")
    most = max(reduced, key=lambda graph: len(graph.edges) / max(len(graph.objects), 1))
    print(
        f"most edges an object: {len(most.edges) / len(most.objects):.2f} ({most.image_id}); "
        f"repair {1e3 * (between - started) / len(whole):.1f} ms an image, "
        f"reduction {1e3 * (ended - between) / len(whole):.1f} ms"
    )


def tell(what: str, graphs: list[SceneGraph], objects: int) -> None:
    """One line: edges, edges an object, contradictions, edges by relation."""
    by_relation = Counter(name for graph in graphs for name in graph.edges["relation"].to_pylist())
    against = sum(
        contradictions(
            *(graph.edges[name].to_pylist() for name in ("subject_id", "relation", "object_id"))
        )
        for graph in graphs
    )
    edges = by_relation.total()
    listed = ", ".join(f"{name} {count}" for name, count in by_relation.most_common())
    print(
        f"{what:9s} {edges:5d} edges, {edges / max(objects, 1):.2f} an object, {against:4d} in "
        f"contradictions; {listed}"
    )


if __name__ == "__main__":
    main()
