"""Is a certificate kept on repaired, reduced graphs? Simulated users who label whole images.

python -m benchmarks.graph_certificates [--scenes 400] [--users 300] [--images 30]

Rendered scenes with known truth; boxes of the objects, disturbed as detectors do. Each user labels
every edge of so many images, drawn at random, and certifies a threshold on them; what the threshold
really delivers is known, as the scenes drawn from are all there is. Strict: near ties count as
wrong. `broken`: share of users whose threshold delivers less than was promised (at most delta).
`coverage`: share of edges kept, users without a threshold counting 0; `true kept`: of true edges.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from spatialtrust.backends.tabletop.labels import ENUMERATED, known_boxes, label_claims
from spatialtrust.claims.enumeration import enumerate_claims
from spatialtrust.claims.grounding import ground
from spatialtrust.decision.certification import Grid, certify
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.decision.verdicts import conclude
from spatialtrust.errors import GuaranteeError
from spatialtrust.evidence.box_noise import DETECTED, disturb
from spatialtrust.evidence.gathering import gather
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph import SceneGraph
from spatialtrust.jobs.demo import draw_scenes

DELTA = 0.1
REPAIRED_AT = 0.5
FIRST_SEED = 760_000
NOISE_SEED = 3

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Edges:
    """Candidates of all scenes: score NaN where the treated graph does not show the edge."""

    image: NDArray[np.int64]
    relation: NDArray[np.str_]
    score: Floats
    true: Bools

    def of_images(self, drawn: NDArray[np.int64]) -> Edges:
        """The rows of drawn images, each draw an image of its own."""
        rows = [np.flatnonzero(self.image == image) for image in drawn]
        place = np.repeat(np.arange(len(drawn)), [len(row) for row in rows])
        chosen = np.concatenate(rows)
        return Edges(place, self.relation[chosen], self.score[chosen], self.true[chosen])

    def select(self, mask: Bools) -> Edges:
        return Edges(self.image[mask], self.relation[mask], self.score[mask], self.true[mask])

    def risk(self, threshold: float) -> float:
        """Expected share wrong of an image's shown edges, over images with one."""
        kept = self.score >= np.float32(threshold)
        count = np.bincount(self.image[kept])
        wrong = np.bincount(self.image[kept & ~self.true], minlength=len(count))
        return float((wrong[count > 0] / count[count > 0]).mean()) if kept.any() else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--images", type=int, nargs="+", default=[30, 100])
    options = parser.parse_args()
    graphs = scene_graphs(options.scenes)
    treatments: dict[str, Callable[[SceneGraph], SceneGraph]] = {
        "as decided": lambda graph: graph,
        "repaired": SceneGraph.repair,
    }
    if hasattr(SceneGraph, "reduce"):
        treatments["repaired, reduced"] = lambda graph: graph.repair().reduce()
    print("graphs             images promise |  broken   found coverage true kept   (delta 0.1)")
    for name, treat in treatments.items():
        edges = table([treat(graph) for graph in graphs])
        for count in options.images:
            for accuracy in (0.8, 0.9, 0.95):
                found = simulate(edges, count, options.users, 1 - accuracy)
                print(f"{name:18s} {count:6d} {accuracy:7.2f} | {found}")
    print("\nper relation (delta split), repaired: any promise broken")
    edges = table([graph.repair() for graph in graphs])
    for count in options.images:
        for precision in (0.8, 0.9):
            print(f"{count:6d} {precision:7.2f} | {gates(edges, count, options.users, precision)}")


