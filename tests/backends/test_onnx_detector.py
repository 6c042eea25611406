"""``onnx:PATH``: every family that is known finds the same box, and bad files are named."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

pytest.importorskip("onnx", reason="builds tiny ONNX files; part of the extra dev")

from spatialtrust.backends.base import Options
from spatialtrust.backends.fixed_vocabulary import engines
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.errors import BackendError, FileError, InputError
from tests.helpers.onnx_files import CELLS, EDGE, write_model

NAMES = ("person", "cup", "dog")
METADATA = {"names": "{0: 'person', 1: \"cup\", 2: 'dog'}", "task": "detect"}
PICTURE = np.zeros((40, 80, 3), np.uint8)
FITTED = [27.5, 13.75, 52.5, 26.25]
"""Centre 32, 32, size 20 x 10 of the input, on a picture of 80 x 40 with grey above and below."""


def _rows(count: int, width: int) -> np.ndarray:
    return np.zeros((1, count, width), np.float32)


def _yolo5(count: int) -> np.ndarray:
    found = _rows(count, 5 + len(NAMES))
    found[0, 7] = [32, 32, 20, 10, 0.9, 0, 1, 0]
    return found


def _yolo8() -> np.ndarray:
    found = np.zeros((1, 4 + len(NAMES), CELLS), np.float32)
    found[0, :, 7] = [32, 32, 20, 10, 0, 0.9, 0]
    return found


def _end_to_end() -> np.ndarray:
    found = _rows(300, 6)
    found[0, 0] = [22, 27, 42, 37, 0.9, 1]
    return found


def _in_cells() -> np.ndarray:
    found = _rows(CELLS, 5 + len(NAMES))
    # Cell 4, 4 of stride 8: (0 + 4) x 8 = 32, exp(log(2.5)) x 8 = 20.
    found[0, 4 * 8 + 4] = [0, 0, np.log(2.5), np.log(1.25), 0.9, 0, 1, 0]
    return found


def _fractions() -> np.ndarray:
    found = _rows(20, 4 + len(NAMES))
    found[0, 3] = [0.5, 0.5, 0.25, 0.5, 0, 0.9, 0]
    return found


def _logits(empty: bool) -> dict[str, np.ndarray]:
    logits = np.full((1, 20, len(NAMES) + empty), -9.0, np.float32)
    if empty:
        logits[..., -1] = 0
    logits[0, 3] = [-9, np.log(9), -9, *([0] if empty else [])]
    boxes = np.full((1, 20, 4), 0.5, np.float32)
    boxes[0, 3] = [0.5, 0.5, 0.25, 0.5]
    return {"logits": logits, "pred_boxes": boxes}


def _labels() -> dict[str, np.ndarray]:
    boxes, scores = np.zeros((1, 20, 4), np.float32), np.zeros((1, 20), np.float32)
    boxes[0, 3], scores[0, 3] = [0.25, 0.25, 0.5, 0.5], 0.9
    labels = np.zeros((1, 20), np.int64)
    labels[0, 3] = 1
    return {"labels": labels, "boxes": boxes, "scores": scores}


STRETCHED = [30.0, 10.0, 50.0, 30.0]
TOP_LEFT = [27.5, 33.75, 52.5, 40.0]
"""As ``FITTED``, with all the grey below; cut at the picture's edge."""
FAMILIES = {
    "yolo8": ({"output0": _yolo8()}, {}, FITTED),
    "yolo5": ({"output0": _yolo5(3 * CELLS)}, {}, FITTED),
    "yolo10": ({"output0": _end_to_end()}, {}, FITTED),
    "yolox by cell": ({"output": _in_cells()}, {}, TOP_LEFT),
    "yolox in pixels": ({"output": _yolo5(CELLS)}, {}, TOP_LEFT),
    "rtdetr": ({"output0": _fractions()}, {}, STRETCHED),
    "detr": (_logits(empty=True), {"picture": "pixel_values"}, STRETCHED),
    "rt-detr of transformers": (_logits(empty=False), {"picture": "pixel_values"}, STRETCHED),
    "d-fine": (_labels(), {"sizes": True}, [20.0, 10.0, 40.0, 20.0]),
}


