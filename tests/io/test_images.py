from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialtrust.errors import FileError
from spatialtrust.io import images
from spatialtrust.io.images import list_images, read_header, read_headers, read_image

RED = (200, 10, 20)


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 4), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour: object = {"RGB": RED, "L": 128, "CMYK": (0, 255, 255, 0), "RGBA": (*RED, 0),
                      "I;16": 65535, "P": 0, "LA": (0, 0)}[mode]  # fmt: skip
    Image.new(mode, size, colour).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "ending", "expected"),
    [
        ("RGB", "png", RED),
        ("L", "png", (128, 128, 128)),
        ("L", "jpg", (128, 128, 128)),
        ("CMYK", "tif", (255, 0, 0)),
        ("RGBA", "png", (255, 255, 255)),
        ("LA", "png", (255, 255, 255)),
        ("I;16", "png", (255, 255, 255)),
        ("I;16", "tif", (255, 255, 255)),
    ],
)
def test_every_kind_of_image_is_upright_rgb(tmp_path, mode: str, ending: str, expected) -> None:
    file = save(tmp_path / f"a.{ending}", mode)
    assert read_header(file)[:2] == (8, 4)
    pixels = read_image(file)
    assert (pixels.shape, pixels.dtype) == ((4, 8, 3), np.uint8)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_rotated_photo_is_turned_upright_in_size_and_pixels(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = save(tmp_path / "a.jpg", exif=exif)
    assert read_header(file)[:2] == (4, 8)
    assert read_image(file).shape == (8, 4, 3)


def test_of_an_animation_the_first_frame_is_taken(tmp_path) -> None:
    frames = [Image.new("RGB", (8, 4), colour) for colour in (RED, "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.abs(read_image(tmp_path / "a.gif")[0, 0].astype(int) - RED).max() < 40


def test_bad_images_have_a_status_and_the_others_go_on(tmp_path) -> None:
    save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not an image at all")
    found = read_headers(list_images([tmp_path]))
    status = dict(zip(found["image_id"].to_pylist(), found["status"].to_pylist(), strict=True))
    assert status == {
        "empty.png": "unreadable: the file is empty",
        "good.png": "ok",
        "text.jpg": "unreadable: not an image",
    }
    gone = read_header(tmp_path / "gone.png")
    assert gone.status == "unreadable: No such file or directory"


def test_a_cut_off_image_is_an_error_when_it_is_decoded(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileError, match="not a readable image"):
        read_image(tmp_path / "a.jpg")


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    file = save(tmp_path / "a.png")
    assert read_header(file).status.startswith("too_large: 8 x 4 pixels")
    with pytest.raises(FileError, match="8 x 4 pixels"):
        read_image(file)


def test_ids_are_paths_below_the_folder_that_was_given(tmp_path) -> None:
    for name in ("a.jpg", "sub/a.jpg", "sub/deep/B.PNG"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    assert list_images([tmp_path])["image_id"].to_pylist() == [
        "a.jpg",
        "sub/a.jpg",
        "sub/deep/B.PNG",
    ]
    assert list_images([tmp_path / "sub"])["image_id"].to_pylist() == ["a.jpg", "deep/B.PNG"]


def test_images_of_one_name_in_two_folders_stay_apart(tmp_path) -> None:
    save(tmp_path / "left" / "a.jpg")
    save(tmp_path / "right" / "a.jpg")
    found = list_images([tmp_path / "left", tmp_path / "right", tmp_path / "left" / "a.jpg"])
    assert found["image_id"].to_pylist() == ["left/a.jpg", "right/a.jpg"]


def test_inputs_without_images_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match="holds no image"):
        list_images([tmp_path])
    with pytest.raises(FileError, match="does not exist"):
        list_images([tmp_path / "none"])
