"""The studies of the ViLU paper, on any embeddings: what matters, how many labels, what transfers.

Each returns one row per variant and seed: ``variant``, ``seed``, ``accuracy``, ``auroc``,
``fpr95``, ``aurc``, ``status``. Nothing is tuned on the rows that they are measured on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust import failure, metrics
from spatialtrust.classify.methods import captions_of, own_wins
from spatialtrust.classify.splits import Splits, divide
from spatialtrust.errors import SpatialTrustError
from spatialtrust.failure import mcm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from spatialtrust.classify.image_set import EmbeddedImages

COMPONENTS: Final[dict[str, dict[str, Any]]] = {
    "image": {"attention": "none", "predicted": False},
    "image + predicted text": {"attention": "none"},
    "image + attended text": {"predicted": False},
    "all": {},
    "all, attention as in the paper": {
        "attention": "paper",
        "projection": "learned",
        "freeze_steps": 0,
    },
}
LOSSES: Final[dict[str, dict[str, Any]]] = {
    "squared error": {"loss": "mse", "weighting": "none"},
    "weighted squared error": {"loss": "mse"},
    "cross-entropy": {"weighting": "none"},
    "weighted cross-entropy, batch": {},
    "weighted cross-entropy, data set": {"weighting": "dataset"},
}
_SCHEMA: Final = pa.schema(
    [
        ("variant", pa.string()),
        ("seed", pa.int64()),
        ("accuracy", pa.float64()),
        ("auroc", pa.float64()),
        ("fpr95", pa.float64()),
        ("aurc", pa.float64()),
        ("status", pa.string()),
    ]
)


def components(splits: Splits, *, seeds: Sequence[int] = (0, 1, 2), **options: Any) -> pa.Table:
    """Which of ViLU's inputs matter (paper, Table 3). ``options`` are of `ViLU`."""
    return _variants(splits, COMPONENTS, seeds, options)


def losses(splits: Splits, *, seeds: Sequence[int] = (0, 1, 2), **options: Any) -> pa.Table:
    """Which loss and weighting matter (paper, Table 4). ``options`` are of `ViLU`."""
    return _variants(splits, LOSSES, seeds, options)


def label_efficiency(
    splits: Splits,
    *,
    shares: Sequence[float] = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    seeds: Sequence[int] = (0, 1, 2),
    **options: Any,
) -> pa.Table:
    """How many labelled images ViLU needs to pass MCM, which needs none."""
    rows = [_row("mcm", 0, mcm(splits.test.logits), splits.test.is_correct)]
    for share in shares:
        for seed in seeds:
            train = divide(splits.train, (share, 1 - share), seed=seed)[0]
            rows.append(_fit_row(f"vilu, {len(train)} images", seed, train, splits.test, options))
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def candidates(
    train: EmbeddedImages,
    test: EmbeddedImages,
    *,
    sizes: Sequence[int] = (16, 64, 256, 1024),
    seeds: Sequence[int] = (0, 1, 2),
    **options: Any,
) -> pa.Table:
    """The caption setting, by number of candidate captions: ViLU, its visual-only ablation, MCM.

    Raises
    ------
    InputError: the images have no captions.
    """
    rows = []
    for size in sizes:
        correct, confidence = caption_baseline(test, size)
        rows.append(_row(f"mcm, {size} captions", 0, confidence, correct))
        for name, kind in (("lvu", failure.LVU), ("vilu", failure.ViLU)):
            for seed in seeds:
                model = kind(**{"batch_size": size, "seed": seed, **options})
                model.fit_captions(train.images, captions_of(train), logit_scale=train.logit_scale)
                score = model.score_captions(test.images, captions_of(test))
                rows.append(_row(f"{name}, {size} captions", seed, score, correct))
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def transfer(
    train: EmbeddedImages,
    label_sets: Mapping[str, EmbeddedImages],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    **options: Any,
) -> pa.Table:
    """A ViLU that saw captions only, on label sets that it never saw, against MCM."""
    rows = [
        _row(f"mcm on {name}", 0, mcm(images.logits), images.is_correct)
        for name, images in label_sets.items()
    ]
    for seed in seeds:
        model = failure.ViLU(**{"batch_size": 256, "seed": seed, **options})
        model.fit_captions(train.images, captions_of(train), logit_scale=train.logit_scale)
        for name, images in label_sets.items():
            score = model.score(images.images, images.texts)
            rows.append(_row(f"vilu from captions on {name}", seed, score, images.is_correct))
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def caption_baseline(
    images: EmbeddedImages, size: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each image's own caption wins among ``size`` consecutive ones, and MCM there.

    A caption that ties with the winner counts as right: it may be the same text.
    """
    captions = captions_of(images)
    correct, confidence = np.empty(len(images), dtype=bool), np.empty(len(images))
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        logits = images.logit_scale * images.images[part] @ captions[part].T
        correct[part] = own_wins(logits, images.logit_scale)
        confidence[part] = mcm(logits) if len(logits) > 1 else 1.0
    return correct, confidence


def summary(study: pa.Table) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds, by variant, in the order of the study."""
    found = []
    for variant in study["variant"].unique().to_pylist():
        rows = study.filter(pc.equal(study["variant"], variant))
        known = rows.filter(pc.equal(rows["status"], "ok"))
        row: dict[str, Any] = {"variant": variant, "seeds": known.num_rows}
        for name in ("accuracy", "auroc", "fpr95", "aurc"):
            values = known[name].to_numpy()
            row[name] = float(values.mean()) if len(values) else np.nan
            row[f"{name}_sd"] = float(values.std()) if len(values) else np.nan
        found.append(row)
    return found


def _variants(
    splits: Splits,
    variants: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    options: Mapping[str, Any],
) -> pa.Table:
    rows = [
        _fit_row(name, seed, splits.train, splits.test, {**variant, **options})
        for name, variant in variants.items()
        for seed in seeds
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _fit_row(
    variant: str,
    seed: int,
    train: EmbeddedImages,
    test: EmbeddedImages,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    try:
        model = failure.ViLU(**{"seed": seed, **options}).fit(
            train.images, train.texts, train.labels, logit_scale=train.logit_scale
        )
    except SpatialTrustError as error:
        return {"variant": variant, "seed": seed, "status": str(error)}
    return _row(variant, seed, model.score(test.images, test.texts), test.is_correct)


def _row(
    variant: str, seed: int, confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> dict[str, Any]:
    return {
        "variant": variant,
        "seed": seed,
        "accuracy": float(correct.mean()),
        "auroc": metrics.auroc(confidence, correct),
        "fpr95": metrics.fpr_at_tpr(confidence, correct),
        "aurc": metrics.aurc(confidence, correct),
        "status": "ok",
    }
