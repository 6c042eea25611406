"""How long a metric takes on a million rows, and an interval by image on 6,458.

    python -m benchmarks.metrics [--rows 1000000]

Beside it scikit-learn, and torch-uncertainty where it is installed (pip install torch-uncertainty
in an environment of its own: it is left out, saying so, where it is absent). `python
benchmarks/metrics.py --intervals` instead measures how often an interval holds what it should.
"""

from __future__ import annotations

import argparse
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from spatialtrust.decision.rule import DecisionRule, decide
from spatialtrust.metrics import (
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    bootstrap,
    brier,
    coverage_at_accuracy,
    eaurc,
    ece,
    fpr_at_tpr,
    resample,
)

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS: dict[str, Callable[..., float]] = {
    "auroc": auroc,
    "aurc": aurc,
    "eaurc": eaurc,
    "augrc": augrc,
    "fpr_at_tpr": fpr_at_tpr,
    "coverage_at_accuracy": partial(coverage_at_accuracy, accuracy=0.8),
    "accuracy_at_coverage": partial(accuracy_at_coverage, coverage=0.8),
    "ece": ece,
    "brier": brier,
}


def scikit_learn() -> dict[str, Callable[..., float]]:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {
        "auroc": lambda c, y: float(roc_auc_score(y, c)),
        "brier": lambda c, y: float(brier_score_loss(y, c)),
    }


def torch_uncertainty() -> dict[str, Callable[..., float]]:
    """Its metrics; it takes class probabilities, so a row becomes (c, 1 - c) with c >= 0.5."""
    try:
        import torch
        from torch_uncertainty import metrics as theirs
    except ImportError as missing:
        print(f"torch-uncertainty is left out: {missing}")
        return {}

    def of_probabilities(metric, confidence, correct) -> float:
        top = torch.as_tensor(np.stack([confidence, 1 - confidence], axis=1))
        metric.update(top, torch.as_tensor(~correct).long())
        return float(metric.compute())

    def of_confidence(confidence, correct) -> float:
        metric = theirs.FPR95(pos_label=1)
        metric.update(torch.as_tensor(confidence), torch.as_tensor(correct).long())
        return float(metric.compute())

    return {
        "aurc": lambda c, y: of_probabilities(theirs.AURC(), c, y),
        "augrc": lambda c, y: of_probabilities(theirs.AUGRC(), c, y),
        "fpr_at_tpr": of_confidence,
        "coverage_at_accuracy": lambda c, y: of_probabilities(theirs.CovAtxRisk(0.2), c, y),
        "accuracy_at_coverage": lambda c, y: 1 - of_probabilities(theirs.RiskAtxCov(0.8), c, y),
        "ece": lambda c, y: of_probabilities(
            theirs.CalibrationError(task="multiclass", num_classes=2, num_bins=15), c, y
        ),
    }


def timed(function: Callable[..., object], *arguments: object) -> tuple[object, float]:
    """The result and the least of three wall times."""
    seconds = []
    for _ in range(3):
        start = perf_counter()
        result = function(*arguments)
        seconds.append(perf_counter() - start)
    return result, min(seconds)


def speed(rows: int) -> None:
    generator = np.random.default_rng(0)
    confidence = 0.5 + 0.5 * generator.random(rows)
    correct = generator.random(rows) < confidence
    others = {"scikit-learn": scikit_learn(), "torch-uncertainty": torch_uncertainty()}
    image = generator.integers(0, 4809, 6458)
    print(
        f"{rows:,} rows; interval: 6,458 rows of {np.unique(image).size:,} images, 1,000 resamples"
    )
    for name, metric in METRICS.items():
        value, seconds = timed(metric, confidence, correct)
        part = confidence[:6458], correct[:6458]
        _, spent = timed(partial(bootstrap, metric, *part, groups=image))
        line = f"{name:21} {value:.6f} {seconds:6.3f} s   interval {spent:5.2f} s"
        for code, theirs in others.items():
            if name in theirs:
                other, taken = timed(theirs[name], confidence, correct)
                line += f"   {code} {other:.6f} {taken:6.3f} s"
        print(line)
    p_true = generator.random(10_000_000, dtype=np.float32)
    asserted = generator.integers(0, 2, p_true.size, dtype=np.int8)
    _, seconds = timed(decide, p_true, asserted, DecisionRule.plain(0.8))
    print(f"decide {p_true.size:,} claims {seconds:.3f} s")


def together(rows: int = 50_000, resamples: int = 1000) -> None:
    """Intervals of a comparison's metrics and of their gain over a baseline, for one method.

    In one pass over the draws for both scores, against a bootstrap for each interval. The second
    is timed on a twentieth of the resamples. Seconds are the processor's, so that other work on
    the machine counts less.
    """
    names = ("auroc", "aurc", "eaurc", "fpr_at_tpr")
    metrics = [METRICS[name] for name in names]
    generator = np.random.default_rng(2)
    image = np.arange(rows)
    for kind, levels in (("no ties", 0), ("ties, 256 levels", 256)):
        confidence = generator.random(rows)
        correct = generator.random(rows) < confidence
        if levels:
            confidence = np.round(confidence * levels) / levels
        scores = [(confidence, correct), (generator.random(rows), correct)]
        start = process_time()
        resample(metrics, scores, groups=image, n=resamples)
        one_pass = process_time() - start
        start = process_time()
        for metric in metrics:
            few = {"groups": image, "n": resamples // 20}
            bootstrap(metric, *scores[0], **few)
            bootstrap(metric, *scores[0], baseline=scores[1], **few)
        each = 20 * (process_time() - start)
        print(
            f"{rows:,} rows x {resamples:,} resamples, {kind}: {len(names)} metrics of two scores "
            f"{one_pass:.1f} s, {one_pass / 2:.1f} s a score; a bootstrap for each interval "
            f"{each:.1f} s, {each / one_pass:.1f} times as long"
        )


def intervals(runs: int = 300, rows: int = 1000) -> None:
    """Share of 95 % intervals that hold the metric to expect from as many rows."""
    generator = np.random.default_rng(1)

    def sample(overconfident: float):
        image = generator.integers(0, rows * 3 // 4, rows)
        logit = generator.normal(0, 1.5, rows) + 0.3 + generator.normal(0, 0.7, rows)[image]
        correct = generator.random(rows) < expit(logit)
        return expit(logit * (1 + overconfident)), correct, image

    for overconfident in (0.0, 0.6):
        for name in ("auroc", "aurc", "fpr_at_tpr", "coverage_at_accuracy", "ece"):
            metric = METRICS[name]
            found = []
            for seed in range(runs):
                confidence, correct, image = sample(overconfident)
                found.append(bootstrap(metric, confidence, correct, groups=image, n=400, seed=seed))
            expected = np.mean([interval.value for interval in found])
            held = np.mean([interval.low <= expected <= interval.high for interval in found])
            print(
                f"overconfident {overconfident}  {name:21} expected {expected:.4f}  held {held:.3f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--intervals", action="store_true")
    given = parser.parse_args()
    if given.intervals:
        intervals()
    else:
        speed(given.rows)
        together()


if __name__ == "__main__":
    main()
