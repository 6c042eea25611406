"""Failure predictors by name: fitted on the split they declare, scored on embedded images.

>>> sorted(LABEL_FREE)
['doctor', 'energy', 'entropy', 'margin', 'max-cosine', 'max-logit', 'mcm']
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import failure
from spatialtrust.classify.catalogue import CATALOGUE
from spatialtrust.errors import InputError, suggest
from spatialtrust.failure import FailurePredictor, LabelledData
from spatialtrust.failure.checks import CAPTION_TIE, softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64, Floats
    from spatialtrust.classify.image_set import EmbeddedImages, LastLayers
    from spatialtrust.classify.splits import Splits


LABEL_FREE: Final[dict[str, Callable[[EmbeddedImages], Float64]]] = {
    "mcm": lambda images: failure.mcm(images.logits),
    "max-logit": lambda images: failure.max_logit(images.logits),
    "max-cosine": lambda images: failure.max_cosine(images.logits, images.logit_scale),
    "energy": lambda images: failure.energy(images.logits),
    "entropy": lambda images: failure.entropy(images.logits),
    "doctor": lambda images: failure.doctor(images.logits),
    "margin": lambda images: failure.margin(images.logits),
}
"""Scores that need no labels, by name."""

LEARNED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    name: (card.kind, dict(card.options)) for name, card in CATALOGUE.items() if card.kind
}
"""Methods that are fitted: class in `spatialtrust.failure` and options, by name."""

METHODS: Final = tuple(CATALOGUE)


@dataclass(frozen=True)
class Method:
    """One method, ready to score. ``predictor`` is None for label-free scores."""

    name: str
    predictor: FailurePredictor | None

    @property
    def labelled_data(self) -> LabelledData:
        """The labels it has seen."""
        return LabelledData("none", 0) if self.predictor is None else self.predictor.labelled_data

    def score(self, images: EmbeddedImages) -> Float64:
        """Confidence (N,), higher = safer.

        Raises
        ------
        InputError: for embeddings of another model than it was fitted on.
        """
        if self.predictor is None:
            return LABEL_FREE[self.name](images)
        return score(self.predictor, images)

    def probabilities(self, images: EmbeddedImages) -> Float64 | None:
        """Probabilities of all classes (N, K), for those that speak of the model's own; or None."""
        match self.predictor:
            case None:
                return softmax(images.logits) if self.name == "mcm" else None
            case failure.TemperatureScaling():
                return self.predictor.probabilities(images.logits)
            case failure.BayesVLM():
                layers = _layers(images)
                return self.predictor.probabilities(
                    layers.image_activations, layers.text_activations
                )
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its scores should know about how fitting ended."""
        return () if self.predictor is None else self.predictor.notes

    @property
    def own_predictions(self) -> bool:
        """Whether it speaks of other predictions than the zero-shot ones."""
        return getattr(self.predictor, "variant", "") == "star"

    def predict(self, images: EmbeddedImages) -> NDArray[np.int64]:
        """The predictions it speaks of: the zero-shot ones, but its own for TrustVLM*."""
        if isinstance(self.predictor, failure.TrustVLM):
            features = _shot_features(self.predictor, images)
            rows = _fitted_rows(self.predictor, images)
            return self.predictor.predict(images.logits, features, fitted_rows=rows)
        return np.asarray(images.logits.argmax(axis=1), dtype=np.int64)

    def is_correct(self, images: EmbeddedImages) -> NDArray[np.bool_]:
        """Whether these predictions are right."""
        return np.asarray(self.predict(images) == images.labels)


def fit(
    name: str,
    splits: Splits,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Method:
    """Fit a method by name, on the split that it declares.

    Parameters
    ----------
    progress: for methods that train: called after each epoch with epochs done and at most.
    options: of the method's class, such as ``epochs=20`` for "vilu".

    Raises
    ------
    InputError: for an unknown name or option, or data that it cannot learn from.
    """
    expect_known([name])
    if name in LABEL_FREE:
        unfitted(name, seed, options)
        return Method(name, None)
    predictor: Any = unfitted(name, seed, options)
    train, calibration = splits.train, splits.calibration
    classes = len(train.class_names)
    expect_arrays(name, train)
    match predictor:
        case failure.TemperatureScaling() | failure.RelU():
            predictor.fit(calibration.logits, calibration.labels)
        case failure.ConfidNet():
            predictor.fit(train.images, train.logits, train.labels, progress=progress)
        case failure.BayesVLM():
            # The pairs are images with their class's prompt, which takes labels.
            layers = _layers(train)
            predictor.fit(
                layers.image_activations,
                layers.text_activations[train.labels],
                image_projection=layers.image_projection,
                text_projection=layers.text_projection,
                logit_scale=train.logit_scale,
            )
            predictor.facts_["labelled_rows"] = len(train)
        case failure.TrustVLM():
            encoder = "images" if train.auxiliary is None else "auxiliary"
            predictor.fit(_features(train, encoder), train.labels, classes=classes)
            predictor.facts_["features"] = encoder
            # Shots that are scored later are left out of their own prototype.
            predictor.tensors_["fitted_images"] = _keys(train)
        case failure.LinearProbe() | failure.ClassGaussians():
            predictor.fit(train.images, train.labels, classes=classes)
        case failure.CorrectnessProbe():
            predictor.fit(train.images, train.logits, train.labels)
        case failure.LikelihoodRatio():
            weighing = (calibration.images, calibration.logits, calibration.labels)
            predictor.fit(
                train.images,
                train.logits,
                train.labels,
                weighing=weighing if predictor.margin else None,
            )
        case _:
            predictor.fit(
                train.images,
                train.texts,
                train.labels,
                logit_scale=train.logit_scale,
                progress=progress,
            )
    return Method(name, predictor.bind(train.model))


def unfitted(name: str, seed: int = 0, options: Mapping[str, Any] | None = None) -> Any:
    """A learned method with its options, checked; None for a score that needs no fitting.

    Raises
    ------
    InputError: for an option that it does not have, or a value out of range.
    """
    given = dict(options or {})
    if name in LABEL_FREE:
        if given:
            raise InputError(f'{name} has no option "{min(given)}"; it has none at all')
        return None
    predictor = _new(name, seed, given)
    predictor.check()
    return predictor


def expect_arrays(name: str, images: EmbeddedImages) -> None:
    """Refuse images that lack what a method needs.

    Raises
    ------
    InputError: naming what is missing, and how to give it.
    """
    needs = CATALOGUE[name].needs
    if "images" in needs and not images.images.size:
        raise InputError(f"{name} needs image embeddings, and there are logits only")
    if "texts" in needs and not images.texts.size:
        raise InputError(f"{name} needs text embeddings, and there are none")
    if "last layers" in needs and images.last_layers is None:
        raise InputError(
            f"{name} needs the model's last projections and the activations before them "
            "(EmbeddedImages(last_layers=...), --last-layers): from embeddings alone it cannot be "
            "what was published, and is left out"
        )


def fit_captions(
    name: str,
    images: EmbeddedImages,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Method:
    """Fit "vilu" or "lvu" on pairs of image and caption instead of labels.

    Raises
    ------
    InputError: for another method, or images without captions.
    """
    if name not in ("vilu", "lvu"):
        raise InputError(f'method "{name}" does not learn from captions; valid: vilu, lvu')
    predictor = unfitted(name, seed, options)
    predictor.fit_captions(
        images.images, captions_of(images), logit_scale=images.logit_scale, progress=progress
    )
    return Method(name, predictor.bind(images.model))


def captions_of(images: EmbeddedImages) -> NDArray[np.float32]:
    """Caption embeddings (N, d), or an error that says how to get them."""
    if images.captions is None:
        raise InputError(
            "these images have no captions; embed pairs of image and caption (a list with a "
            "caption column, or WebDataset archives)"
        )
    return images.captions


def own_wins(logits: Floats, logit_scale: float) -> NDArray[np.bool_]:
    """Whether each row's own caption (the diagonal) has the largest logit, or ties with it."""
    largest = logits.max(axis=1) - CAPTION_TIE * logit_scale
    return np.asarray(logits.diagonal() >= largest)


