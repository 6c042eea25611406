"""The shipped CLIP on rendered scenes: objects to name, and scenes to match with a caption.

Colours wash out in dim light and neighbours stand in the way, so some classes are mistaken for
others. Plumbing with known truth: nothing here says how a method fares on photographs.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from spatialtrust.backends.registry import open_embedder
from spatialtrust.backends.tabletop.render import render
from spatialtrust.backends.tabletop.truth import scene_truth
from spatialtrust.backends.tabletop.world import sample_scene
from spatialtrust.classify.image_set import EmbeddedImages

if TYPE_CHECKING:
    from spatialtrust.backends.base import Embedder
    from spatialtrust.backends.tabletop.scene import Scene

DIFFICULTIES = ("clean", "occluded", "dim", "blurred")
FIRST_SEED = {"train": 10_000_000, "calibration": 20_000_000, "test": 30_000_000}
MARGIN = 0.25
"""Of an object's width and height, left around it in a crop."""


@cache
def clip() -> Embedder:
    return open_embedder("tabletop:clip")


def _scenes(split: str, count: int, seed: int) -> list[Scene]:
    first = FIRST_SEED[split] + 100_000 * seed
    return [sample_scene(first + n, DIFFICULTIES[n % 4]) for n in range(count)]


def objects(split: str, scenes: int, seed: int = 0) -> EmbeddedImages:
    """Crops of single objects; the classes are colour and shape, such as "red cube"."""
    crops, names, origin = [], [], []
    for number, scene in enumerate(_scenes(split, scenes, seed)):
        picture = render(scene)
        for place, item in enumerate(scene.objects):
            x1, y1, x2, y2 = item.box
            wide, high = round(MARGIN * (x2 - x1)), round(MARGIN * (y2 - y1))
            top, left = max(0, y1 - high), max(0, x1 - wide)
            crops.append(picture[top : y2 + high, left : x2 + wide])
            names.append(item.phrase)
            origin.append(f"{split}/{seed}/{number}/{place}")
    classes = tuple(sorted(set(names)))
    captions = [f"a {name}" for name in names]
    return _embedded(crops, origin, classes, [f"a {name}" for name in classes], names, captions)


def statements(split: str, count: int, seed: int = 0) -> EmbeddedImages:
    """Whole scenes, each with one true statement about it as caption."""
    rng = np.random.default_rng([seed, *split.encode()])
    pictures, captions, origin = [], [], []
    for number, scene in enumerate(_scenes(split, count, seed)):
        true = [truth for truth in scene_truth(scene) if truth[3]]
        if true:
            subject, relation, other, _ = true[int(rng.integers(len(true)))]
            phrases = [scene.objects[place].phrase for place in (subject, other)]
            captions.append(f"the {phrases[0]} is {relation} the {phrases[1]}")
            pictures.append(render(scene))
            origin.append(f"{split}/{seed}/{number}")
    unnamed = ("no", "yes")
    return _embedded(pictures, origin, unnamed, list(unnamed), [""] * len(captions), captions)


def _embedded(
    pictures: list[np.ndarray],
    origin: list[str],
    classes: tuple[str, ...],
    prompts: list[str],
    names: list[str],
    captions: list[str],
) -> EmbeddedImages:
    model = clip()
    number = {name: place for place, name in enumerate(classes)}
    digests = [hashlib.sha256(p.tobytes() + str(p.shape).encode()).digest() for p in pictures]
    return EmbeddedImages(
        images=model.embed_images(pictures),
        texts=model.embed_texts(prompts),
        labels=np.array([number.get(name, -1) for name in names]),
        class_names=classes,
        image_ids=np.array(origin, dtype=object),
        digests=np.array(digests, dtype=object),
        model=f"{model.reference}@{model.revision}",
        logit_scale=model.logit_scale,
        captions=model.embed_texts(captions),
    )