def _only_box(reference: str, picture: np.ndarray = PICTURE) -> dict:
    found = open_detector(reference, Options(device="cpu")).detect({"a": picture}, {})
    rows = found.data.to_pylist()
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", ["onnxruntime", "cv2"])
def test_every_family_finds_its_box_by_either_runtime(tmp_path, monkeypatch, family, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="part of the extra photos")
    else:
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        if family == "d-fine":
            pytest.skip("OpenCV takes no whole numbers: refused, see below")
    outputs, how, expected = FAMILIES[family]
    path = write_model(tmp_path / "m.onnx", outputs, metadata=METADATA, **how)
    row = _only_box(f"onnx:{path}")
    assert (row["phrase"], row["status"], row["rank"]) == ("cup", "ok", 0)
    assert row["score"] == pytest.approx(0.9, abs=1e-3)
    assert [row[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(expected, abs=0.1)


def test_colours_go_in_as_each_family_was_trained(tmp_path):
    pytest.importorskip("onnxruntime", reason="part of the extra photos")
    red = np.full((EDGE, EDGE, 3), (204, 0, 0), np.uint8)
    rows = _yolo8() * 0
    rows[0, :4] = 32
    how = {"metadata": METADATA, "add_picture_to": "output0"}
    path = write_model(tmp_path / "rgb.onnx", {"output0": rows}, **how)
    found = open_detector(f"onnx:{path}", Options(device="cpu", top_k=1))
    assert found.detect({"a": red}, {}).numbers("score") == pytest.approx(0.8, abs=1e-4)
    assert len(found.detect({"a": red[..., ::-1].copy()}, {})) == 0, "blue"
    cells = _yolo5(CELLS) * 0
    cells[..., 2:4] = 20
    path = write_model(tmp_path / "bgr.onnx", {"output": cells}, **how)
    found = open_detector(f"onnx:{path}", Options(device="cpu", top_k=1))
    assert len(found.detect({"a": red}, {})) == 0, "blue comes first"


def test_names_come_from_a_file_a_list_the_configuration_or_beside_the_model(tmp_path):
    path = write_model(tmp_path / "m.onnx", {"output0": _yolo8()})
    with pytest.raises(BackendError, match=r"nothing names its classes.*onnx:PATH,coco"):
        open_detector(f"onnx:{path}")
    listed = tmp_path / "mine.txt"
    listed.write_text("a\nb\nc\n", encoding="utf-8")
    assert _only_box(f"onnx:{path},{listed}")["phrase"] == "b"
    described = tmp_path / "data.yaml"
    described.write_text("names:\n  0: k\n  1: l\n  2: m\n", encoding="utf-8")
    assert _only_box(f"onnx:{path},{described}")["phrase"] == "l"
    comma = path.rename(tmp_path / "m,1.onnx")
    (tmp_path / "classes.txt").write_text("p\nq\nr\n", encoding="utf-8")
    assert _only_box(f"onnx:{comma}")["phrase"] == "q"
    comma.rename(path)
    labels = {"id2label": {"0": "x", "1": "y", "2": "N/A"}}
    (tmp_path / "config.json").write_text(json.dumps(labels), encoding="utf-8")
    assert _only_box(f"onnx:{path}")["phrase"] == "y"
    assert _only_box(f"onnx:{path},{tmp_path / 'config.json'}")["phrase"] == "y"


def test_names_that_do_not_fit_are_refused(tmp_path):
    for name, outputs in (("a", {"output0": _yolo8()}), ("b", _logits(empty=True)),
                          ("c", {"output": _yolo5(CELLS)})):  # fmt: skip
        path = write_model(tmp_path / f"{name}.onnx", outputs, metadata=METADATA)
        with pytest.raises(BackendError, match=r"has \d classes, and 80 names were given"):
            _only_box(f"onnx:{path},coco")
    path = write_model(tmp_path / "d.onnx", {"output0": _end_to_end()}, metadata=METADATA)
    short = tmp_path / "short.txt"
    short.write_text("a\n", encoding="utf-8")
    with pytest.raises(BackendError, match="found class 1, and only 1 names"):
        _only_box(f"onnx:{path},{short}")
    empty = tmp_path / "empty.txt"
    empty.write_text("\n", encoding="utf-8")
    with pytest.raises(FileError, match="holds no name"):
        open_detector(f"onnx:{path},{empty}")
    with pytest.raises(FileError, match=r"none\.txt: cannot be read"):
        open_detector(f"onnx:{path},{tmp_path / 'none.txt'}")
    for name, text in (("other.json", "{}"), ("other.yaml", "a: [")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(BackendError, match="names no classes"):
            open_detector(f"onnx:{path},{tmp_path / name}")
    bad = tmp_path / "bad.json"
    bad.write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match=r"bad\.json"):
        open_detector(f"onnx:{path},{bad}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is no ONNX model"),
        (b"<!DOCTYPE html><html>not found</html>", "is no ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\xff" * 40, "is no ONNX model"),
        (b"\x08\x07", "has no inputs"),
    ],
)
def test_files_that_are_no_model_are_named_when_they_are_opened(tmp_path, content, expected):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=expected) as caught:
        open_detector(f"onnx:{path}")
    assert str(path) in str(caught.value)


