"""What each method is, needs, and costs: one line a method.

>>> CATALOGUE["mcm"].needs
('logits',)
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGITS: Final = ("logits",)
IMAGES: Final = ("logits", "images")
ALL: Final = ("logits", "images", "texts")


@dataclass(frozen=True)
class Card:
    """One method in a line.

    Attributes
    ----------
    kind: class in `spatialtrust.failure`, or empty for a score without fitting.
    options: that make it of its class.
    labels: which split's labels it uses.
    needs: arrays: logits (or images and texts, which give them), images, texts, last layers.
    source: where it is from; "ours" where no paper proposes it as such.
    cost: seconds of fitting and scoring, in words.
    """

    kind: str
    options: Mapping[str, Any]
    labels: str
    needs: tuple[str, ...]
    source: str
    cost: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "options": dict(self.options),
            "labels": self.labels,
            "needs": list(self.needs),
            "source": self.source,
            "cost": self.cost,
        }


def _free(source: str) -> Card:
    return Card("", MappingProxyType({}), "none", LOGITS, source, "one pass over logits")


def _fitted(
    kind: str, labels: str, needs: tuple[str, ...], source: str, cost: str, /, **options: Any
) -> Card:
    return Card(kind, MappingProxyType(options), labels, needs, source, cost)


_SECONDS: Final = "closed form, seconds"
_EPOCHS: Final = "training, seconds an epoch"

CATALOGUE: Final[Mapping[str, Card]] = MappingProxyType(
    {
        "mcm": _free("Ming et al. 2022, arXiv 2211.13445"),
        "max-logit": _free("Hendrycks et al. 2022, arXiv 1911.11132"),
        "max-cosine": _free("the same at scale 1; ranks as max-logit"),
        "energy": _free("Liu et al. 2020, arXiv 2010.03759"),
        "entropy": _free("Shannon entropy of the softmax, negated"),
        "doctor": _free("Granese et al. 2021, arXiv 2106.02395"),
        "margin": _free("RLog of arXiv 2505.15008: largest logit minus second"),
        "temperature-scaling": _fitted(
            "TemperatureScaling",
            "calibration",
            LOGITS,
            "Guo et al. 2017, arXiv 1706.04599",
            "one number, a second",
        ),
        "rel-u": _fitted(
            "RelU", "calibration", LOGITS, "Rel-U, arXiv 2306.01710", "closed form, a second"
        ),
        "confidnet": _fitted(
            "ConfidNet", "train", IMAGES, "Corbiere et al. 2019, arXiv 1910.04851", _EPOCHS
        ),
        "bayesvlm": _fitted(
            "BayesVLM",
            "train (as pairs)",
            (*ALL, "last layers"),
            "Baumann et al. 2024, arXiv 2412.06014",
            "curvature of all pairs, closed form",
        ),
        "trustvlm": _fitted(
            "TrustVLM", "16 a class", IMAGES, "Dong et al. 2025 (TrustVLM)", _SECONDS
        ),
        "trustvlm-star": _fitted(
            "TrustVLM",
            "16 a class",
            IMAGES,
            "Dong et al. 2025 (TrustVLM*): new predictions",
            _SECONDS,
            variant="star",
        ),
        "logistic-probe": _fitted(
            "LinearProbe",
            "train",
            IMAGES,
            "ours: log p of the predicted class, logistic regression",
            "convex; minutes at 1,000 classes",
            kind="logistic",
        ),
        "lda-probe": _fitted(
            "LinearProbe",
            "train",
            IMAGES,
            "ours: log p of the predicted class, linear discriminant analysis",
            _SECONDS,
            kind="lda",
        ),
        "lda-probe-mcm": _fitted(
            "LinearProbe",
            "train",
            IMAGES,
            "ours: the same plus log MCM",
            _SECONDS,
            kind="lda",
            text=True,
        ),
        "correctness-probe": _fitted(
            "CorrectnessProbe",
            "train",
            IMAGES,
            "ours: logistic regression to right or wrong",
            "convex, seconds",
        ),
        "class-gaussians": _fitted(
            "ClassGaussians",
            "train",
            IMAGES,
            "ours, after ICPE, arXiv 2511.22019",
            "closed form; N x K when scoring",
        ),
        "delta-mds": _fitted(
            "LikelihoodRatio", "train", IMAGES, "arXiv 2505.15008", _SECONDS, density="mds"
        ),
        "delta-knn": _fitted(
            "LikelihoodRatio",
            "train",
            IMAGES,
            "arXiv 2505.15008",
            "all distances to train when scoring",
            density="knn",
        ),
        "delta-mds-margin": _fitted(
            "LikelihoodRatio",
            "train, calibration",
            IMAGES,
            "arXiv 2505.15008; weighting ours",
            _SECONDS,
            density="mds",
            margin=True,
        ),
        "delta-knn-margin": _fitted(
            "LikelihoodRatio",
            "train, calibration",
            IMAGES,
            "arXiv 2505.15008; weighting ours",
            "all distances to train when scoring",
            density="knn",
            margin=True,
        ),
        "lvu": _fitted("LVU", "train", ALL, "visual-only ablation of ViLU", _EPOCHS),
        "vilu": _fitted(
            "ViLU", "train, or pairs", ALL, "Lafon et al. 2025, arXiv 2507.07620", _EPOCHS
        ),
    }
)
"""Every method of a comparison, by name."""
