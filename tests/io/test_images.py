from __future__ import annotations

import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from spatialtrust.errors import FileError
from spatialtrust.io import images
from spatialtrust.io.images import (
    find_images,
    list_images,
    read_header,
    read_headers,
    read_image,
    read_orientation,
)

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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_the_header_is_the_size_of_the_pixels(tmp_path, ending: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = save(tmp_path / f"a.{ending}", exif=exif)
    header = read_header(file)
    assert (header.height, header.width) == read_image(file).shape[:2]
    assert read_orientation(file) == orientation


def test_of_an_animation_the_first_frame_is_taken(tmp_path) -> None:
    frames = [Image.new("RGB", (8, 4), colour) for colour in (RED, "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.abs(read_image(tmp_path / "a.gif")[0, 0].astype(int) - RED).max() < 40


GREY = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (8, 1))


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_whole_numbers_are_scaled_by_the_bits_that_they_use(tmp_path, ending, bits) -> None:
    deep = (GREY / 255 * (2**bits - 1)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a.{ending}")
    assert np.abs(read_image(tmp_path / f"a.{ending}")[:, :, 1].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e6, 0), (1, -100), (40, 1_000_000)])
def test_32_bit_numbers_are_scaled_by_their_range(tmp_path, scale: float, offset: int) -> None:
    Image.fromarray((GREY * float(scale) + offset).astype(np.int32)).save(tmp_path / "a.tif")
    assert np.abs(read_image(tmp_path / "a.tif")[:, :, 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize(
    ("scale", "offset"), [(1 / 255, 0), (1, 0), (257, 0), (0.04, 3), (2 / 255, -1), (1e-5, 0)]
)
def test_fractions_are_scaled_by_their_range(tmp_path, scale: float, offset: float) -> None:
    Image.fromarray((GREY * float(scale) + offset).astype(np.float32)).save(tmp_path / "a.tif")
    assert np.abs(read_image(tmp_path / "a.tif")[:, :, 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_colour_keeps_its_brightness(tmp_path, ending: str, bits: int) -> None:
    deep = (np.stack([GREY, GREY // 2, GREY // 4], axis=2) / 255 * (2**bits - 1)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a.{ending}"), deep[:, :, ::-1])
    pixels = read_image(tmp_path / f"a.{ending}").astype(int)
    assert np.abs(pixels[:, :, 0] - GREY).max() <= 1
    assert np.abs(pixels[:, :, 2] - GREY // 4).max() <= 1


def test_an_even_image_and_one_with_holes_are_no_trouble(tmp_path) -> None:
    for value in (0, 7, 65535):
        Image.fromarray(np.full((4, 4), value, dtype=np.uint16)).save(tmp_path / "a.png")
        assert len(np.unique(read_image(tmp_path / "a.png"))) == 1
    holes = GREY.astype(np.float32)
    holes[0, 60:] = np.nan, np.inf, -np.inf, 255
    Image.fromarray(holes).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, 60:, 0].tolist() == [0, 255, 0, 255]
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(FileError, match="no finite value"):
        read_image(tmp_path / "b.tif")


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


def test_other_files_are_counted_by_ending_and_labels_are_not(tmp_path) -> None:
    save(tmp_path / "a.jpg")
    (tmp_path / "b.jfif").write_bytes((tmp_path / "a.jpg").read_bytes())
    for name in ("c.HEIC", "d.heic", "e.mp4", "raw", ".DS_Store", "a.txt", "boxes.json",
                 "data.yaml", ".cache/x.bin", "run/overlays/x.bin"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "run/manifest.json").touch()
    found = find_images([tmp_path])
    assert found.images["image_id"].to_pylist() == ["a.jpg", "b.jfif"]
    assert found.notes == ("4 files with other endings passed over: .heic (none) .mp4",)
    assert read_header(tmp_path / "b.jfif").status == "ok"
    (tmp_path / "films").mkdir()
    (tmp_path / "films/a.mp4").touch()
    with pytest.raises(FileError, match=r"1 file with another ending passed over: \.mp4"):
        find_images([tmp_path / "films"])


def test_names_that_no_file_can_hold_are_cleaned_and_the_pixels_found(tmp_path) -> None:
    save(tmp_path / "a.jpg")
    for name in (b"caf\xe9.jpg", b"a\nb.jpg", b"x\x01.jpg", b"x\x02.jpg"):
        shutil.copy(tmp_path / "a.jpg", os.path.join(os.fsencode(tmp_path), name))
    found = find_images([tmp_path])
    ids = found.images["image_id"].to_pylist()
    assert ids == ["a b.jpg", "a.jpg", "caf\ufffd.jpg", "x\ufffd#1.jpg", "x\ufffd#2.jpg"]
    assert found.notes[0].startswith("4 names of images hold control characters")
    headers = read_headers(found.images)
    assert set(headers["status"].to_pylist()) == {"ok"}
    assert {read_image(uri).shape for uri in headers["uri"].to_pylist()} == {(4, 8, 3)}


def test_inputs_without_images_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match="holds no image"):
        list_images([tmp_path])
    with pytest.raises(FileError, match="does not exist"):
        list_images([tmp_path / "none"])


def test_images_are_decoded_on_threads_and_warnings_come_back(tmp_path) -> None:
    """Filters of warnings belong to the process, and decoders are quiet on many threads at once."""
    before = list(warnings.filters)
    file = tmp_path / "a.png"
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(file)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_image, [file] * 200))
    assert all(pixels.shape == (400, 400, 3) for pixels in found)
    assert list(warnings.filters) == before
