"""What the published conventions of AURC, FPR95 and ECE make of the same data.

    python -m benchmarks.conventions        prints the tables of docs/metrics.md

The functions rebuild each code's convention and are held against its own numbers in
tests/parity/test_metrics_golden.py. They are here to be compared, not to be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.metrics import aurc, ece, fpr_at_tpr, risk_coverage_curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Convention = Callable[[Column, Flags], float]


def aurc_trustvlm(confidence: Column, correct: Flags) -> float:
    """Mean of the cumulative risks, ties in order of arrival."""
    order = np.argsort(-confidence, kind="stable")
    wrong = 1 - np.asarray(correct)[order]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, wrong.size + 1)))


def aurc_torch_uncertainty(confidence: Column, correct: Flags) -> float:
    """Trapezoid over coverage 1/N .. 1, rescaled to unit width, ties in order of arrival."""
    order = np.argsort(-confidence, kind="stable")
    rank = np.arange(1, confidence.size + 1)
    risk = np.cumsum(1 - np.asarray(correct)[order]) / rank
    return float(np.trapezoid(risk, rank / rank.size) / (1 - 1 / rank.size))


def aurc_relu(confidence: Column, correct: Flags) -> float:
    """Trapezoid between distinct thresholds, nothing below the lowest coverage."""
    curve = risk_coverage_curve(confidence, correct)
    return float(np.trapezoid(curve.risk, curve.coverage))


def aurc_fd_shifts(confidence: Column, correct: Flags) -> float:
    """The same, and flat from the lowest coverage to 0."""
    curve = risk_coverage_curve(confidence, correct)
    return aurc_relu(confidence, correct) + float(curve.coverage[0] * curve.risk[0])


def fpr95_vilu(confidence: Column, correct: Flags) -> float:
    """Interpolated between the points of the ROC; correct is positive."""
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(correct, confidence)
    return float(np.interp(0.95, tpr, fpr))


def fpr95_trustvlm(confidence: Column, correct: Flags) -> float:
    """At the point whose TPR is nearest to 0.95, be it below; correct is positive."""
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(correct, confidence)
    return float(fpr[np.argmin(np.abs(tpr - 0.95))])


def fpr95_fd_shifts(confidence: Column, correct: Flags) -> float:
    """At the first TPR that rounds to 95.0 %; correct is positive."""
    return fpr_at_tpr(confidence, correct, tpr=0.9495)


def fpr95_error(confidence: Column, correct: Flags) -> float:
    """At the first TPR of at least 0.95; an error is positive."""
    return fpr_at_tpr(confidence, correct, positive="error")


def ece_right_closed(confidence: Column, correct: Flags, bins: int = 15) -> float:
    """Bins ``(a, b]`` as in Guo et al., edges in float32 as in their code; 0 falls in none."""
    edges = np.linspace(0, 1, bins + 1, dtype=np.float32).astype(np.float64)
    bin_of = np.searchsorted(edges, confidence, side="left") - 1
    gaps = [abs((confidence - correct)[bin_of == b].sum()) for b in range(bins)]
    return float(sum(gaps) / confidence.size)


def ece_torchmetrics(confidence: Column, correct: Flags, bins: int = 15) -> float:
    """Left-closed bins, and one of their own for confidences of exactly 1."""
    certain = confidence >= 1
    total = ece(confidence[~certain], correct[~certain], bins) * (~certain).sum()
    if certain.any():
        total += ece(confidence[certain], correct[certain], bins) * certain.sum()
    return float(total / confidence.size)


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
        "torchmetrics: [a, b), 1.0 in a bin of its own, 15 bins": ece_torchmetrics,
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
