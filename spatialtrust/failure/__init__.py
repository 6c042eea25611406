"""Can this classification be trusted? Scores for CLIP-like models, higher = safer."""

from spatialtrust.failure.bayesvlm import BayesVLM
from spatialtrust.failure.confidence import doctor, energy, entropy, max_cosine, max_logit, mcm
from spatialtrust.failure.relu import RelU
from spatialtrust.failure.temperature import TemperatureScaling
from spatialtrust.failure.trustvlm import TrustVLM

__all__ = [
    "BayesVLM", "RelU", "TemperatureScaling", "TrustVLM", "doctor", "energy", "entropy",
    "max_cosine", "max_logit", "mcm",
]