def load_method(name: str) -> Method:
    """A label-free score by name, or a fitted method by the file that holds it."""
    if name in LABEL_FREE:
        return Method(name, None)
    if name in LEARNED:
        raise InputError(
            f"{name} must be fitted first (spatialtrust classify train); give its file"
        )
    predictor = FailurePredictor.load(name)
    return Method(type(predictor).__name__, predictor)


def score(predictor: FailurePredictor, images: EmbeddedImages) -> Float64:
    """Confidence (N,) of any fitted predictor; refuses embeddings of another model."""
    predictor.expect_model(images.model)
    match predictor:
        case failure.TemperatureScaling() | failure.RelU():
            return predictor.score(images.logits)
        case failure.TrustVLM():
            features = _shot_features(predictor, images)
            return predictor.score(
                images.logits, features, fitted_rows=_fitted_rows(predictor, images)
            )
        case failure.BayesVLM():
            layers = _layers(images)
            return predictor.score(layers.image_activations, layers.text_activations)
        case failure.ConfidNet() | failure.CorrectnessProbe():
            return predictor.score(images.images)
        case failure.LinearProbe() | failure.ClassGaussians() | failure.LikelihoodRatio():
            return predictor.score(images.logits, images.images)
        case failure.ViLU():
            return predictor.score(images.images, images.texts)
    raise InputError(f"{type(predictor).__name__} cannot score embedded images")


