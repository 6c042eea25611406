"""Zero-shot classification: fit, score and compare failure predictors on embedded images."""

from spatialtrust.classify import studies
from spatialtrust.classify.captions import CAPTION_METHODS, compare_captions
from spatialtrust.classify.catalogue import CATALOGUE, Card
from spatialtrust.classify.comparison import METRICS, Comparison, compare
from spatialtrust.classify.estimator import Estimator
from spatialtrust.classify.image_set import EmbeddedImages, LastLayers
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
    "CAPTION_METHODS",
    "CATALOGUE",
    "LABEL_FREE",
    "LEARNED",
    "METHODS",
    "METRICS",
    "Card",
    "Comparison",
    "EmbeddedImages",
    "Estimator",
    "LastLayers",
    "Method",
    "Splits",
    "compare",
    "compare_captions",
    "divide",
    "fit",
    "fit_captions",
    "load_method",
    "score",
    "studies",
]
