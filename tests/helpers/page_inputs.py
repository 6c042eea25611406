"""Small inputs for the blocks of the pages, made for the names that a page uses."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from tests.conftest import ROOT
from tests.helpers import result_files
from tests.helpers.replay_server import Act, chat, question_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAND_INS: Final = {
    "blip2:Salesforce/blip2-opt-2.7b": "tabletop:blip2",
    "clip:openai/clip-vit-base-patch32": "tabletop:clip",
    "grounding-dino:IDEA-Research/grounding-dino-tiny": "tabletop:grounding-dino",
}
"""Models of the hub, and the embedded ones of the same architecture that answer in their place."""
SERVER: Final = "http://localhost:8000/v1"


def take_photos(folder: Path) -> None:
    """The sample pictures with their boxes, lighter and darker too: enough claims to fit with."""
    source = ROOT / "data" / "still_lifes"
    shutil.copytree(source, folder)
    boxes = json.loads((source / "boxes.json").read_text())
    for entry in list(boxes):
        image = Image.open(source / entry["file_name"])
        for light in (0.6, 0.8):
            name = f"{light}-{entry['file_name']}"
            image.point(lambda value, light=light: int(value * light)).save(folder / name)
            boxes.append({**entry, "file_name": name})
    (folder / "boxes.json").write_text(json.dumps(boxes))


def judge_by_hand(path: Path) -> None:
    """What a person would do, as far as boxes tell; the rest is made up."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        # Pairs are claimed in the direction that the boxes show.
        row["label"] = str(int(row["relation"] in ("left of", "above") and number % 20 > 0))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def unsure(request: object, number: int) -> Act:
    """A server's reply: yes or no, more or less sure, by the question's text."""
    del number
    digest = hashlib.sha256(question_of(request).encode()).digest()
    p = 0.1 + 0.8 * digest[0] / 255
    top = {"Yes": p, "No": 0.98 - p}
    first = max(top, key=top.__getitem__)
    return Act(chat(first, dict(sorted(top.items(), key=lambda item: -item[1]))))


def _embeddings(path: Path) -> None:
    """Arrays of a classification, all three at once: 300 images, 5 classes."""
    rng = np.random.default_rng(0)
    texts, labels = np.eye(5, 32), rng.integers(0, 5, 300)
    images = texts[labels] + rng.normal(size=(300, 32)) / 3
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    for name, array in (("x", images), ("t", texts), ("y", labels)):
        np.save(path.with_name(f"{name}.npy"), array)


def _classes(path: Path) -> None:
    """Folders of pictures: SPLIT/CLASS/."""
    rng = np.random.default_rng(0)
    for split, images in (("train", 20), ("calibration", 20), ("test", 20)):
        for name in ("red cube", "blue ball"):
            (path / split / name).mkdir(parents=True)
            for number in range(images):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path / split / name / f"{number}.png")


def _boxes(path: Path) -> None:
    """Those of ``photos`` beside them."""
    shutil.copy(path.parent / "photos" / "boxes.json", path)


def _bag(path: Path) -> None:
    from spatialtrust.jobs.example_bags import write_bag
    from spatialtrust.jobs.moving_camera import Drive

    write_bag(path, Drive(seconds=1.0))


def _statements(path: Path) -> None:
    shutil.copy(ROOT / "data" / "claims.jsonl", path)


def _few_statements(path: Path) -> None:
    """Claims about few images: a monitor needs more to withdraw anything."""
    with (ROOT / "data" / "claims.jsonl").open(encoding="utf-8") as file:
        path.write_text("".join(file.readlines()[:40]), encoding="utf-8")


INPUTS: Final[dict[str, Callable[[Path], object]]] = {
    "photos": take_photos,
    "boxes.json": _boxes,
    "kitchen.jpg": lambda path: shutil.copy(ROOT / "data/still_lifes/breakfast.jpg", path),
    "scenes": lambda path: shutil.copytree(ROOT / "data" / "tabletop", path),
    "animals": _classes,
    "claims.jsonl": _statements,
    "monday.jsonl": _few_statements,
    "drive.mcap": _bag,
    "x.npy": _embeddings,
    "Qwen2.5-VL_3DSRBench.tsv": lambda path: result_files.tsv(path, result_files.circular()),
}
"""Name in a page, and what makes it."""
