"""The embedding cache: what is cached is found again, and nothing else is."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from spatialtrust.classify.embedded_images import EmbeddedImages, embed_images, load_embedded
from spatialtrust.classify.embedding_store import (
    EmbeddingStore,
    Recipe,
    digest_of,
    embed_texts,
)
from spatialtrust.classify.labelled_images import LabelledImage, labelled_images
from spatialtrust.errors import ColumnError, FileError, InputError, RowError
from spatialtrust.io.images import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Colours:
    """An embedder that sees the mean colour; it counts what it is asked."""

    needs_pixels = True

    def __init__(self, reference: str = "toy:colours", revision: str | None = "1") -> None:
        self.reference, self.revision, self.logit_scale = reference, revision, 50.0
        self.images, self.texts = 0, 0
        self.fail_after: int | None = None

    def embed_images(self, images: Sequence[Any]) -> Any:
        if self.fail_after is not None and self.images >= self.fail_after:
            raise KeyboardInterrupt
        self.images += len(images)
        return _unit([image.reshape(-1, 3).mean(axis=0) + 1 for image in images])

    def embed_texts(self, texts: Sequence[str]) -> Any:
        self.texts += len(texts)
        known = {"red": [9, 1, 1], "green": [1, 9, 1], "blue": [1, 1, 9]}
        return _unit(
            [next((v for k, v in known.items() if k in text), [1, 1, 1]) for text in texts]
        )


def _unit(rows: list[Any]) -> Any:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def _png(colour: tuple[int, int, int], seed: int = 0) -> bytes:
    pixels = np.full((4, 6, 3), colour, np.uint8) + np.uint8(seed % 50)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 images: train and test, three classes, two each."""
    root = tmp_path / "photos"
    for place, split in enumerate(("train", "test")):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for seed in range(2):
                (root / split / name / f"{seed}.png").write_bytes(_png(colour, 10 * place + seed))
    return root


def _load(cache: Path, **options: Any) -> dict[str, EmbeddedImages]:
    return load_embedded(cache, **options)


def test_a_folder_becomes_splits_with_labels_and_class_texts(folder: Path, tmp_path: Path) -> None:
    cache, embedder = tmp_path / "cache", Colours()
    embed_images(cache, embedder, labelled_images(folder), batch_size=5)
    splits = _load(cache)
    assert {name: len(part) for name, part in splits.items()} == {"test": 6, "train": 6}
    part = splits["test"]
    assert part.class_names == ("blue", "green", "red")
    assert part.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert part.is_correct.all()
    assert part.image_ids[0] == "test/blue/0.png"
    assert (part.model, part.logit_scale, part.captions) == ("toy:colours@1", 50.0, None)
    assert part.images.dtype == np.float32
    assert isinstance(part.images.base, np.memmap) or isinstance(part.images, np.memmap)


def test_what_is_cached_is_not_embedded_again(folder: Path, tmp_path: Path) -> None:
    cache, embedder = tmp_path / "cache", Colours()
    embed_images(cache, embedder, labelled_images(folder))
    embed_images(cache, embedder, labelled_images(folder), name="again")
    assert (embedder.images, embedder.texts) == (12, 3)
    (folder / "test/red/0.png").write_bytes(_png((250, 0, 0)))
    embed_images(cache, embedder, labelled_images(folder))
    assert embedder.images == 13


def test_a_killed_run_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    cache, embedder = tmp_path / "cache", Colours()
    embedder.fail_after = 4
    with pytest.raises(KeyboardInterrupt):
        embed_images(cache, embedder, labelled_images(folder), batch_size=2)
    embedder.fail_after = None
    embed_images(cache, embedder, labelled_images(folder), batch_size=2)
    assert embedder.images == 12
    fresh = tmp_path / "fresh"
    embed_images(fresh, Colours(), labelled_images(folder))
    np.testing.assert_array_equal(_load(cache)["test"].images, _load(fresh)["test"].images)


