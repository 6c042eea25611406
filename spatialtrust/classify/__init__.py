"""Zero-shot classification: fit, score and compare failure predictors on embedded images."""

from spatialtrust.classify import studies
from spatialtrust.classify.comparison import METRICS, Comparison, compare
from spatialtrust.classify.methods import (
    LABEL_FREE,
    LEARNED,
    METHODS,
    Method,
    fit,
    fit_captions,
    load_method,
    score,
)
from spatialtrust.classify.splits import Splits, divide

__all__ = [
    "LABEL_FREE",
    "LEARNED",
    "METHODS",
    "METRICS",
    "Comparison",
    "Method",
    "Splits",
    "compare",
    "divide",
    "fit",
    "fit_captions",
    "load_method",
    "score",
    "studies",
]
