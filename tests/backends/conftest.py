"""Tiny checkpoints and pictures that the backend tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from spatialtrust.tables import Claims

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random checkpoint, made at first use."""
    pytest.importorskip("transformers", reason="needs the extra hf")
    import torch

    from tests.backends import tiny

    torch.set_num_threads(1)  # two contended threads are a hundred times slower than one
    root = tmp_path_factory.mktemp("checkpoints")
    makers = {
        "clip": tiny.clip,
        "siglip": tiny.siglip,
        "opt": lambda folder: tiny.blip2(folder, "opt"),
        "t5": lambda folder: tiny.blip2(folder, "t5"),
        "itm": lambda folder: tiny.blip2(folder, "none"),
        "grounding-dino": tiny.grounding_dino,
        "mm-grounding-dino": lambda folder: tiny.grounding_dino(folder, "mm-grounding-dino"),
    }

    def get(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else makers[name](folder)

    return get


@pytest.fixture(scope="session")
def pictures() -> dict[str, NDArray[np.uint8]]:
    """Three images of different sizes."""
    generator = np.random.default_rng(0)
    sizes = {"a.jpg": (40, 60), "b.jpg": (48, 48), "c.jpg": (33, 35)}
    return {
        name: generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for name, (height, width) in sizes.items()
    }


@pytest.fixture(scope="session")
def claims() -> Claims:
    """Claims of mixed lengths, several per image, with common beginnings and one repeated text."""
    said = [
        ("a.jpg", "mug", "left of", "kettle"),
        ("a.jpg", "mug", "left of", "table with three small cups on it"),
        ("a.jpg", "mug", "above", "kettle"),
        ("a.jpg", "box", "contains", "mug"),
        ("b.jpg", "red cup", "on", "table"),
        ("b.jpg", "table", "between", "cups"),
        ("c.jpg", "mug", "left of", "kettle"),
        ("a.jpg", "mug", "left of", "kettle"),
    ]
    return Claims.from_rows(
        {"claim_id": str(row), "image_id": image, "subject": subject, "relation": relation,
         "object": object_}
        for row, (image, subject, relation, object_) in enumerate(said)
    )  # fmt: skip