@pytest.mark.parametrize(("name", "bytes_more"), [("digests.bin", 7), ("embeddings.bin", 15)])
def test_a_row_that_was_half_written_is_written_again(
    folder: Path, tmp_path: Path, name: str, bytes_more: int
) -> None:
    cache, embedder = tmp_path / "cache", Colours()
    embed_images(cache, embedder, labelled_images(folder))
    expected = np.array(_load(cache)["test"].images)
    store = next(cache.glob("image-*"))
    # A kill between the two files, then within one of them.
    (store / "digests.bin").write_bytes((store / "digests.bin").read_bytes()[: 32 * 9])
    with (store / name).open("ab") as file:
        file.write(b"x" * bytes_more)
    embed_images(cache, embedder, labelled_images(folder))
    assert embedder.images == 15
    np.testing.assert_array_equal(_load(cache)["test"].images, expected)


def test_models_revisions_and_prompts_never_mix(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for embedder in (Colours(), Colours(revision="2"), Colours("toy:other", None)):
        embed_images(cache, embedder, labelled_images(folder))
        assert embedder.images == 12
    assert len(list(cache.glob("image-*"))) == 3
    with pytest.raises(InputError, match=r"several models \(.*toy:colours@1.*\); name one"):
        _load(cache)
    assert _load(cache, model="toy:colours@2")["test"].model == "toy:colours@2"
    assert _load(cache, model="toy:other")["test"].model == "toy:other"
    with pytest.raises(InputError, match="holds no image embeddings of clip:a; models here"):
        _load(cache, model="clip:a")
    other = Colours()
    embed_images(cache, other, labelled_images(folder), template="a drawing of a {}.")
    assert (other.images, other.texts) == (0, 3)


def test_a_second_encoder_is_cached_beside_the_first(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    dino = Colours("toy:dino")
    embed_images(cache, dino, labelled_images(folder), images_only=True)
    assert dino.texts == 0
    embed_images(cache, Colours(), labelled_images(folder))
    part = _load(cache, model="toy:colours", auxiliary="toy:dino")["train"]
    assert part.auxiliary is not None
    assert part.auxiliary.shape == (6, 3)


def test_images_that_cannot_be_read_say_why_and_are_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "test/red/0.png").write_bytes(b"no image")
    (folder / "test/red/1.png").write_bytes(_png((1, 2, 3))[:40])
    cache = tmp_path / "cache"
    table = embed_images(cache, Colours(), labelled_images(folder))
    status = dict(zip(table["image_id"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert status["test/red/0.png"].startswith("unreadable: is not a readable image")
    assert status["test/red/1.png"].startswith("unreadable: ")
    assert len(_load(cache)["test"]) == 4


def test_duplicates_across_splits_are_warned_of(folder: Path, tmp_path: Path) -> None:
    (folder / "test/red/0.png").write_bytes((folder / "train/red/1.png").read_bytes())
    cache, embedder = tmp_path / "cache", Colours()
    embed_images(cache, embedder, labelled_images(folder))
    assert embedder.images == 11
    with pytest.warns(UserWarning, match="1 images are in more than one of the splits"):
        _load(cache)


def test_a_class_that_was_not_given_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='class "red" of the images is not among the 2 classes'):
        embed_images(
            tmp_path / "cache", Colours(), labelled_images(folder), classes=["blue", "green"]
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"template": "a photo"}, "once"), ({"name": "../x"}, "no plain file name")],
)
def test_templates_and_names_are_checked(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        embed_images(tmp_path, Colours(), [], **options)


def test_class_prompts_say_spaces_for_underscores(tmp_path: Path) -> None:
    asked: list[str] = []

    class Spy(Colours):
        def embed_texts(self, texts: Sequence[str]) -> Any:
            asked.extend(texts)
            return super().embed_texts(texts)

    item = LabelledImage("a", "", "sea_lion", None, lambda: _png((1, 1, 1)))
    embed_images(tmp_path, Spy(), [item])
    assert asked == ["a photo of a sea lion."]


RECIPE = Recipe("text", "toy", "1", 100.0, "")


def test_a_store_has_one_writer(tmp_path: Path) -> None:
    with EmbeddingStore(tmp_path, RECIPE) as store:
        store.append([digest_of(b"a")], np.ones((1, 3), np.float32))
        with pytest.raises(FileError, match="another process"), EmbeddingStore(tmp_path, RECIPE):
            pass
        assert EmbeddingStore(tmp_path, RECIPE).find([digest_of(b"a")]).tolist() == [0]
    with EmbeddingStore(tmp_path, RECIPE):
        pass


def test_a_store_refuses_what_does_not_fit(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, RECIPE)
    with pytest.raises(InputError, match="open the store"):
        store.append([digest_of(b"a")], np.ones((1, 3), np.float32))
    with store:
        store.append([digest_of(b"a")], np.ones((1, 3), np.float32))
        for rows, message in (
            (np.ones((1, 4), np.float32), "changed without changing its revision"),
            (np.ones((2, 3), np.float32), "one row each"),
            (np.full((1, 3), np.nan, np.float32), "not finite"),
        ):
            with pytest.raises(InputError, match=message):
                store.append([digest_of(b"b")], rows)
    with pytest.raises(InputError, match="1 of 2 texts have no embedding by toy@1"):
        store.take([digest_of(b"a"), digest_of(b"b")])


def test_a_store_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    with EmbeddingStore(tmp_path, RECIPE) as store:
        store.append([digest_of(b"a")], np.ones((1, 3), np.float32))
    manifest = store.path / "manifest.json"
    good = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(good | {"recipe": good["recipe"] | {"revision": "2"}}))
    with pytest.raises(FileError, match="another model than its address"):
        EmbeddingStore(tmp_path, RECIPE)
    manifest.write_text(json.dumps(good | {"format": 9}))
    with pytest.raises(FileError, match="has format 9"):
        EmbeddingStore(tmp_path, RECIPE)
    manifest.write_text("{")
    with pytest.raises(FileError, match="cannot be read"):
        EmbeddingStore(tmp_path, RECIPE)