def test_damaged_models_never_end_in_a_traceback(tmp_path):
    whole = write_model(tmp_path / "m.onnx", {"output0": _yolo8()}, metadata=METADATA).read_bytes()
    path = tmp_path / "cut.onnx"
    generator = np.random.default_rng(0)
    cuts = [whole[: len(whole) * part // 12] for part in range(1, 12)]
    for _ in range(30):
        noisy = np.frombuffer(whole, np.uint8).copy()
        noisy[generator.integers(len(noisy), size=20)] ^= 0x55
        cuts.append(noisy.tobytes())
    refused = 0
    for content in cuts:
        path.write_bytes(content)
        try:
            open_detector(f"onnx:{path}", Options(device="cpu")).detect({"a": PICTURE}, {})
        except (BackendError, FileError):
            refused += 1
    assert refused >= 11


def test_models_of_other_kinds_are_refused_by_what_they_give_and_take(tmp_path):
    path = write_model(tmp_path / "a.onnx", {"classes": np.zeros((1, 1000), np.float32)},
                       metadata=METADATA)  # fmt: skip
    with pytest.raises(BackendError, match=r"classes \[1, 1000\].*valid: YOLOX; YOLOv5"):
        _only_box(f"onnx:{path}")
    path = write_model(tmp_path / "b.onnx", {"output0": _yolo8()}, metadata=METADATA,
                       shape=(1, 3, EDGE))  # fmt: skip
    with pytest.raises(BackendError, match=r"its inputs \(images \[1, 3, 64\]\)"):
        open_detector(f"onnx:{path}")
    with pytest.raises(FileError, match=r"no\.onnx: cannot be read"):
        open_detector(f"onnx:{tmp_path / 'no.onnx'}")
    with pytest.raises(FileError, match="cannot be read"):
        open_detector(f"onnx:{tmp_path}")
    with pytest.raises(InputError, match="names no model"):
        open_detector("onnx:")
    with pytest.raises(InputError, match="is no asker"):
        open_asker(f"onnx:{path}")


def test_opencv_says_what_it_cannot_run(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    path = write_model(tmp_path / "m.onnx", _labels(), metadata=METADATA, sizes=True)
    with pytest.raises(BackendError, match=r"spatialtrust\[photos\]"):
        _only_box(f"onnx:{path}")


def test_a_free_size_is_filled_in_and_said(tmp_path, caplog):
    pytest.importorskip("onnxruntime", reason="part of the extra photos")
    caplog.set_level(logging.WARNING, "spatialtrust")
    free = (1, 3, "height", "width")
    how = {"shape": free, "picture": "pixel_values"}
    path = write_model(tmp_path / "m.onnx", _logits(empty=False), metadata=METADATA, **how)
    assert _only_box(f"onnx:{path}")["phrase"] == "cup"
    assert "640 x 640 is used" in caplog.text
    caplog.clear()
    sized = {**METADATA, "imgsz": "[64, 64]"}
    path = write_model(tmp_path / "n.onnx", {"output0": _yolo8()}, metadata=sized, shape=free)
    assert _only_box(f"onnx:{path}")["phrase"] == "cup"
    assert not caplog.text


def test_the_revision_is_of_the_file_and_its_names(tmp_path):
    path = write_model(tmp_path / "m.onnx", {"output0": _yolo8()}, metadata=METADATA)
    listed = tmp_path / "mine.txt"
    listed.write_text("a\nb\nc\n", encoding="utf-8")
    one, other = open_detector(f"onnx:{path}"), open_detector(f"onnx:{path},{listed}")
    assert one.revision.startswith("sha256:")
    assert one.revision != other.revision
