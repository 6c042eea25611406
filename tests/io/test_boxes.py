"""A file's boxes are read as they were written, or what else they may be is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialtrust import verify
from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.io.boxes import FORMATS, UNITS, BoxConvention, to_corners
from spatialtrust.io.claim_files import read_claims, read_statements
from spatialtrust.io.conventions import choose_convention
from spatialtrust.jobs.own_model import fit

_SIZE = np.array([640.0, 480.0])
_UNKNOWN = np.full(2, np.nan)


def _corners(rows: int, seed: int = 0) -> list[np.ndarray]:
    """Two boxes a row, as corners in fractions, all over the image."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(2):
        extent = generator.uniform(0.05, 0.6, (rows, 2))
        start = generator.random((rows, 2)) * (1 - extent)
        found.append(np.concatenate([start, start + extent], axis=1))
    return found


def _written(corners: np.ndarray, form: str, unit: str) -> np.ndarray:
    whole = {"pixel": np.tile(_SIZE, 2), "fraction": 1.0, "thousandth": 1000.0}[unit]
    x1, y1, x2, y2 = (corners * whole).T
    columns = {
        "xyxy": (x1, y1, x2, y2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        "yxyx": (y1, x1, y2, x2),
        "yyxx": (y1, y2, x1, x2),
    }
    return np.stack(columns[form], axis=1)


def _choose(boxes: list[np.ndarray], size: np.ndarray = _SIZE, **given: Any) -> Any:
    return choose_convention(boxes, np.tile(size, (len(boxes[0]), 1)), **given)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", FORMATS)
def test_declared_boxes_are_the_same_boxes_in_every_convention(form: str, unit: str) -> None:
    corners = _corners(30)[0]
    frame = {"pixel": _SIZE, "fraction": 1.0, "thousandth": 1000.0}[unit]
    size = np.tile(np.broadcast_to(frame, 2), (30, 1)).astype(float)
    found, reasons = to_corners(
        _written(corners, form, unit), size, BoxConvention(form, unit, assumed=False)
    )
    np.testing.assert_allclose(found / np.tile(size, 2), corners, atol=1e-6)
    assert not reasons.any()


@pytest.mark.parametrize("rows", [20, 400])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", FORMATS)
def test_an_undeclared_file_is_read_right_or_the_note_names_the_reading(
    form: str, unit: str, rows: int
) -> None:
    choice = _choose([_written(box, form, unit) for box in _corners(rows)])
    truth = BoxConvention(form, unit, assumed=True)
    if form == "yxyx" and unit != "pixel":  # corners either way; only the image's shape can tell
        assert choice.convention.format == "xyxy"
        assert truth in choice.also
        assert any(truth.name in note and "--box-format" in note for note in choice.notes)
    else:
        assert choice.convention == truth


@pytest.mark.parametrize("form", FORMATS)
def test_without_sizes_the_right_reading_is_at_least_named(form: str) -> None:
    choice = _choose([_written(box, form, "thousandth") for box in _corners(50)], _UNKNOWN)
    truth = BoxConvention(form, "thousandth", assumed=True)
    assert choice.convention == truth or truth in choice.also


def test_some_bad_rows_never_change_the_reading() -> None:
    for form, unit in (("xyxy", "pixel"), ("cxcywh", "fraction"), ("yyxx", "pixel")):
        boxes = [_written(box, form, unit) for box in _corners(100)]
        boxes[0][:3] = np.nan
        boxes[0][3:6] = 0.0
        boxes[1][6:60] = -1.0
        boxes[1][60] = np.inf
        boxes[0][61] = -boxes[0][61]
        assert _choose(boxes).convention == BoxConvention(form, unit, assumed=True)


def test_boxes_that_are_not_cut_at_the_image_are_not_taken_for_another_unit() -> None:
    grown = [box + np.array([-0.03, -0.03, 0.03, 0.03]) for box in _corners(200)]
    for form, unit in (("xyxy", "pixel"), ("cxcywh", "fraction")):
        boxes = [_written(box, form, unit) for box in grown]
        assert _choose(boxes).convention == BoxConvention(form, unit, assumed=True)


def test_upside_down_corners_do_not_turn_the_file_into_corner_and_extent() -> None:
    boxes = [_written(box, "xyxy", "pixel") for box in _corners(100)]
    boxes[0][:8] = boxes[0][:8, [2, 3, 0, 1]]
    for size in (_SIZE, _UNKNOWN):
        choice = _choose(boxes, size)
        assert choice.convention.name == "xyxy in pixels"
    assert "xywh" in {reading.format for reading in choice.also}


def test_pixels_of_small_images_are_not_said_to_fit_thousandths() -> None:
    boxes = [_written(box, "xyxy", "pixel") for box in _corners(50)]
    small = [box / 4 for box in boxes]
    assert "thousandth" not in {r.unit for r in _choose(small, _SIZE / 4).also}


def test_what_fits_no_reading_is_refused_with_the_counts_and_what_to_say(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        {
            "caption": "The mug is left of the cup.",
            "subject_box": generator.uniform(-900, 900, 4).tolist(),
            "object_box": generator.uniform(-900, 900, 4).tolist(),
            "width": 640,
            "height": 480,
        }
        for _ in range(12)
    ]
    with pytest.raises(FileError, match=r"of 12 \(pixel: xyxy \d+.*--box-format \(xyxy, xywh"):
        read_claims(_file(tmp_path, rows))
    assert read_claims(_file(tmp_path, rows), box_format="xyxy", box_unit="pixel").box_misfits
    assert len(read_statements(_file(tmp_path, rows)).claims) == 12  # there they are not used


def test_a_few_bad_rows_alone_are_bad_rows_and_no_refusal(tmp_path: Path) -> None:
    row = {"caption": "The mug is left of the cup.", "object_box": [0.5, 0.5, 0.2, -0.2]}
    for count in (1, 2):
        file = read_claims(_file(tmp_path, [{**row, "subject_box": [0.5, 0.5, 0.2, -0.2]}] * count))
        assert file.box_misfits == {"degenerate_box": count}
    assert file.notes[-1] == "of 2 rows with a box that does not fit: 2 degenerate_box"


def test_numbers_beyond_all_bounds_are_one_bad_box() -> None:
    row = {"caption": "The mug is left of the cup.", "object_box": [0.7, 0.5, 0.2, 0.2]}
    for form in (None, "xywh"):
        found = verify([{**row, "subject_box": [1e308, 1, 1e308, 2]}], box_format=form)
        assert sum(found.manifest["box_misfits"].values()) >= 1
        assert found.verdicts.strings("emitted") == [None]


def _file(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "claims.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


_CLAIM = {"caption": "The cup is left of the lamp.", "width": 640, "height": 480}
_YYXX = [
    {**_CLAIM, "subject_box": [230, 434, 31, 264], "object_box": [40, 200, 320, 480]},
    {**_CLAIM, "subject_box": [102, 442, 140, 563], "object_box": [266, 338, 267, 409]},
    {**_CLAIM, "subject_box": [228, 321, 316, 438], "object_box": [164, 214, 256, 612]},
]
_THOUSANDTHS = [
    {"caption": "The cup is right of the lamp.", "subject_box": [337, 53, 435, 106],
     "object_box": [172, 479, 272, 617], "width": 1024, "height": 1024},
    {"caption": "The cup is below the lamp.", "subject_box": [77, 912, 158, 982],
     "object_box": [110, 535, 864, 625], "width": 1024, "height": 1024},
]  # fmt: skip
_FRACTIONS = [
    {"caption": "The mug is right of the kettle.", "subject_box": [0.56, 0.12, 0.91, 0.81],
     "object_box": [0.37, 0.04, 0.55, 0.55]},
    {"caption": "The mug is touching the kettle.", "subject_box": [0.26, 0.77, 0.92, 0.94],
     "object_box": [0.23, 0.55, 0.63, 0.64]},
]  # fmt: skip


def test_boxes_with_both_ys_first_are_told_by_what_fits() -> None:
    found = verify(_YYXX)
    assert found.notes[0].startswith("boxes are read as yyxx in pixels")
    assert "3 of 3 rows with boxes do not fit xyxy in pixels" in found.notes[1]
    p_true = found.verdicts.numbers("p_true")
    assert p_true[0] > 0.9
    assert 0.03 < p_true[1] < 0.1
    told = verify(_YYXX, box_format="YYXX", box_unit="pixels").verdicts.numbers("p_true")
    np.testing.assert_allclose(told, p_true)


def test_y_first_thousandths_are_named_and_right_when_declared() -> None:
    assert "yxyx in thousandths of the image" in " ".join(verify(_THOUSANDTHS).notes)
    for declared in (
        verify(_THOUSANDTHS, box_format="yxyx", box_unit="thousandths"),
        verify([{**row, "box_format": "yxyx", "box_unit": "thousandth"} for row in _THOUSANDTHS]),
    ):
        assert (declared.verdicts.numbers("p_true") < 0.05).all()
        assert declared.manifest["boxes"] == (
            "boxes are read as yxyx in thousandths of the image (as given)"
        )


def test_two_rows_of_normalised_corners_are_corners() -> None:
    found = verify(_FRACTIONS)
    assert found.verdicts.strings("emitted") == ["yes", "no"]
    assert "xyxy in fractions of the image" in found.notes[0]
    assert (
        "the boxes also fit yxyx in fractions of the image; if so, give --box-format"
        in (found.notes[2])
    )
    assert found.manifest["box_misfits"] == {}


def test_a_column_of_the_file_declares_once(tmp_path: Path) -> None:
    rows = [{**row, "box_format": form} for row, form in zip(_YYXX, ("yyxx", "YYXX", None))]  # noqa: B905
    assert not read_claims(_file(tmp_path, rows), box_unit="pixel").convention.assumed
    rows[1]["box_format"] = "xyxy"
    with pytest.raises(ColumnError, match=r'"box_format" holds several values: "yyxx" in 1 rows'):
        read_claims(_file(tmp_path, rows))
    assert read_claims(_file(tmp_path, rows), box_format="yyxx").convention.format == "yyxx"
    rows = [{**row, "box_unit": "inches"} for row in _YYXX]
    with pytest.raises(InputError, match='"inches" is not known; valid: pixel, fraction, thous'):
        read_claims(_file(tmp_path, rows))


def test_one_half_declared_leaves_the_other_to_the_numbers() -> None:
    boxes = [_written(box, "yxyx", "thousandth") for box in _corners(50)]
    assert _choose(boxes, format="yxyx").convention.unit == "thousandth"
    boxes = [_written(box, "xywh", "fraction") for box in _corners(50)]
    assert _choose(boxes, unit="fraction").convention.format == "xywh"


def test_declared_boxes_that_do_not_fit_are_counted_and_named() -> None:
    found = verify(_YYXX, box_format="xyxy", box_unit="pixel")
    assert found.manifest["box_misfits"] == {"degenerate_box": 1, "box_outside_image": 2}
    assert len(found.faults) == 3
    assert "1 degenerate_box, 2 box_outside_image" in found.notes[1]


def test_fit_says_how_it_read_the_boxes(tmp_path: Path) -> None:
    rows = [
        {**_CLAIM, "image": f"{number}", "label": number % 2,
         "subject_box": [30, 100, 10, 90 + number % 7], "object_box": [60, 140, 300, 400]}
        for number in range(200)
    ]  # fmt: skip
    _, report = fit(_file(tmp_path, rows))
    assert report["notes"][0].startswith("boxes are read as yyxx in pixels")