def test_texts_are_embedded_once_each(tmp_path: Path) -> None:
    embedder = Colours()
    first = embed_texts(tmp_path, embedder, ["red", "blue", "red"], batch_size=1)
    assert embedder.texts == 2
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(embed_texts(tmp_path, embedder, ["blue"]), first[1:2])
    assert embedder.texts == 2


def test_images_are_turned_upright() -> None:
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue(), "a.jpg").shape == (6, 4, 3)


def test_an_image_of_more_pixels_than_its_file_can_mean_is_no_image() -> None:
    buffer = io.BytesIO()
    Image.new("1", (7000, 7000)).save(buffer, "PNG")
    with pytest.raises(FileError, match="7000 x 7000 pixels"):
        decode(buffer.getvalue(), "a.png")


def test_a_missing_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="spatialtrust classify embed"):
        _load(tmp_path)


def _items(source: Path, **options: Any) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (item.image_id, item.split, item.class_name, item.caption)
        for item in labelled_images(source, **options)
    ]


def test_lists_of_images(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("image,class,split\ntrain/red/0.png,red,val\ntest/blue/1.png,blue,test\n")
    assert _items(table, images=folder) == [
        ("train/red/0.png", "calibration", "red", None),
        ("test/blue/1.png", "test", "blue", None),
    ]
    assert next(labelled_images(table, images=folder)).read() == _png(COLOURS["red"])
    lines = tmp_path / "list.jsonl"
    lines.write_text('{"image": "photos/a.png", "caption": "a red square"}\n')
    assert _items(lines) == [("photos/a.png", "", None, "a red square")]


def test_coop_splits(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "split_zhou.json"
    file.write_text(
        json.dumps(
            {
                "train": [["train/red/0.png", 2, "red"]],
                "val": [["train/red/1.png", 2, "red"]],
                "test": [["test/blue/0.png", 0, "blue"]],
            }
        )
    )
    assert _items(file, images=folder) == [
        ("train/red/0.png", "train", "red", None),
        ("train/red/1.png", "calibration", "red", None),
        ("test/blue/0.png", "test", "blue", None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.json", "{", FileError, "not readable JSON"),
        ("a.json", '{"images": []}', FileError, "is no split file"),
        ("a.json", '{"train": [], "dev": []}', FileError, 'split "dev"'),
        ("a.json", '{"train": [["a.png", 1]]}', RowError, r"a.json:0: train is no \[path"),
        ("a.json", '{"train": [["../a.png", 1, "x"]]}', RowError, "leads out of"),
        ("a.csv", "image,class\n/etc/passwd,x\n", RowError, r"a.csv:2: image .* leads out of"),
        ("a.csv", "image,class\nC:\\x.png,x\n", RowError, "leads out of"),
        ("a.csv", "image,split\na.png,dev\n", RowError, 'split is "dev"; valid: train'),
        ("a.csv", "path,class\na.png,x\n", ColumnError, 'column "image" is missing'),
        ("a.jsonl", '{"image": 3}\n', RowError, "give a path"),
        ("a.tar", "no archive", FileError, "is not a whole archive"),
        ("a.txt", "x", FileError, 'is of kind ".txt"'),
    ],
)
def test_broken_sources_name_the_place(
    tmp_path: Path, name: str, content: str, error: Any, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=message):
        list(labelled_images(tmp_path / name))


def test_missing_and_empty_sources(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        labelled_images(tmp_path / "none")
    with pytest.raises(FileError, match="holds no images"):
        list(labelled_images(tmp_path))


def _tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


PAIRS = {
    "a/1.png": _png((1, 2, 3)),
    "a/1.txt": b"a red mug\n",
    "a/2.json": b'{"caption": "a kettle"}',
    "a/2.png": _png((3, 2, 1)),
    "a/3.txt": b"no image",
    "a/4.png": _png((5, 5, 5)),
}


def test_caption_archives_are_read_without_extracting(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    _tar(folder / "0.tar", PAIRS)
    _tar(folder / "1.tar.gz", {"9.png": _png((9, 9, 9)), "9.txt": b"nine"}, "w:gz")
    assert _items(folder) == [
        ("0.tar/a/1", "", None, "a red mug"),
        ("0.tar/a/2", "", None, "a kettle"),
        ("0.tar/a/4", "", None, None),
        ("1.tar.gz/9", "", None, "nine"),
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["0.tar", "1.tar.gz"]
    first = {item.image_id: item.read() for item in labelled_images(folder)}
    assert first["0.tar/a/2"] == _png((3, 2, 1))


def test_captions_are_embedded_with_the_images(tmp_path: Path) -> None:
    captioned = {name: data for name, data in PAIRS.items() if "4" not in name}
    archive = _tar(tmp_path / "0.tar", captioned)
    embed_images(tmp_path / "cache", Colours(), labelled_images(archive))
    part = _load(tmp_path / "cache")["all"]
    assert part.captions is not None
    np.testing.assert_array_equal(part.captions, _unit([[9, 1, 1], [1, 1, 1]]))
    assert part.labels.tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png"])
def test_archives_that_point_outside_are_not_trusted(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="no plain file inside the archive"):
        list(labelled_images(_tar(tmp_path / "0.tar", {name: b"x"})))


def test_links_in_archives_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        info = tarfile.TarInfo("1.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(FileError, match="no plain file"):
        list(labelled_images(tmp_path / "0.tar"))


def test_oversized_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatialtrust.classify.labelled_images.LARGEST_MEMBER", 10)
    with pytest.raises(FileError, match="more than 10"):
        list(labelled_images(_tar(tmp_path / "0.tar", PAIRS)))


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_truncated_archives_are_named_and_keep_what_was_embedded(
    tmp_path: Path, ending: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 4, 6, 3)).astype(np.uint8)
    members: dict[str, bytes] = {}
    for place, pixels in enumerate(noise):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        members |= {f"{place:02}.png": buffer.getvalue(), f"{place:02}.txt": b"red"}
    mode = "w:gz" if ending == "tar.gz" else "w"
    path = _tar(tmp_path / f"0.{ending}", members, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])
    embedder = Colours()
    with pytest.raises(FileError, match="not a whole archive"):
        embed_images(tmp_path / "cache", embedder, labelled_images(path), batch_size=2)
    assert embedder.images >= 2
