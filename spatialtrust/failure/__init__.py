"""Whether a classification can be trusted: scores for CLIP-like models, higher = safer.

Functions on logits need no labels; classes learn from some (`labelled_data` says which) and share
``fit``, ``score``, ``save`` and ``load``. The learned ones import torch when first used.
"""

from typing import TYPE_CHECKING

from spatialtrust.failure.base import LEARNED, FailurePredictor, LabelledData, learned
from spatialtrust.failure.bayesvlm import BayesVLM
from spatialtrust.failure.confidence import (
    doctor,
    energy,
    entropy,
    margin,
    max_cosine,
    max_logit,
    mcm,
)
from spatialtrust.failure.gaussians import ClassGaussians
from spatialtrust.failure.probes import CorrectnessProbe, LinearProbe
from spatialtrust.failure.ratios import LikelihoodRatio
from spatialtrust.failure.relu import RelU
from spatialtrust.failure.temperature import TemperatureScaling
from spatialtrust.failure.trustvlm import TrustVLM

if TYPE_CHECKING:
    from spatialtrust.failure.confidnet import ConfidNet
    from spatialtrust.failure.vilu import LVU, ViLU

__all__ = [
    "LVU",
    "BayesVLM",
    "ClassGaussians",
    "ConfidNet",
    "CorrectnessProbe",
    "FailurePredictor",
    "LabelledData",
    "LikelihoodRatio",
    "LinearProbe",
    "RelU",
    "TemperatureScaling",
    "TrustVLM",
    "ViLU",
    "doctor",
    "energy",
    "entropy",
    "margin",
    "max_cosine",
    "max_logit",
    "mcm",
]


def __getattr__(name: str) -> type[FailurePredictor]:
    if name not in LEARNED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return learned(name)
