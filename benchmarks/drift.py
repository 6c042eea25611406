"""How soon is a promise withdrawn that no longer holds, and how often one that does?

    python -m benchmarks.drift [--runs 1000] [--images 1000]

Each run draws images from the certification rows of the shipped model, with replacement: as many
as it has to certify on, and a stream. Certified at 0.8 with delta 0.1, so each test may raise a
false alarm in 5 % of the runs, however long the stream. `alike` is the test without labels, `risk`
the one with a spot label on each image. Labels of what goes out are wrong at the promised limit,
the hardest that still holds, plus what the line says. Delays are counted in images (for `risk`, in
images with a label) from the start of the shift: the median and 90 % of those that alarmed then.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binom

from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.decision.monitoring import Monitor
from spatialtrust.decision.rule import decide
from spatialtrust.fusion.model import TrustModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spatialtrust.decision.rule import DecisionRule

PASSES = 0.999
_BATCH = 100


@dataclass(frozen=True)
class Shift:
    """What happens to a stream, from an image on."""

    name: str
    score: float = 0.0  # added to the log-odds of p_true
    excess: float = 0.0  # of the risk, over the promised limit
    after: int = 0  # images before it begins


SHIFTS = (
    Shift("none"),
    Shift("scores -0.25", score=-0.25),
    Shift("scores -0.5", score=-0.5),
    Shift("scores -1", score=-1.0),
    Shift("scores -1, from 500 on", score=-1.0, after=500),
    Shift("risk +2 points", excess=0.02),
    Shift("risk +5 points", excess=0.05),
    Shift("risk +10 points", excess=0.1),
    Shift("risk +10, from 500 on", excess=0.1, after=500),
)


@dataclass(frozen=True)
class Delays:
    """Image (with a label, for `risk`) of each run's alarm, counted from the start of the shift.

    inf: none in the stream; NaN: a false one, before the shift.
    """

    alike: NDArray[np.float64]
    risk: NDArray[np.float64]


def simulate(
    shift: Shift, runs: int, images: int, seed: int = 0, model: TrustModel | None = None
) -> Delays:
    """Watch `runs` streams of `images` images each."""
    model = model or TrustModel.load()
    rows, rule = model.certifying, model.rule(accuracy=0.8, delta=0.1)
    assert rows is not None
    generator = np.random.default_rng(seed)
    order = np.argsort(rows.image, kind="stable")
    start = np.searchsorted(rows.image[order], np.arange(rows.image.max() + 2))
    found = np.full((runs, 2), np.inf)
    for run in range(runs):
        drawn, image = _images(order, start, start.size - 1, generator)
        certifying = CertifyingRows(
            image, rows.asserted[drawn], rows.p_true[drawn], rows.label[drawn], rows.reserve
        )
        monitor = Monitor.start(certifying, rule, seed=run)
        before = np.zeros(2)
        for first in range(0, images, _BATCH):
            if first == shift.after:
                before[:] = monitor.status().images, monitor.status().labelled
            drawn, image = _images(order, start, min(_BATCH, images - first), generator)
            moved = shift if first >= shift.after else Shift("none")
            p_true = expit(logit(rows.p_true[drawn].astype(np.float64)) + moved.score)
            asserted = rows.asserted[drawn]
            label = _labels(rule, p_true, asserted, moved.excess, generator)
            monitor.observe(image, p_true, asserted, label)
        status = monitor.status()
        assert status.risk is not None
        for column, told in enumerate((status.alike, status.risk)):
            if told["withdrawn_at"] is not None:
                found[run, column] = told["withdrawn_at"] - before[column]
    found[found <= 0] = np.nan
    return Delays(*found.T)


def _images(
    order: NDArray[np.int64], start: NDArray[np.int64], count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Rows of images drawn with replacement, each draw an image of its own."""
    chosen = generator.integers(0, start.size - 1, count)
    sizes = start[chosen + 1] - start[chosen]
    image = np.repeat(np.arange(count), sizes)
    within = np.arange(image.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[start[chosen][image] + within], image.astype(np.int32)


def _labels(
    rule: DecisionRule,
    p_true: NDArray[np.float64],
    asserted: NDArray[np.int8],
    excess: float,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """A label for each claim that goes out, wrong as often as promised and by so much more."""
    assert rule.alpha is not None
    emitted = decide(p_true, asserted, rule).emitted
    wrong = generator.random(emitted.size) < rule.alpha + excess
    return np.where(emitted < 0, np.nan, np.where(wrong, 1 - emitted, emitted))


def allowed(runs: int, level: float = 0.05) -> float:
    """Most false alarms, as a share of the runs."""
    return float(binom.ppf(PASSES, runs, level)) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    print(f"{options.runs} runs of {options.images} images; a false alarm may come in "
          f"{allowed(options.runs):.3f} of the runs")  # fmt: skip
    print("shift                  | alike: share median    90 % | risk: share median    90 %")
    for shift in SHIFTS:
        told = simulate(shift, options.runs, options.images)
        cells = []
        for at in (told.alike, told.risk):
            early = at[np.isfinite(at)]
            middle, late = np.quantile(early, (0.5, 0.9)) if early.size else (np.nan, np.nan)
            cells.append(f"{early.size / at.size:12.3f} {middle:6.0f} {late:7.0f}")
        broken = max(
            np.isfinite(told.alike).mean() if not shift.score else 0.0,
            np.isfinite(told.risk).mean() if not shift.excess else 0.0,
        ) > allowed(options.runs)
        warning = "  <- promise broken" if broken else ""
        print(f"{shift.name:22} | {cells[0]} | {cells[1][1:]}{warning}", flush=True)


if __name__ == "__main__":
    main()