def scene_graphs(count: int) -> list[SceneGraph]:
    """Graphs of rendered scenes at ``REPAIRED_AT``, by the shipped model from disturbed boxes."""
    scenes = draw_scenes(count, FIRST_SEED)
    found, sizes = known_boxes(scenes)
    claims = enumerate_claims(found, relations=ENUMERATED).claims
    claims = label_claims(claims, found, scenes)
    boxes = disturb(ground(claims, found, sizes), DETECTED, NOISE_SEED)
    fused = TrustModel.load().predict(gather(claims, boxes))
    rule = DecisionRule.plain(REPAIRED_AT)
    verdicts = conclude(claims, fused, rule, np.ones(len(claims), dtype=np.int8))
    graphs = []
    for image_id, scene in scenes.items():
        own = [
            np.asarray(pc.equal(t.column("image_id"), image_id).to_numpy())
            for t in (found, verdicts)
        ]
        size = (scene.size, scene.size)
        objects, rows = found.select(own[0]), verdicts.select(own[1])
        graphs.append(SceneGraph.build(image_id, size, objects, rows, rule))
    return graphs


def table(graphs: list[SceneGraph]) -> Edges:
    """Candidates of all graphs; what is not kept has no score."""
    columns: list[tuple[Any, ...]] = []
    for image, graph in enumerate(graphs):
        rows = graph.candidates
        p_true = np.asarray(rows["p_true"].to_numpy(), dtype=np.float64)
        label = pc.fill_null(rows["label"], 0).to_numpy()
        score = np.where(graph.kept, p_true, np.nan)
        columns.append(
            (np.full(len(p_true), image), rows["relation"].to_pylist(), score, label == 1)
        )
    image, relation, score, true = (np.concatenate(c) for c in zip(*columns, strict=True))
    return Edges(image, relation, score, true)


def threshold_of(edges: Edges, alpha: float, delta: float) -> float | None:
    """What a user who labelled these edges certifies."""
    try:
        grid = Grid.predicted(edges.score, unit="image", groups=edges.image, steps=100)
    except GuaranteeError:
        return None
    return certify(
        edges.score,
        edges.true,
        alpha=alpha,
        delta=delta,
        grid=grid,
        calibrated_on="labelled scenes",
        unit="image",
        groups=edges.image,
    ).threshold


def simulate(edges: Edges, images: int, users: int, alpha: float) -> str:
    """Figures of so many users."""
    pool, shown = int(edges.image.max()) + 1, np.isfinite(edges.score)
    broken = found = 0
    coverage, kept = [0.0] * users, [0.0] * users
    for user in range(users):
        drawn = np.random.default_rng((images, user)).integers(0, pool, images)
        threshold = threshold_of(edges.of_images(drawn), alpha, DELTA)
        if threshold is None:
            continue
        found += 1
        broken += edges.risk(threshold) > alpha
        out = edges.score >= np.float32(threshold)
        coverage[user] = float(out[shown].mean())
        kept[user] = float(out[shown & edges.true].mean())
    return (
        f"{broken / users:7.3f} {found / users:7.3f} {np.mean(coverage):8.3f} {np.mean(kept):9.3f}"
    )


def gates(edges: Edges, images: int, users: int, precision: float) -> str:
    """How often any relation's promise is broken, and which relations get a threshold."""
    from spatialtrust.decision.commit_gate import certify_gate
    from spatialtrust.relations import NAMES

    pool = int(edges.image.max()) + 1
    own = {name: edges.select(edges.relation == name) for name in ENUMERATED}
    got = dict.fromkeys(ENUMERATED, 0)
    broken = 0
    for user in range(users):
        drawn = np.random.default_rng((images, user)).integers(0, pool, images)
        rows = edges.of_images(drawn)
        places = np.array([NAMES.index(name) for name in rows.relation])
        gate = certify_gate(
            rows.score, rows.true, places, rows.image, precision=precision, delta=DELTA,
            calibrated_on="labelled scenes", relations=ENUMERATED,
        )  # fmt: skip
        held = {e.relation: e.threshold for e in gate.relations if e.threshold is not None}
        broken += any(own[name].risk(t) > 1 - precision for name, t in held.items())
        for name in held:
            got[name] += 1
    shares = ", ".join(f"{name} {count / users:.2f}" for name, count in got.items())
    return f"broken {broken / users:.3f}; threshold found: {shares}"


if __name__ == "__main__":
    main()
