"""Metrics of trust: each takes ``(confidence, is_correct, ...)``, higher confidence = surer."""

from spatialtrust.metrics.bootstrap import Interval, bootstrap, resample
from spatialtrust.metrics.calibration import Reliability, brier, ece, ece_floor, reliability
from spatialtrust.metrics.conventions import published
from spatialtrust.metrics.multiclass import brier_multiclass, log_loss
from spatialtrust.metrics.selective import (
    RiskCoverageCurve,
    accuracy_at_coverage,
    augrc,
    aurc,
    auroc,
    average_precision,
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
    "average_precision",
    "bootstrap",
    "brier",
    "brier_multiclass",
    "coverage_at_accuracy",
    "coverage_ceiling",
    "eaurc",
    "ece",
    "ece_floor",
    "fpr_at_tpr",
    "log_loss",
    "precision_at_recall",
    "published",
    "reliability",
    "resample",
    "risk_coverage_curve",
]
