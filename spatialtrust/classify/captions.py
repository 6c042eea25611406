"""The caption setting as a comparison: the candidates of an image are the captions of its batch."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust import failure
from spatialtrust.classify import judging
from spatialtrust.classify.comparison import Comparison
from spatialtrust.classify.judging import Scored, judge
from spatialtrust.classify.methods import (
    LABEL_FREE,
    Method,
    captions_of,
    fit_captions,
    own_wins,
    unfitted,
)
from spatialtrust.errors import InputError, SpatialTrustError
from spatialtrust.failure.checks import expect_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.arrays import Float64
    from spatialtrust.classify.image_set import EmbeddedImages

CAPTION_METHODS: Final = (*LABEL_FREE, "lvu", "vilu")
"""Methods that make sense where every image has candidates of its own."""

_SCORES: Final[dict[str, Callable[[Any], Float64]]] = {
    "mcm": failure.mcm,
    "max-logit": failure.max_logit,
    "max-cosine": failure.max_logit,
    "energy": failure.energy,
    "entropy": failure.entropy,
    "doctor": failure.doctor,
    "margin": failure.margin,
}


def compare_captions(
    train: EmbeddedImages,
    test: EmbeddedImages,
    methods: Sequence[str] = CAPTION_METHODS,
    *,
    candidates: int = 1024,
    seed: int = 0,
    baseline: str = "mcm",
    resamples: int = 1000,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    convention: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Methods on pairs of image and caption, ``candidates`` consecutive captions at a time.

    An image is right where its own caption wins (a caption that ties with the winner may be the
    same text, and counts as right). Learned methods train on the pairs of ``train`` with as many
    candidates and use no labels. A last batch of fewer than half as many candidates is left out of
    the test, since its answers are easier; ``settings`` says how many images that were.

    Returns
    -------
    as `compare`, without certificates.

    Raises
    ------
    InputError: for images without captions, unknown methods or options.
    """
    expect_count(candidates, "candidates", 2)
    given = {name: dict(values) for name, values in (options or {}).items()}
    for name in [*methods, baseline, *given]:
        if name not in CAPTION_METHODS:
            raise InputError(
                f'method "{name}" needs classes; valid for captions: {", ".join(CAPTION_METHODS)}'
            )
    if absent := sorted(set(given) - {*methods, baseline}):
        raise InputError(f'options of "{absent[0]}", which is not compared; add it to the methods')
    for name, values in given.items():
        unfitted(name, seed, values)
    captions_of(train)
    captions_of(test)
    left = len(test) % candidates
    left = left if left < candidates / 2 and len(test) > candidates else 0
    test = test.rows(slice(0, len(test) - left))
    metrics = judging.metrics_of(convention)
    scored: dict[str, Scored] = {}
    rows: dict[str, dict[str, Any]] = {}
    fitted: dict[str, Method] = {}
    for name in dict.fromkeys([*methods, baseline]):
        if progress is not None:
            progress(name)
        started = time.perf_counter()
        try:
            method = (
                Method(name, None)
                if name in LABEL_FREE
                else fit_captions(
                    name,
                    train,
                    seed=seed,
                    progress=None if progress is None else partial(_epochs, name, progress),
                    **{"batch_size": candidates, **given.get(name, {})},
                )
            )
        except SpatialTrustError as error:
            rows[name] = {"method": name, "status": str(error)}
            continue
        fitted[name] = method
        scored[name] = _score(method, test, candidates)
        rows[name] = {
            "method": name,
            "labelled_data": "no labels",
            "accuracy": float(scored[name].correct.mean()),
            "seconds": time.perf_counter() - started,
            "status": "ok",
            "notes": "; ".join(method.notes),
        }
    if baseline not in scored:
        raise InputError(f"baseline {baseline}: {rows[baseline]['status']}")
    judged, wins = judge(
        scored,
        groups=test.groups,
        metrics=metrics,
        baseline=baseline,
        listed=[name for name in methods if name in scored],
        resamples=resamples,
        seed=seed,
    )
    settings = {
        "model": test.model,
        "auxiliary": None,
        "logit_scale": test.logit_scale,
        "classes": candidates,
        "candidates": candidates,
        "certifies": False,
        "images": {"train": len(train), "test": len(test), "left out": left},
        "seed": seed,
        "baseline": baseline,
        "resamples": resamples,
        "options": given,
        "convention": convention or "spatialtrust",
    }
    table = judging.table([rows[n] | judged.get(n, {}) for n in methods], metrics, losses=False)
    return Comparison(table, wins, {n: fitted[n] for n in methods if n in fitted}, {}, settings)


def _epochs(name: str, progress: Callable[[str], None], done: int, most: int) -> None:
    if done % 10 == 0 or done == most:
        progress(f"{name}: epoch {done} of at most {most}")


def _score(method: Method, images: EmbeddedImages, candidates: int) -> Scored:
    captions = captions_of(images)
    correct: NDArray[np.bool_] = np.empty(len(images), dtype=bool)
    confidence = np.empty(len(images))
    predictor: Any = method.predictor
    for start in range(0, len(images), candidates):
        part = slice(start, start + candidates)
        logits = images.logit_scale * images.images[part] @ captions[part].T
        correct[part] = own_wins(logits, images.logit_scale)
        if predictor is not None:
            confidence[part] = predictor.score(images.images[part], captions[part])
        else:
            confidence[part] = _SCORES[method.name](logits)
    return Scored(confidence, correct)
