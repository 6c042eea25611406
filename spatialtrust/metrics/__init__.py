"""Metrics of trust: each takes ``(confidence, is_correct, ...)``, higher confidence = surer."""

from spatialtrust.metrics.bootstrap import Interval, bootstrap
from spatialtrust.metrics.calibration import Reliability, brier, ece, ece_floor, reliability
from spatialtrust.metrics.selective import (
    RiskCoverageCurve,
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    coverage_at_accuracy,
    coverage_ceiling,
    eaurc,
    fpr_at_tpr,
    precision_at_recall,
    risk_coverage_curve,
)

__all__ = [
    "Interval",
    "Reliability",
    "RiskCoverageCurve",
    "accuracy_at_coverage",
    "augrc",
    "aurc",
    "auroc",
    "bootstrap",
    "brier",
    "coverage_at_accuracy",
    "coverage_ceiling",
    "eaurc",
    "ece",
    "ece_floor",
    "fpr_at_tpr",
    "precision_at_recall",
    "reliability",
    "risk_coverage_curve",
]