def expect_known(names: Sequence[str]) -> None:
    """Refuse names of methods that there are not."""
    for name in names:
        if name not in METHODS:
            raise InputError(
                f'method "{name}" is not known; {suggest(name, METHODS)}valid: {", ".join(METHODS)}'
            )


def _new(name: str, seed: int, options: Mapping[str, Any]) -> Any:
    """A learned method with its options."""
    kind, defaults = LEARNED[name]
    cls: Any = getattr(failure, kind)
    known = cls.parameters()
    if unknown := set(options) - set(known):
        raise InputError(f'{kind} has no option "{min(unknown)}"; valid: {", ".join(known)}')
    seeded = {"seed": seed} if "seed" in known else {}
    return cls(**{**seeded, **defaults, **options})


def _layers(images: EmbeddedImages) -> LastLayers:
    if images.last_layers is None:
        raise InputError(
            "these images come without the model's last layers, which BayesVLM was fitted on; give "
            "last_layers"
        )
    return images.last_layers


def _features(images: EmbeddedImages, encoder: str) -> NDArray[np.float32]:
    if encoder == "images":
        return images.images
    if images.auxiliary is None:
        raise InputError("TrustVLM was fitted on a second image encoder; give --auxiliary")
    return images.auxiliary


def _shot_features(predictor: failure.TrustVLM, images: EmbeddedImages) -> NDArray[np.float32]:
    return _features(images, str(predictor.facts_["features"]))


def _keys(images: EmbeddedImages) -> NDArray[np.uint64]:
    """Eight bytes per image that another image does not have."""
    return np.array(
        [
            int.from_bytes(hashlib.sha256(digest).digest()[:8], "little")
            for digest in images.digests
        ],
        dtype=np.uint64,
    )


def _fitted_rows(predictor: failure.TrustVLM, images: EmbeddedImages) -> NDArray[np.int64] | None:
    """Each image's row among those it was fitted on, -1 elsewhere; None where there is none."""
    known = predictor.tensors_["fitted_images"]
    order = np.argsort(known, kind="stable")
    keys = _keys(images)
    place = np.minimum(np.searchsorted(known[order], keys), len(known) - 1)
    rows = np.where(known[order][place] == keys, order[place], -1)
    return rows if (rows >= 0).any() else None
