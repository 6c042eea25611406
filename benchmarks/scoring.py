"""Claims per second from boxes to decision, against a loop over rows, and where the time goes.

    python -m benchmarks.scoring [--claims 1000000]

The columns path is the one that `verify` takes: evidence, trust model and decision, in pieces that
stay in cache. Random boxes, phrases and relations. Claims per second are of this machine, the
ratio is what travels.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.arrays import Scratch
from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.defaults import MIN_CONFIDENCE
from spatialtrust.evidence import priors
from spatialtrust.evidence.columns import FULL
from spatialtrust.evidence.gathering import Inputs
from spatialtrust.fusion.model import TrustModel, threads
from spatialtrust.fusion.multilevel import reading_order
from spatialtrust.relations import NAMES
from spatialtrust.tables import Grounding

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 500_000
PIECE = 16_384
LOOP_ROWS = 300


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1_000_000)
    rows = parser.parse_args().claims
    model, rule = TrustModel.load(), DecisionRule.plain(MIN_CONFIDENCE)
    trees = model.layers.box_trees
    print(
        f"model {model.name}: {trees.trees} trees of depth {trees.depth} on "
        f"{len(trees.features) + 1} columns of {len(FULL)}, a regression for each of "
        f"{len(NAMES)} relations; {threads()} threads"
    )
    _judge(model, rule, _inputs(PIECE))
    seconds, done = 0.0, 0
    while done < rows:
        inputs = _inputs(min(CHUNK, rows - done))
        done += len(inputs)
        seconds += _seconds(lambda inputs=inputs: _judge(model, rule, inputs))  # type: ignore[misc]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{rows:,} claims from boxes to decision: {rows / seconds:,.0f} claims/s")
    print(f"peak memory {peak:,.0f} MiB, whatever the number of claims: {CHUNK:,} at a time")
    print(f"\none thread, a piece of {PIECE:,} claims")
    for name, spent in _profile(model, rule).items():
        print(f"  {name:<34}{spent * 1e6:6.3f} us a claim")
    few = _inputs(LOOP_ROWS)
    looped = LOOP_ROWS / _seconds(lambda: _loop(model, rule, few))
    print(f"\nrow by row: {looped:,.0f} claims/s; columns are {rows / seconds / looped:,.0f}x")


def _judge(model: TrustModel, rule: DecisionRule, inputs: Inputs) -> None:
    fused = model.score(inputs)
    decide(fused.p_true, np.ones(len(inputs), dtype=np.int8), rule)


def _profile(model: TrustModel, rule: DecisionRule) -> dict[str, float]:
    """Seconds a claim of each part; median of several, on one thread."""
    inputs, scratch = _inputs(PIECE), Scratch()
    order = reading_order(inputs.relation)  # as TrustModel.score takes them
    features = inputs.features(order)
    margin = model.layers.margin(features)
    fused = model.layers.fuse(features, margin)
    asserted = np.ones(PIECE, dtype=np.int8)
    parts: dict[str, Callable[[], object]] = {
        "evidence": lambda: inputs.features(order, scratch),
        "regressions": lambda: model.layers.margin(features, scratch),
        "trees and calibrator": lambda: model.layers.fuse(features, margin),
        "decision": lambda: decide(fused.p_true, asserted, rule),
    }
    return {
        name: float(np.median([_seconds(part) for _ in range(9)])) / PIECE
        for name, part in parts.items()
    }


def _seconds(work: Callable[[], object]) -> float:
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def _loop(model: TrustModel, rule: DecisionRule, inputs: Inputs) -> None:
    for row in range(len(inputs)):
        fused = model.predict(inputs.features(slice(row, row + 1)))
        decide(fused.p_true, np.ones(1, dtype=np.int8), rule)


def _inputs(rows: int) -> Inputs:
    rng = np.random.default_rng(rows)
    centre = rng.uniform(0.1, 0.9, (2, rows, 2)).astype(np.float32)
    extent = rng.uniform(0.02, 0.4, (2, rows, 2)).astype(np.float32)
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=2).clip(0, 1)
    things = priors.attributes(list(priors.nouns())).T
    subject, other = rng.integers(0, things.shape[1], (2, rows)).astype(np.int32)
    return Inputs(
        Grounding.from_boxes(boxes[0], boxes[1], np.ones((rows, 2), dtype=np.float32)),
        rng.integers(0, len(NAMES), rows).astype(np.int16),
        things,
        subject,
        other,
    )


if __name__ == "__main__":
    main()
