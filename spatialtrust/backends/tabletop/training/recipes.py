"""The three models: how each is built, taught, and written to a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import torch

from spatialtrust.backends.tabletop.training import askers, detector, vocabulary
from spatialtrust.backends.tabletop.training.loop import train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spatialtrust.backends.tabletop.training.loop import Lesson
    from spatialtrust.backends.tabletop.training.pool import Pool


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model.

    Attributes
    ----------
    pictures: in a batch.
    steps: of the schedule.
    rate: highest learning rate.
    """

    tokenizer: Callable[[], Any]
    build: Callable[[Any, int], Any]
    lesson: Callable[[Any, Any, Pool, int, int], Lesson]
    processor: Callable[[], Any]
    pictures: int
    steps: int
    rate: float


def _clip_processor() -> Any:
    from transformers import CLIPImageProcessorPil

    edge = detector.SIZE
    return CLIPImageProcessorPil(
        size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}
    )


def _blip2_processor() -> Any:
    from transformers import BlipImageProcessorPil

    return BlipImageProcessorPil(size={"height": detector.SIZE, "width": detector.SIZE})


def _detector_processor() -> Any:
    from transformers import GroundingDinoImageProcessorPil

    edge = detector.SIZE
    return GroundingDinoImageProcessorPil(size={"shortest_edge": edge, "longest_edge": 2 * edge})


RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "grounding-dino": Recipe(
            vocabulary.bert, detector.build, detector.DetectorLesson, _detector_processor,
            pictures=16, steps=4000, rate=1e-3,
        ),
        "blip2": Recipe(
            vocabulary.opt, askers.build_blip2, askers.Blip2Lesson, _blip2_processor,
            pictures=16, steps=1500, rate=1e-3,
        ),
        "clip": Recipe(
            vocabulary.clip, askers.build_clip, askers.ClipLesson, _clip_processor,
            pictures=32, steps=1500, rate=1e-3,
        ),
    }
)  # fmt: skip
"""The steps of the two askers were set before anyone looked at how well they answer."""


def make(
    name: str,
    pool: Pool,
    *,
    seed: int,
    state: Path,
    to: Path,
    steps: int | None = None,
    pictures: int | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train a model, or go on where ``state`` says it stopped, and write it to ``to``.

    Parameters
    ----------
    name: a key of ``RECIPES``.
    steps, pictures: in place of the recipe's.
    """
    recipe = RECIPES[name]
    recipe = replace(recipe, steps=steps or recipe.steps, pictures=pictures or recipe.pictures)
    torch.set_flush_denormal(True)
    tokenizer = recipe.tokenizer()
    model = recipe.build(tokenizer, seed)
    lesson = recipe.lesson(model, tokenizer, pool, seed, recipe.pictures)
    train(model, lesson, steps=recipe.steps, rate=recipe.rate, folder=state, report=report)
    for part in (model, tokenizer, recipe.processor()):
        part.save_pretrained(to)
    for path in to.iterdir():  # weights are written for their owner alone
        path.chmod(0o644)
