"""Does it help an edge that other edges imply it, or contradict it? Measured, not built in.

python -m benchmarks.propagation [--scenes 400]

For a candidate "a before b" along an axis and every third object c of its image: "a before c" and
"c before b" support it by the lesser of their log-odds, "b before c" and "c before a" speak against
it likewise. The mean over c is added to the log-odds with a weight that is fitted, and the sum
recalibrated, on half of the scenes; on the others it is compared with recalibration alone.
Of pairs that are asked both ways the two answers are one: their mean log-odds, one turned round.
Intervals: 95 %, by scene. Near ties count as wrong.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_certificates import scene_graphs
from spatialtrust.graph import SceneGraph
from spatialtrust.metrics import auroc, brier

AXES = ("left of", "above", "in front of")
RESAMPLES = 200

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=400)
    graphs = scene_graphs(parser.parse_args().scenes)
    print(
        "relation         rows  AUROC   Brier | AUROC gained            Brier gained (less is more)"
    )
    for relation in AXES:
        rows = [axis_rows(graph, relation, place) for place, graph in enumerate(graphs)]
        print(f"{relation:15s}{compared(np.concatenate(rows))}")


def axis_rows(graph: SceneGraph, relation: str, place: int) -> Floats:
    """(N, 4) scene, log-odds, mean support less contradiction, label of one relation's rows."""
    ids = {str(name): row for row, name in enumerate(graph.objects.strings("object_id"))}
    edges = [row for row in graph.candidates.to_pylist() if row["relation"] == relation]
    ends = np.array([(ids[e["subject_id"]], ids[e["object_id"]]) for e in edges]).reshape(-1, 2)
    p_true = np.clip([e["p_true"] for e in edges], 1e-4, 1 - 1e-4)
    odds = np.log(p_true) - np.log1p(-p_true)
    known, asked = np.zeros((2, len(ids), len(ids)))
    known[ends[:, 0], ends[:, 1]] = odds
    asked[ends[:, 0], ends[:, 1]] = 1
    known = (known - known.T) / np.maximum(asked + asked.T, 1)
    odds = known[ends[:, 0], ends[:, 1]]
    out, back = known[ends[:, 0]], known[:, ends[:, 1]].T
    agree = np.where(out * back > 0, np.sign(out) * np.minimum(np.abs(out), np.abs(back)), 0)
    others = max(len(ids) - 2, 1)
    label = np.array([e["label"] == 1 for e in edges], dtype=np.float64)
    return np.stack([np.full(len(edges), place), odds, agree.sum(axis=1) / others, label], axis=1)


def compared(rows: Floats) -> str:
    """Figures of the half that was not fitted on."""
    from sklearn.linear_model import LogisticRegression

    fitting = rows[:, 0] % 2 == 0
    scene, label = rows[~fitting, 0], rows[~fitting, 3] == 1
    alone, both = (
        LogisticRegression(max_iter=1000)
        .fit(rows[fitting][:, columns], rows[fitting, 3])
        .predict_proba(rows[~fitting][:, columns])[:, 1]
        for columns in ([1], [1, 2])
    )

    def gained(chosen: NDArray[np.int64]) -> tuple[float, float]:
        truth = label[chosen]
        return (
            float(auroc(both[chosen], truth)) - float(auroc(alone[chosen], truth)),
            float(brier(both[chosen], truth)) - float(brier(alone[chosen], truth)),
        )

    places = [np.flatnonzero(scene == one) for one in np.unique(scene)]
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, len(places), len(places)) for _ in range(RESAMPLES)]
    spread = [gained(np.concatenate([places[one] for one in many])) for many in drawn]
    low, high = np.percentile(spread, [2.5, 97.5], axis=0)
    found = gained(np.arange(len(label)))
    return (
        f"{len(label):6d} {float(auroc(alone, label)):.4f}  {float(brier(alone, label)):.4f} | "
        f"{found[0]:+.4f} [{low[0]:+.4f}, {high[0]:+.4f}] "
        f"{found[1]:+.5f} [{low[1]:+.5f}, {high[1]:+.5f}]"
    )


if __name__ == "__main__":
    main()
