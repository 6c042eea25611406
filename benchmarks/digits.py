"""A tiny two-tower model on scikit-learn's digits: real embeddings that can be made anywhere.

An image is a row of three cells; each is empty or holds an 8 x 8 handwritten digit, under noise.
Its caption names them ("seven three eight"). An image tower and a text tower are trained by InfoNCE
as CLIP is, on a pool of digits that nothing else sees, for a budget fixed beforehand. Look-alikes
(four and nine, three and eight, one and seven) are confused as CLIP confuses breeds: the captions
it learns from mix them up, for heavy handwriting more than for thin, and the evidence is poor.

It has the shape of `spatialtrust.backends.base.Embedder`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from spatialtrust.classify.image_set import EmbeddedImages, LastLayers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EMPTY = 10
LOOK_ALIKES = {4: 9, 9: 4, 3: 8, 8: 3, 1: 7, 7: 1}
POOLS = {
    "pretrain": (0, 600),
    "train": (600, 1000),
    "calibration": (1000, 1250),
    "test": (1250, 1797),
}
DIMENSION, STEPS, BATCH, NOISE = 32, 800, 256, 0.35
HEAVY_INK, SWAP_CHANCE = 0.36, (0.65, 0.1)


@cache
def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (images[order] / 16).astype(np.float32).reshape(-1, 8, 8), labels[order].astype(np.int64)


def scenes(
    pool: str, count: int, seed: int, *, digits: Sequence[int] = (1, 2, 3)
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Random scenes from one pool of handwriting.

    Returns: images uint8 (N, 8, 24, 3) and cells (N, 3), each a digit or `EMPTY`.
    """
    rng = np.random.default_rng([seed, *pool.encode()])
    images, labels = _digits()
    low, high = POOLS[pool]
    picked = rng.integers(low, high, size=(count, 3))
    filled = np.argsort(rng.random((count, 3)), axis=1) < rng.choice(digits, size=count)[:, None]
    cells = np.where(filled, labels[picked], EMPTY)
    pixels = images[picked] * filled[:, :, None, None]
    strip = pixels.transpose(0, 2, 1, 3).reshape(count, 8, 24)
    strip = np.clip(strip + rng.normal(0, NOISE, strip.shape), 0, 1)
    return np.repeat((255 * strip).astype(np.uint8)[..., None], 3, axis=3), cells


def web_cells(images: NDArray[np.uint8], cells: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Cells as a careless caption writer sees them: look-alikes swapped, mostly in heavy ink."""
    swapped = np.arange(EMPTY + 1)
    swapped[list(LOOK_ALIKES)] = list(LOOK_ALIKES.values())
    ink = images[..., 0].reshape(-1, 8, 3, 8).mean(axis=(1, 3)) / 255
    chance = np.where(ink > HEAVY_INK, *SWAP_CHANCE)
    careless = np.random.default_rng([seed, 1]).random(cells.shape) < chance
    return np.where(careless, swapped[cells], cells)


def captions(cells: NDArray[np.int64]) -> list[str]:
    """``seven three``: the digits from left to right."""
    return [" ".join(WORDS[c] for c in row if c != EMPTY) for row in cells.tolist()]


class TwoTowers(torch.nn.Module):
    """Image tower, text tower, logit scale; an `Embedder`."""

    reference, needs_pixels = "digits:two-towers", True

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.image_tower = nn.Sequential(
            nn.Linear(192, 256), nn.GELU(), nn.Linear(256, 128), nn.GELU()
        )
        self.image_projection = nn.Linear(128, DIMENSION, bias=False)
        self.words = nn.Embedding(3 * 11, 64)
        self.text_tower = nn.Sequential(nn.Linear(64, 128), nn.GELU())
        self.text_projection = nn.Linear(128, DIMENSION, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    @property
    def logit_scale(self) -> float:
        return float(self.log_scale.detach().exp())

    @property
    def revision(self) -> str:
        digest = hashlib.sha256()
        for tensor in self.state_dict().values():
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def image_activations(self, images: torch.Tensor) -> torch.Tensor:
        return self.image_tower(images.flatten(1) * 2 - 1)

    def text_activations(self, texts: Sequence[str]) -> torch.Tensor:
        rows = np.full((len(texts), 3), EMPTY)
        for row, text in zip(rows, texts, strict=True):
            named = [WORDS.index(word) for word in text.split() if word in WORDS]
            row[: len(named)] = named
        return self.text_tower(
            self.words(torch.from_numpy(rows + np.array([0, 11, 22]))).sum(dim=1)
        )

    @torch.no_grad()
    def embed_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        grey = torch.from_numpy(np.stack(images)[..., 0].astype(np.float32) / 255)
        return _unit(self.image_projection(self.image_activations(grey))).numpy()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return _unit(self.text_projection(self.text_activations(texts))).numpy()


def _unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


@cache
def two_towers(seed: int = 0) -> TwoTowers:
    """Trained towers; the budget was fixed before anyone looked at the accuracy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TwoTowers()
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
        for step in range(STEPS):
            images, cells = scenes("pretrain", BATCH, seed * STEPS + step)
            grey = torch.from_numpy(images[..., 0].astype(np.float32) / 255)
            v = _unit(model.image_projection(model.image_activations(grey)))
            t = _unit(
                model.text_projection(
                    model.text_activations(captions(web_cells(images, cells, step)))
                )
            )
            logits = model.log_scale.exp() * v @ t.T
            target = torch.arange(BATCH)
            loss = torch.nn.functional.cross_entropy(logits, target)
            loss = loss + torch.nn.functional.cross_entropy(logits.T, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def embedded(
    pool: str, count: int, seed: int, *, digits: Sequence[int] = (1, 2, 3)
) -> EmbeddedImages:
    """Scenes of one pool under the two towers.

    One digit: ten classes. Two: a hundred. Otherwise no classes; all have captions.
    """
    model = two_towers()
    images, cells = scenes(pool, count, seed, digits=digits)
    said = captions(cells)
    names = {
        (1,): WORDS,
        (2,): tuple(f"{left} {right}" for left in WORDS for right in WORDS),
    }.get(tuple(digits), WORDS[:2])
    number = {name: place for place, name in enumerate(names)}
    return EmbeddedImages(
        images=model.embed_images(list(images)),
        texts=model.embed_texts(names),
        labels=np.array([number.get(text, -1) for text in said]),
        class_names=names,
        image_ids=np.array([f"{pool}/{seed}/{row}" for row in range(count)], dtype=object),
        digests=np.array([hashlib.sha256(i.tobytes()).digest() for i in images], dtype=object),
        model=f"{model.reference}@{model.revision}",
        logit_scale=model.logit_scale,
        captions=model.embed_texts(said),
        last_layers=last_layers(model, images, names),
    )


@torch.no_grad()
def last_layers(model: TwoTowers, images: NDArray[np.uint8], names: Sequence[str]) -> LastLayers:
    """What BayesVLM asks for: activations before the projections, and the projections."""
    grey = torch.from_numpy(images[..., 0].astype(np.float32) / 255)
    return LastLayers(
        image_activations=model.image_activations(grey).numpy(),
        text_activations=model.text_activations(names).numpy(),
        image_projection=model.image_projection.weight.numpy(),
        text_projection=model.text_projection.weight.numpy(),
    )
