"""Does a certified threshold keep its promise? Simulation in which every risk is known.

    python -m benchmarks.guarantees [--runs 1000]

Each run draws certifying images, certifies, and looks up the true risk of the chosen threshold in
a population of 100,000 other images. `over` is the share of runs whose true risk exceeds alpha; it
may be at most delta, plus the slack of a binomial count (99.9 %). The claim unit on dependent
claims is the warning: it promises what it cannot keep.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit, logit, ndtr
from scipy.stats import binom

from spatialtrust.decision.certification import Grid, certify_verdicts, rule_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.decision.rule import Kind, Unit

PASSES = 0.999


@dataclass(frozen=True)
class World:
    """Images with claims whose truth follows a known law.

    A verifier says P(true) = q with logit q normal, right as often as it says. An answerer is right
    with a fixed probability. The errors of each share a factor within an image: `dependence` is
    its weight in a Gaussian copula, 0 for independent claims.
    """

    answerer: float = 0.54
    spread: float = 1.6  # of logit q: a verifier that is right on 0.74 of the claims
    dependence: float = 0.0
    claims: int = 8  # most claims of an image; images carry 1 to this many
    inverted: bool = False  # the surest tenth of the scores is wrong as often as right

    def draw(self, images: int, generator: np.random.Generator) -> Sample:
        image = np.repeat(np.arange(images), generator.integers(1, self.claims + 1, images))
        rows = image.size
        q = expit(self.spread * generator.standard_normal(rows))
        surety = np.maximum(q, 1 - q)
        top = self.inverted & (surety > expit(1.65 * self.spread))
        label = (q >= 0.5) == (self._shared(image, generator) < np.where(top, 0.5, surety))
        asserted = label == (self._shared(image, generator) < self.answerer)
        p_true = expit(logit(q) + np.where(asserted, 1, -1) * logit(self.answerer))
        return Sample(image, p_true.astype(np.float32), asserted.astype(np.int8), label)

    def _shared(
        self, image: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Uniform numbers that are alike within an image."""
        factor = generator.standard_normal(image[-1] + 1)[image]
        noise = generator.standard_normal(image.size)
        shared: NDArray[np.float64] = ndtr(
            np.sqrt(self.dependence) * factor + np.sqrt(1 - self.dependence) * noise
        )
        return shared


@dataclass(frozen=True)
class Sample:
    image: NDArray[np.int64]
    p_true: NDArray[np.float32]
    asserted: NDArray[np.int8]
    label: NDArray[np.bool_]

    def grid(self, kind: Kind, unit: Unit, predicted: bool) -> Grid:
        scores, right = rule_scores(self.p_true, self.asserted, self.label, kind)
        fitted = Grid.fit(scores, right, unit=unit, groups=self.image)
        return fitted if predicted else Grid(fitted.thresholds)

    def risks(self, kind: Kind, thresholds: tuple[float, ...]) -> dict[str, dict[float, float]]:
        """True risk by unit, and coverage, of every threshold."""
        scores, right = rule_scores(self.p_true, self.asserted, self.label, kind)
        known: dict[str, dict[float, float]] = {"claim": {}, "image": {}, "coverage": {}}
        for threshold in thresholds:
            emitted = scores >= np.float32(threshold)
            wrong = np.bincount(self.image, weights=emitted & ~right)
            per_image = np.bincount(self.image, weights=emitted)
            some = per_image > 0
            known["claim"][threshold] = float(wrong.sum() / per_image.sum())
            known["image"][threshold] = float((wrong[some] / per_image[some]).mean())
            known["coverage"][threshold] = float(emitted.mean())
        return known


@dataclass(frozen=True)
class Setting:
    """One line of the table."""

    world: World
    images: int = 300
    alpha: float = 0.2
    delta: float = 0.1
    unit: Unit = "claim"
    rules: Literal["accept", "both"] = "both"
    predicted: bool = True


@dataclass(frozen=True)
class Result:
    over: float
    allowed: float
    found: float
    coverage: float

    @property
    def kept(self) -> bool:
        return self.over <= self.allowed


def simulate(setting: Setting, runs: int, seed: int = 0, population: int = 100_000) -> Result:
    """Certify `runs` times and judge every chosen threshold by its true risk."""
    generator = np.random.default_rng(seed)
    kinds: tuple[Kind, ...] = (
        ("accept",) if setting.rules == "accept" else ("accept", "accept+correct")
    )
    earlier = setting.world.draw(500, generator)
    grids = {kind: earlier.grid(kind, setting.unit, setting.predicted) for kind in kinds}
    everything = setting.world.draw(population, generator)
    known = {kind: everything.risks(kind, grids[kind].thresholds) for kind in kinds}
    over, found, coverage = 0, 0, 0.0
    for run in range(runs):
        rows = setting.world.draw(setting.images, generator)
        rule = certify_verdicts(
            rows.p_true,
            rows.asserted,
            rows.label,
            alpha=setting.alpha,
            delta=setting.delta,
            grids=grids,
            calibrated_on="the simulated world",
            unit=setting.unit,
            groups=rows.image,
            seed=run,
        )
        if rule.threshold is not None:
            found += 1
            over += known[rule.rule][setting.unit][rule.threshold] > setting.alpha
            coverage += known[rule.rule]["coverage"][rule.threshold]
    allowed = float(binom.ppf(PASSES, runs, setting.delta)) / runs
    return Result(over / runs, allowed, found / runs, coverage / runs)


def settings() -> list[Setting]:
    chosen = []
    for unit, dependence in (("claim", 0.0), ("image", 0.0), ("image", 0.9), ("claim", 0.9)):
        for rules, alpha in product(("accept", "both"), (0.1, 0.2)):
            world = World(dependence=dependence, claims=20 if dependence else 8)
            chosen.append(Setting(world, alpha=alpha, unit=unit, rules=rules))
    base = Setting(World(dependence=0.9, claims=20), unit="image")
    chosen += [replace(base, delta=delta) for delta in (0.05, 0.2)]
    chosen += [replace(base, images=images) for images in (100, 1000)]
    chosen += [replace(base, world=replace(base.world, answerer=a)) for a in (0.7, 0.85)]
    chosen += [replace(base, world=replace(base.world, spread=s)) for s in (0.6, 3.0)]
    chosen += [
        replace(base, world=replace(base.world, inverted=True)),
        replace(base, predicted=False),
    ]
    chosen += [
        replace(base, world=replace(base.world, inverted=True), predicted=False),
        replace(base, alpha=0.1, images=100),
        replace(base, alpha=0.1, images=100, predicted=False),
    ]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print(
        "unit   rules   dep claims answerer spread top      start     images alpha delta |"
        "  over allowed  found coverage"
    )
    for setting in settings():
        world, result = setting.world, simulate(setting, runs)
        warning = "" if result.kept else "  <- promise broken"
        print(
            f"{setting.unit:6} {setting.rules:7} {world.dependence:3} {world.claims:6} "
            f"{world.answerer:8} {world.spread:6} {'inverted' if world.inverted else 'sound':8} "
            f"{'predicted' if setting.predicted else 'n_min':9} {setting.images:6} "
            f"{setting.alpha:5} {setting.delta:5} | {result.over:5.3f} {result.allowed:7.3f} "
            f"{result.found:6.3f} {result.coverage:8.3f}{warning}",
            flush=True,
        )


if __name__ == "__main__":
    main()
