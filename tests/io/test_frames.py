"""Boxes recorded on a picture that is not the upright image: turned, resized, or another one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from spatialtrust.io.frames import Fit, fit_of, turn
from spatialtrust.io.matching import RECORDED, resolve, with_sizes

STORED = (60, 40)
BOX = (10, 5, 40, 15)


def stored_photo(orientation: int) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Size of an upright photo, and where the white box of its stored bitmap is then."""
    pixels = np.zeros(STORED[::-1], dtype=np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(content))
    return upright.size, upright.getbbox()


def detections(size, recorded, *, unit: str = "pixel", orientation: int = 1, box=BOX):
    if unit == "fraction":
        box = np.array(box) / (STORED * 2)
    columns = {"name": ["a"], "phrase": ["mug"], "box": [list(map(float, box))], "score": [None],
               "format": ["xyxy"], "unit": [unit]}  # fmt: skip
    import pyarrow as pa

    boxes = with_sizes(pa.table(columns, schema=RECORDED), {"a": recorded})
    found = resolve(boxes, {"a": size}, "m", orientation_of=lambda _: orientation)
    return found.boxes()[0].tolist(), found.strings("status")[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_is_what_happens_to_the_pixels(orientation: int) -> None:
    size, upright = stored_photo(orientation)
    share = turn(np.array([BOX]) / (STORED * 2), orientation)[0]
    assert (share * (size * 2)).tolist() == pytest.approx(upright)


@pytest.mark.parametrize("unit", ["pixel", "fraction"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_of_the_stored_bitmap_are_turned_and_say_so(orientation: int, unit: str) -> None:
    size, upright = stored_photo(orientation)
    found, status = detections(size, STORED, unit=unit, orientation=orientation)
    assert found == pytest.approx(upright, abs=1e-4)
    assert status == "box_turned"


def test_a_resized_copy_is_scaled_even_of_the_picture_before_its_turn() -> None:
    assert detections((120, 80), STORED) == ([20, 10, 80, 30], "box_scaled")
    assert detections((120, 80), STORED, unit="fraction") == ([20, 10, 80, 30], "ok")
    found, status = detections((80, 120), STORED, orientation=6)
    assert found == pytest.approx([50, 20, 70, 80], abs=1e-4)
    assert status == "box_turned"


def test_the_very_size_and_an_unknown_one_change_nothing() -> None:
    for recorded in (STORED, (None, None), (0, 0), (60, None)):
        assert detections(STORED, recorded, orientation=3) == (list(BOX), "ok")


def test_boxes_of_another_picture_are_refused() -> None:
    for recorded, tag in (((40, 60), 1), ((640, 640), 6), ((61, 50), 1)):
        found, status = detections(STORED, recorded, orientation=tag)
        assert np.isnan(found).all()
        assert status == "recorded_size_differs"


def test_cut_and_wholly_outside_are_two_things() -> None:
    assert detections(STORED, STORED, box=(50, 30, 70, 50)) == ([50, 30, 60, 40],
                                                                "box_outside_image")  # fmt: skip
    found, status = detections(STORED, STORED, box=(70, 30, 80, 35))
    assert np.isnan(found).all()
    assert status == "box_outside_image"
    assert detections((120, 80), STORED, box=(50, 30, 70, 50))[1] == "box_scaled, box_outside_image"


@pytest.mark.parametrize(
    ("copy", "image", "fit"),
    [((427, 286), (640, 428), Fit.SCALED), ((1024, 683), (640, 427), Fit.SCALED),
     ((640, 481), (640, 480), Fit.SCALED), ((640, 480), (640, 400), Fit.OTHER)],
)  # fmt: skip
def test_rounded_sides_are_the_same_shape(copy, image, fit) -> None:
    assert fit_of(copy, image, 1) is fit
