"""Draws the sample images in still_lifes/ and writes where each object is.

python data/draw_still_lifes.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, FINER = 640, 440, 3
TABLE_TOP = 0.55
OUT = Path(__file__).parent / "still_lifes"

# Name, centre x, foot y, height (all as a share of the image), colour.
SCENES = {
    "breakfast": [
        ("kettle", 0.24, 0.72, 0.40, "#3b6ea5"), ("mug", 0.52, 0.76, 0.17, "#c8553d"),
        ("mug", 0.80, 0.88, 0.19, "#e9c46a"), ("bowl", 0.56, 0.95, 0.13, "#f4f1de"),
        ("apple", 0.55, 0.87, 0.11, "#b3261e"),
    ],
    "reading": [
        ("lamp", 0.80, 0.74, 0.56, "#d9a441"), ("book", 0.40, 0.86, 0.10, "#2a6f5e"),
        ("mug", 0.41, 0.765, 0.17, "#f2efe9"), ("apple", 0.66, 0.93, 0.12, "#6a994e"),
    ],
    "bottles": [
        ("bottle", 0.20, 0.74, 0.46, "#386641"), ("bottle", 0.36, 0.80, 0.40, "#7b2d26"),
        ("bowl", 0.68, 0.86, 0.18, "#9db4c0"), ("apple", 0.62, 0.745, 0.12, "#b3261e"),
        ("apple", 0.735, 0.745, 0.12, "#dda15e"),
    ],
    "shelf": [
        ("book", 0.30, 0.96, 0.10, "#6d597a"), ("book", 0.31, 0.86, 0.10, "#b56576"),
        ("bottle", 0.60, 0.84, 0.44, "#46748c"), ("kettle", 0.83, 0.94, 0.36, "#8d99ae"),
        ("mug", 0.30, 0.765, 0.16, "#355070"),
    ],
}  # fmt: skip


def main() -> None:
    """Draw all scenes."""
    OUT.mkdir(exist_ok=True)
    listed = []
    for name, objects in SCENES.items():
        image, boxes = draw(objects)
        image.save(OUT / f"{name}.jpg", quality=88)
        listed.append(
            {"file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT, "boxes": boxes}
        )
    text = json.dumps(listed, indent=1, ensure_ascii=False)
    (OUT / "boxes.json").write_text(text + "\n", encoding="utf-8")


def draw(objects: list[tuple[str, float, float, float, str]]) -> tuple[Image.Image, list[dict]]:
    """One scene and its boxes; the first object is the farthest back."""
    image = _room()
    boxes = []
    for name, x, foot, high, colour in objects:
        shade = Image.new("L", image.size)
        shape = Image.new("L", image.size)
        pen = ImageDraw.Draw(shape)
        size = high * image.height
        _SHAPES[name](pen, x * image.width, foot * image.height, size)
        left, top, right, bottom = shape.getbbox()
        flat = ImageDraw.Draw(shade)
        depth = (right - left) * 0.09
        flat.ellipse(
            (left - depth, bottom - depth, right + 2 * depth, bottom + depth * 0.8), fill=110
        )
        shade = shade.filter(ImageFilter.GaussianBlur(6 * FINER))
        image.paste("#1c1410", mask=shade)
        image.paste(_lit(shape.size, (left, right), colour), mask=shape)
        box = [v / FINER for v in (left, top, right - left, bottom - top)]
        boxes.append({"category": name, "bbox_xywh": [round(v, 1) for v in box]})
    return image.resize((WIDTH, HEIGHT), Image.LANCZOS), boxes


def _room() -> Image.Image:
    wide, high = WIDTH * FINER, HEIGHT * FINER
    y = np.linspace(0, 1, high)[:, None, None]
    x = np.linspace(0, 1, wide)[None, :, None]
    wall = np.array([232, 224, 212]) * (1 - 0.18 * y) * (1 - 0.12 * x)
    grain = 1 + 0.05 * np.sin(60 * y**2 + 3 * np.sin(9 * x)) + 0.03 * np.sin(230 * y**2 + 5 * x)
    wood = np.array([168, 122, 82]) * grain * (0.75 + 0.35 * y)
    room = np.where(y < TABLE_TOP, wall, wood)
    edge = np.abs(y - TABLE_TOP) < 0.004
    return Image.fromarray(np.where(edge, 70, room).clip(0, 255).astype(np.uint8))


def _lit(size: tuple[int, int], across: tuple[int, int], colour: str) -> Image.Image:
    """The colour, lit from the upper left as a round body is."""
    base = np.array(Image.new("RGB", (1, 1), colour), dtype=float)[0, 0]
    place = np.clip((np.arange(size[0]) - across[0]) / max(across[1] - across[0], 1), 0, 1)
    light = 1.12 - 0.75 * (place - 0.32) ** 2 - 0.25 * place
    row = base * light[:, None] + 26 * np.exp(-(((place - 0.28) / 0.06) ** 2))[:, None]
    pixels = np.broadcast_to(row.clip(0, 255), (size[1], size[0], 3))
    return Image.fromarray(pixels.astype(np.uint8))


def _mug(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    w = h * 0.8
    pen.rounded_rectangle((x - w / 2, y - h, x + w / 2, y), h * 0.12, fill=255)
    pen.arc((x + w * 0.3, y - h * 0.8, x + w * 0.95, y - h * 0.2), -100, 100, 255, int(h * 0.12))


def _kettle(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    w = h * 0.8
    pen.pieslice((x - w / 2, y - h * 0.9, x + w / 2, y + h * 0.45), 180, 360, fill=255)
    pen.rounded_rectangle((x - w / 2, y - h * 0.25, x + w / 2, y), h * 0.05, fill=255)
    pen.polygon([(x + w * 0.36, y - h * 0.32), (x + w * 0.72, y - h * 0.62),
                 (x + w * 0.78, y - h * 0.54), (x + w * 0.46, y - h * 0.12)], fill=255)  # fmt: skip
    pen.arc((x - w * 0.36, y - h, x + w * 0.36, y - h * 0.4), 180, 360, 255, int(h * 0.05))
    pen.ellipse((x - w * 0.09, y - h * 0.86, x + w * 0.09, y - h * 0.74), fill=255)


def _bowl(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    w = h * 2.3
    pen.pieslice((x - w / 2, y - h * 1.9, x + w / 2, y), 0, 180, fill=255)
    pen.rectangle((x - w * 0.18, y - h * 0.08, x + w * 0.18, y), fill=255)


def _apple(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    pen.ellipse((x - h * 0.5, y - h * 0.85, x + h * 0.08, y), fill=255)
    pen.ellipse((x - h * 0.08, y - h * 0.85, x + h * 0.5, y), fill=255)
    pen.ellipse((x - h * 0.3, y - h * 0.6, x + h * 0.3, y), fill=255)
    pen.line((x, y - h * 0.7, x + h * 0.1, y - h), 255, int(h * 0.08))


def _book(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    pen.rounded_rectangle((x - h * 2.1, y - h, x + h * 2.1, y), h * 0.1, fill=255)


def _bottle(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    w = h * 0.28
    pen.rounded_rectangle((x - w / 2, y - h * 0.62, x + w / 2, y), w * 0.2, fill=255)
    pen.polygon([(x - w / 2, y - h * 0.58), (x - w * 0.16, y - h * 0.76),
                 (x + w * 0.16, y - h * 0.76), (x + w / 2, y - h * 0.58)], fill=255)  # fmt: skip
    pen.rectangle((x - w * 0.16, y - h, x + w * 0.16, y - h * 0.7), fill=255)


def _lamp(pen: ImageDraw.ImageDraw, x: float, y: float, h: float) -> None:
    pen.polygon([(x - h * 0.16, y - h), (x + h * 0.16, y - h),
                 (x + h * 0.3, y - h * 0.55), (x - h * 0.3, y - h * 0.55)], fill=255)  # fmt: skip
    pen.rectangle((x - h * 0.025, y - h * 0.56, x + h * 0.025, y), fill=255)
    pen.ellipse((x - h * 0.18, y - h * 0.09, x + h * 0.18, y), fill=255)


_SHAPES = {
    "mug": _mug, "kettle": _kettle, "bowl": _bowl, "apple": _apple, "book": _book,
    "bottle": _bottle, "lamp": _lamp,
}  # fmt: skip

if __name__ == "__main__":
    main()
