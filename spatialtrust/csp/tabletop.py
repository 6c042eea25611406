"""Questions about rendered scenes whose truth is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.backends.tabletop.claims import even_claims
from spatialtrust.csp.questions import SCHEMA, Questions
from spatialtrust.errors import InputError
from spatialtrust.questions.prompts import question

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spatialtrust.backends.tabletop import Scene

TRAINING_SEEDS: Final = 820_000
"""Scenes that are trained on begin here; no checkpoint was trained on them, nothing is judged."""
JUDGED_SEEDS: Final = 860_000
"""Scenes that are judged begin here."""
CLAIMS: Final = 2
"""True and as many false ones of each relation, at most, of a scene."""

_STREAM: Final = 16


def checkpoint_of(given: str, out: Path) -> str:
    """A checkpoint as it was given; weights of a tabletop BLIP-2 by themselves become a folder.

    Raises
    ------
    InputError: the weights are of another model.
    """
    if not given.endswith(".safetensors"):
        return given
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from spatialtrust.backends.tabletop.training import vocabulary
    from spatialtrust.backends.tabletop.training.askers import build_blip2
    from spatialtrust.backends.tabletop.training.recipes import RECIPES

    tokenizer = vocabulary.opt()
    model = build_blip2(tokenizer, 0)
    try:
        weights = {name: value.float() for name, value in load_file(given).items()}
        missing = model.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{given}: is not the weights of a tabletop BLIP-2 ({str(error).splitlines()[0]}); "
            "give those that pipelines/train_tabletop.py makes, or a folder"
        ) from error
    left = [name for name in missing.missing_keys if not name.endswith("lm_head.weight")]
    if left or missing.unexpected_keys:
        raise InputError(
            f"{given}: is not the weights of a tabletop BLIP-2: "
            f"{len(left)} are missing, {len(missing.unexpected_keys)} are others'"
        )
    folder = out / "base"
    for part in (model, tokenizer, RECIPES["blip2"].processor()):
        part.save_pretrained(folder)
    return str(folder)


def scene_questions(scenes: Mapping[str, Scene], folder: Path, claims: int = CLAIMS) -> Questions:
    """Yes-or-no questions about scenes, as many right with yes as with no of every relation.

    Parameters
    ----------
    scenes: image name to scene; the pictures are in ``folder``.
    """
    rows: list[dict[str, Any]] = []
    for image, scene in scenes.items():
        boxes = {item.phrase: list(map(float, item.box)) for item in scene.objects}
        generator = np.random.default_rng((scene.seed, _STREAM))
        for claim, label in even_claims(generator, scene, claims):
            rows.append(
                {
                    "question_id": f"{image}#{len(rows):06d}",
                    "image": image,
                    "uri": str(folder / image),
                    "question": question(claim),
                    "answer": "yes" if label else "no",
                    "group": claim[1],
                    "regions": json.dumps(sorted([boxes[claim[0]], boxes[claim[2]]])),
                }
            )
    rows.sort(key=lambda row: (row["image"], row["question_id"]))
    return Questions(pa.Table.from_pylist(rows, SCHEMA), {}, ())
