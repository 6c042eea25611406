"""Labelled claims with boxes and a VLM's answers, made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spatialtrust.evaluation.ways import Exam
from spatialtrust.evidence.from_boxes import Things, measure
from spatialtrust.evidence.priors import attributes
from spatialtrust.relations import DIRECTIONAL, NAMES
from spatialtrust.tables import Grounding


def exam(rows: int, seed: int, vlm: float = 0.54) -> Exam:
    """Claims that boxes tell mostly right, of a VLM that is right this often and never sure."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0.1, 0.9, (rows, 2, 2))
    half = generator.uniform(0.03, 0.1, (rows, 2, 2))
    corners = np.concatenate([centres - half, centres + half], axis=2).astype(np.float32)
    relation = np.array([NAMES.index(n) for n in generator.choice(DIRECTIONAL, rows)], np.int16)
    mug, box = np.zeros(rows, np.int64), np.ones(rows, np.int64)
    things = Things(attributes(["mug", "box"]).T, mug, box)
    grounding = Grounding.from_boxes(corners[:, 0], corners[:, 1], np.ones((rows, 2)))
    features = measure(grounding, relation, things)
    truth = features.column("alignment") > 0
    label = (truth ^ (generator.random(rows) < 0.1)).astype(np.int8)
    right = generator.random(rows) < vlm
    answer = np.where(right, label, 1 - label).astype(np.int8)
    sure = generator.uniform(0.5, 1, rows)
    features.column("p_yes")[:] = np.where(answer == 1, sure, 1 - sure)
    image = np.array([f"{row // 4:04d}.png" for row in range(rows)])
    text = generator.random(rows).astype(np.float32)
    return Exam(replace(features, answer=answer), text, label, image)
