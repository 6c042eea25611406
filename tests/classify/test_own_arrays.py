"""Arrays that people have: into a comparison, or an error that names array and row."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone

from spatialtrust.classify import EmbeddedImages, Estimator, Splits, compare, fit
from spatialtrust.classify.own_arrays import read_array, splits_from_arrays
from spatialtrust.errors import FileError, InputError, NotFittedError

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
CENTRES = np.linalg.qr(RNG.normal(size=(8, 8)))[0][:4]
LABELS = RNG.integers(0, 4, 240)
SHOWN = np.where((LABELS == 3) & (RNG.random(240) < 0.7), 2, LABELS)
IMAGES = CENTRES[SHOWN] + 0.3 * RNG.normal(size=(240, 8))
IMAGES /= np.linalg.norm(IMAGES, axis=1, keepdims=True)


def made(**changes: Any) -> EmbeddedImages:
    given: dict[str, Any] = {"images": IMAGES, "texts": CENTRES, "labels": LABELS} | changes
    return EmbeddedImages(**given)


def test_three_arrays_are_enough() -> None:
    found = made()
    assert (len(found), found.class_names[0], found.logit_scale) == (240, "class 0", 100.0)
    assert found.images.dtype == found.texts.dtype == np.float32
    assert len(set(found.digests)) == len(set(found.image_ids)) == 240
    table = compare(Splits.of({"all": found}), ["mcm", "lda-probe"], resamples=5).table
    assert table["status"].to_pylist() == ["ok", "ok"]


@pytest.mark.parametrize(
    "images",
    [
        np.asfortranarray(IMAGES),
        IMAGES.astype(">f8"),
        np.ascontiguousarray(IMAGES[::-1])[::-1],
        torch.tensor(IMAGES, requires_grad=True),
        IMAGES.tolist(),
        pa.array(IMAGES.tolist()),
    ],
)
def test_any_layout_and_library_gives_the_same(images: Any) -> None:
    np.testing.assert_allclose(made(images=images).images, made().images, rtol=1e-6)


def test_half_precision_is_unit_length_and_is_widened(caplog: pytest.LogCaptureFixture) -> None:
    found = made(images=IMAGES.astype(np.float16), texts=torch.tensor(CENTRES).bfloat16().float())
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images, IMAGES.astype(np.float16).astype(np.float32))
    assert "images" not in caplog.text


def test_lengths_other_than_one_are_scaled_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = made(images=7.3 * IMAGES)
    assert "images: 240 of 240 rows are not of unit length (row 0 has 7.3)" in caplog.text
    np.testing.assert_allclose(found.images, made().images, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.logits, made().logits, rtol=1e-3, atol=1e-3)
    caplog.clear()
    found.rows(np.arange(5))
    assert not caplog.text


def nan_row() -> np.ndarray:
    bad = IMAGES.copy()
    bad[17, 3] = np.nan
    return bad


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:-1]}, "labels: 239 of them for 240 images"),
        ({"images": IMAGES[:-1]}, "labels: 240 of them for 239 images"),
        ({"images": nan_row()}, "images: row 17 holds nan"),
        ({"texts": CENTRES[:3]}, r"labels: row \d+ is 3; there are 3 classes \(rows of texts"),
        ({"texts": CENTRES[:, :5]}, "texts: have 5 columns where images have 8"),
        ({"texts": CENTRES[:1]}, "texts: 1 class"),
        ({"texts": None}, "texts: missing"),
        ({"labels": np.where(LABELS == 0, -2, LABELS)}, r"labels: row \d+ is -2"),
        ({"labels": np.where(LABELS == 1, 99, LABELS)}, r"labels: row \d+ is 99"),
        ({"labels": ["cat"] * 240}, 'labels: row 0 holds the text "cat"; give class indices'),
        ({"labels": np.array(["cat"] * 240, dtype=object)}, 'row 0 holds the text "cat"'),
        ({"labels": LABELS + 0.5}, "labels: have dtype float64"),
        ({"labels": np.where(LABELS == 0, np.nan, LABELS)}, r"labels: row \d+ has none"),
        ({"labels": np.eye(4)[LABELS]}, r"labels: have dtype float64 and shape \(240, 4\)"),
        ({"images": IMAGES[:, 0]}, "images: has shape"),
        ({"images": IMAGES.astype(str)}, "images: holds"),
        ({"images": np.array([object()] * 240)[:, None]}, "images: row 0 holds"),
        ({"images": 0 * IMAGES}, "images: row 0 is all zeros"),
        ({"images": IMAGES.astype(complex)}, "images: holds complex128"),
        ({"captions": IMAGES[:7]}, "captions: 7 of them for 240 images"),
        ({"auxiliary": nan_row()}, "auxiliary: row 17 holds nan"),
        ({"class_names": ("a", "b")}, "class_names: 2 of them for 4 texts"),
        ({"given_logits": np.zeros((240, 3))}, r"logits: have shape \(240, 3\) for 240 images"),
        ({"logit_scale": 0.0}, "logit_scale is 0.0"),
        ({"image_ids": np.array(["a"], dtype=object)}, "image_ids: 1 of them for 240"),
    ],
)
def test_what_does_not_fit_is_named_by_array_and_row(changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**changes)


def test_names_as_labels_are_read_where_the_classes_have_names() -> None:
    names = ("ant", "bee", "cat", "dog")
    found = made(labels=np.array(names)[LABELS], class_names=names)
    np.testing.assert_array_equal(found.labels, LABELS)
    with pytest.raises(InputError, match='row 0 is "elk", which is not among the class names'):
        made(labels=["elk"] * 240, class_names=names)
    floats = made(labels=LABELS.astype(float))
    np.testing.assert_array_equal(floats.labels, LABELS)


def test_logits_alone_serve_the_methods_that_need_no_more() -> None:
    logits = 20.0 * IMAGES @ CENTRES.T
    found = EmbeddedImages.of_logits(logits, LABELS)
    np.testing.assert_array_equal(found.logits, logits.astype(np.float32))
    table = compare(
        Splits.of({"all": found}), ["mcm", "rel-u", "vilu", "trustvlm", "lda-probe"], resamples=5
    ).table
    status = dict(zip(table["method"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert status["mcm"] == status["rel-u"] == "ok"
    for name in ("vilu", "trustvlm", "lda-probe"):
        assert status[name] == f"{name} needs image embeddings, and there are logits only"
    with_images = EmbeddedImages(IMAGES, None, LABELS, given_logits=logits)  # type: ignore[arg-type]
    table = compare(
        Splits.of({"all": with_images}), ["lda-probe", "vilu"], resamples=5, baseline="mcm"
    )
    assert table.table["status"].to_pylist() == [
        "ok", "vilu needs text embeddings, and there are none",
    ]  # fmt: skip


def test_splits_of_different_models_are_refused() -> None:
    other = EmbeddedImages(IMAGES[:, :5], CENTRES[:, :5], LABELS)
    with pytest.raises(InputError, match="test: images have 5 columns where those of train have 8"):
        Splits(made(), made(), other)
    with pytest.raises(InputError, match="has no image"):
        Splits.of({"all": made().rows(np.arange(1))})


def write_all(folder: Path) -> dict[str, str]:
    """The images under every ending."""
    single = IMAGES.astype(np.float32)
    np.save(folder / "a.npy", single)
    np.savez(folder / "a.npz", images=single, other=LABELS)
    torch.save(torch.tensor(single), folder / "a.pt")
    torch.save({"image_features": torch.tensor(single), "labels": LABELS.tolist()}, folder / "b.pt")
    tensors = {"images": torch.tensor(single).bfloat16(), "labels": torch.tensor(LABELS)}
    save_file(tensors, folder / "a.safetensors")
    listed = pa.array(single.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": LABELS, "embedding": listed}), folder / "a.parquet")
    wide = {f"d{k}": single[:, k] for k in range(8)}
    pq.write_table(pa.table(wide), folder / "wide.parquet")
    names = [
        "a.npy",
        "a.npz",
        "a.pt",
        "b.pt",
        "a.safetensors",
        "a.parquet:embedding",
        "wide.parquet",
    ]
    return {name: str(folder / name) for name in names}


def test_every_ending_gives_the_same_array(tmp_path: Path) -> None:
    for name, path in write_all(tmp_path).items():
        found = made(images=read_array(path, "images"))
        tolerance = 0.01 if "safetensors" in name else 1e-6
        np.testing.assert_allclose(found.images, made().images, atol=tolerance, err_msg=name)
    assert isinstance(read_array(tmp_path / "a.npy", "images"), np.memmap)
    np.testing.assert_array_equal(read_array(f"{tmp_path}/a.npz:other", "labels"), LABELS)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "object.npy", np.array([{"a": 1}, None], dtype=object))
    np.savez(tmp_path / "object.npz", images=np.array([[1], [1, 2]], dtype=object))
    torch.save({"images": object}, tmp_path / "object.pt")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'")
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "a.csv").write_text("1,2")
    np.savez(tmp_path / "two.npz", first=IMAGES, second=IMAGES)
    for name, message in (
        ("object.npy", "images: holds Python objects .or is damaged., and unpickling could run"),
        ("object.npz", "holds Python objects"),
        ("object.pt", "holds Python objects"),
        ("cut.npy", "images: cannot be read"),
        ("text.npz", "images: "),
        ("cut.safetensors", "images: cannot be read"),
        ("cut.parquet", "cut.parquet"),
        ("a.csv", r"has the ending \.csv; valid: \.npy"),
        ("none.npy", "does not exist, and was given for images"),
        ("two.npz", "holds several arrays .first, second., and none is called images; say which"),
        ("two.npz:third", 'holds no "third"; it holds first, second'),
    ):
        with pytest.raises(FileError, match=message):
            read_array(tmp_path / name, "images")


def test_errors_of_splits_name_the_split() -> None:
    good = {"images": IMAGES, "labels": LABELS}
    with pytest.raises(InputError, match=r"test split: labels: row \d+ is 9"):
        splits_from_arrays(
            {"train": good, "test": {"images": IMAGES, "labels": LABELS + 6}}, CENTRES
        )
    with pytest.raises(InputError, match="test images: row 17 holds nan"):
        splits_from_arrays({"train": good, "test": {**good, "images": nan_row()}}, CENTRES)


def test_an_estimator_has_one_fit_one_score_and_can_be_cloned() -> None:
    images = made(logit_scale=20.0)
    for name in ("mcm", "temperature-scaling", "trustvlm", "delta-mds", "lda-probe-mcm"):
        options = {"shots": 3} if name == "trustvlm" else {}
        estimator = clone(Estimator(name, seed=1, **options)).fit(images)
        assert estimator.score(images).shape == estimator.predict(images).shape == (240,)
        assert estimator.is_correct(images).dtype == bool
        assert estimator.get_params() == {"method": name, "seed": 1, **options}
    probe = Estimator("lda-probe").set_params(shrinkage=0.5)
    assert repr(probe) == 'Estimator("lda-probe", seed=0, shrinkage=0.5)'
    parts = Splits.of({"all": images})
    expected = fit("lda-probe", parts, shrinkage=0.5).score(images)
    np.testing.assert_array_equal(probe.fit(parts.train).score(images), expected)


def test_an_estimator_refuses_what_it_cannot_use() -> None:
    images = made()
    with pytest.raises(NotFittedError, match="call fit"):
        Estimator("vilu").score(images)
    with pytest.raises(InputError, match="labels travel with the images"):
        Estimator("mcm").fit(images, LABELS)
    with pytest.raises(InputError, match="give calibration"):
        Estimator("delta-mds-margin").fit(images)
    Estimator("delta-mds-margin").fit(images, calibration=images)
    with pytest.raises(InputError, match="some images have none"):
        Estimator("mcm").fit(made(labels=np.full(240, -1)))
    with pytest.raises(InputError, match='did you mean "vilu"'):
        Estimator("vilo").fit(images)
    with pytest.raises(InputError, match='has no option "epoch"'):
        Estimator("vilu", epoch=2).fit(images)
