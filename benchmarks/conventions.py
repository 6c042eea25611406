"""What the published conventions of AURC, FPR95 and ECE make of the same data.

    python -m benchmarks.conventions        prints the tables of docs/metrics.md

The conventions stand in spatialtrust/metrics/conventions.py and are held against each code's own
numbers in tests/parity/test_metrics_golden.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.metrics import aurc, ece, fpr_at_tpr
from spatialtrust.metrics.conventions import (
    aurc_fd_shifts,
    aurc_relu,
    aurc_torch_uncertainty,
    aurc_trustvlm,
    ece_right_closed,
    ece_torchmetrics,
    fpr95_trustvlm,
    fpr95_vilu,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Convention = Callable[[Column, Flags], float]


def fpr95_fd_shifts(confidence: Column, correct: Flags) -> float:
    """At the first TPR that rounds to 95.0 %; correct is positive."""
    return fpr_at_tpr(confidence, correct, convention="fd-shifts")


def fpr95_error(confidence: Column, correct: Flags) -> float:
    """At the first TPR of at least 0.95; an error is positive."""
    return fpr_at_tpr(confidence, correct, positive="error")


def ece_torchmetrics_15(confidence: Column, correct: Flags) -> float:
    """As torchmetrics, with fifteen bins as the others."""
    return ece_torchmetrics(confidence, correct, 15)


def ece_twenty(confidence: Column, correct: Flags) -> float:
    """Left-closed bins, twenty of them."""
    return ece(confidence, correct, bins=20)


TABLES: dict[str, dict[str, Convention]] = {
    "AURC": {
        "spatialtrust: mean over ranks, ties in expectation": aurc,
        "TrustVLM: mean over ranks, ties by arrival": aurc_trustvlm,
        "torch-uncertainty: trapezoid over ranks, ties by arrival": aurc_torch_uncertainty,
        "fd-shifts: trapezoid over thresholds, flat to 0": aurc_fd_shifts,
        "Rel-U: trapezoid over thresholds, cut at the lowest": aurc_relu,
    },
    "FPR95": {
        "spatialtrust, torch-uncertainty 0.13: first TPR >= .95": fpr_at_tpr,
        "fd-shifts: first TPR >= .9495": fpr95_fd_shifts,
        "ViLU: interpolated": fpr95_vilu,
        "TrustVLM, torch-uncertainty <= 0.11: nearest TPR": fpr95_trustvlm,
        "Rel-U, spatialtrust positive='error': errors are positive": fpr95_error,
    },
    "ECE": {
        "spatialtrust, fd-shifts: [a, b), 1.0 in the last, 15 bins": ece,
        "the same with 20 bins": ece_twenty,
        "Guo et al.: (a, b], 15 bins": ece_right_closed,
        "torchmetrics: [a, b), 1.0 in a bin of its own, 15 bins": ece_torchmetrics_15,
    },
}


def samples() -> dict[str, tuple[Column, Flags]]:
    """The same 400 answers with exact, bfloat16 and eighth-rounded confidences."""
    generator = np.random.default_rng(0)
    exact = 1 / (1 + np.exp(-generator.normal(1.5, 2.0, 400)))
    correct = generator.random(400) < exact**1.5
    halved = (exact.astype(np.float32).view(np.uint32) + 0x8000 & 0xFFFF0000).view(np.float32)
    return {
        "exact": (exact, correct),
        "bfloat16": (halved.astype(np.float64), correct),
        "eighths": (np.round(exact * 8) / 8, correct),
    }


def span(convention: Convention, confidence: Column, correct: Flags, orders: int = 20) -> str:
    """The value, or its range over row orders where it depends on them."""
    generator = np.random.default_rng(1)
    values = []
    for _ in range(orders):
        order = generator.permutation(confidence.size)
        values.append(100 * convention(confidence[order], correct[order]))
    low, high = min(values), max(values)
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"


def main() -> None:
    columns = samples()
    for metric, conventions in TABLES.items():
        print(f"\n| {metric}, in hundredths | " + " | ".join(columns) + " |")
        print("|---|" + "---|" * len(columns))
        for name, convention in conventions.items():
            cells = " | ".join(span(convention, *column) for column in columns.values())
            print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
