"""Three disjoint sets of labelled images, from whatever splits there are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.classify.embedded_images import warn_of_duplicates
from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.classify.image_set import EmbeddedImages


@dataclass(frozen=True)
class Splits:
    """Three disjoint sets of labelled images. Nothing is ever tuned on ``test``.

    train: for TrustVLM's shots, ConfidNet, LVU and ViLU. calibration: for temperature scaling and
    Rel-U, and to certify thresholds. test: for figures.
    """

    train: EmbeddedImages
    calibration: EmbeddedImages
    test: EmbeddedImages

    def __post_init__(self) -> None:
        parts = {"train": self.train, "calibration": self.calibration, "test": self.test}
        for name, part in parts.items():
            if part.model != self.train.model or part.class_names != self.train.class_names:
                raise InputError(
                    f"{name}: has embeddings of {part.model} for {len(part.class_names)} classes, "
                    f"train has those of {self.train.model} for {len(self.train.class_names)}; "
                    "embed all splits with one model and one list of classes"
                )
            shape, expected = part.images.shape[1], self.train.images.shape[1]
            if shape != expected:
                raise InputError(
                    f"{name}: images have {shape} columns where those of train have {expected}; "
                    "embed all splits with one model"
                )
            if not len(part):
                raise InputError(f"{name}: has no image; give more images, or another division")
            if (part.labels < 0).any():
                raise InputError(
                    f"{name}: image {part.image_ids[int(np.argmin(part.labels))]} has no class; "
                    "comparing needs labelled images"
                )
        warn_of_duplicates(parts)

    @classmethod
    def unchecked(cls, train: EmbeddedImages, calibration: EmbeddedImages) -> Splits:
        """For fitting alone, where the same images may take both places; ``test`` is train."""
        splits = cls.__new__(cls)
        for name, part in (("train", train), ("calibration", calibration), ("test", train)):
            object.__setattr__(splits, name, part)
        return splits

    @classmethod
    def of(cls, parts: Mapping[str, EmbeddedImages], *, seed: int = 0) -> Splits:
        """From what `load_embedded` returns; missing splits are cut, seeded, from what is there.

        An undivided set is cut 40:20:40; without a calibration split, a third of train is it.
        Equal images stay together.
        """
        if set(parts) == {"all"}:
            train, calibration, test = divide(parts["all"], (0.4, 0.2, 0.4), seed=seed)
            return cls(train, calibration, test)
        if {"train", "test"} <= set(parts):
            train = parts["train"]
            if "calibration" in parts:
                return cls(train, parts["calibration"], parts["test"])
            train, calibration = divide(train, (2 / 3, 1 / 3), seed=seed)
            return cls(train, calibration, parts["test"])
        raise InputError(
            f"splits here: {', '.join(parts)}; give train and test, with or without calibration, "
            "or images without a split"
        )


def divide(
    images: EmbeddedImages, shares: Sequence[float], *, seed: int = 0
) -> list[EmbeddedImages]:
    """Cut at random by share; equal images (same digest) fall into the same part."""
    _, group = np.unique(images.digests.astype("S64"), return_inverse=True)
    place = np.random.default_rng(seed).permutation(int(group.max(initial=-1)) + 1)[group]
    edges = np.round(np.cumsum([0.0, *shares]) * (place.max(initial=-1) + 1))
    return [
        images.rows(np.flatnonzero((place >= low) & (place < high)))
        for low, high in pairwise(edges)
    ]
