"""The calibration of enumerated pairs is fitted again from files, to the same numbers."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np

from spatialtrust.fusion.pairs import PairCalibration
from tests.helpers.scripts import load

fit_pairs = load("fit_pairs")

BOXES = [
    {"category": "cup", "bbox_xywh": [20, 20, 10, 14]},
    {"category": "cup", "bbox_xywh": [60, 22, 8, 12]},
    {"category": "dining table", "bbox_xywh": [5, 30, 90, 50]},
]
CLAIMS = [
    ("cup#0", "on", "dining table#0", "true"),
    ("cup#0", "left of", "cup#1", "true"),
    ("cup#1", "left of", "cup#0", "false"),
    ("dining table#0", "on", "cup#1", "debatable"),
]


def files(folder, images=4):
    annotations, judged = folder / "annotations.json", folder / "judged.csv"
    known = [
        {"file_name": f"{place}.jpg", "width": 100, "height": 90, "boxes": BOXES}
        for place in range(images)
    ]
    annotations.write_text(json.dumps(known))
    with judged.open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["image", "subject_id", "relation", "object_id", "judged"])
        table.writerows((image["file_name"], *claim) for image in known for claim in CLAIMS)
    return annotations, judged


def test_the_same_files_give_the_same_calibration(tmp_path, monkeypatch, capsys):
    annotations, judged = files(tmp_path)
    written = []
    for name in ("a.json", "b.json"):
        out = tmp_path / name
        given = ["fit_pairs", str(annotations), str(judged), "--scenes", "4", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", given)
        fit_pairs.main()
        written.append(json.loads(out.read_text()))
    assert written[0] == written[1]
    assert written[0]["images"] == 4
    fitted = PairCalibration.from_dict(written[0]["calibration"])
    assert {"on/rests", "beside/beside"} <= set(fitted.cells)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["relation"] for line in lines if "relation" in line} == {"all", "on", "left of"}


def test_names_are_ranked_by_size_and_the_last_judgement_counts(tmp_path):
    annotations, judged = files(tmp_path, images=1)
    again = tmp_path / "again.csv"
    again.write_text(
        "image,subject_id,relation,object_id,judged,subject_box,object_box\n"
        '0.jpg,cup#0,on,dining table#0,false,"[1, 2, 3, 4]","[5, 6, 7, 8]"\n'
    )
    rows = fit_pairs.judged(annotations, [judged, again])
    assert len(rows) == len(CLAIMS)
    assert rows[0]["judged"] == "false"
    assert rows[0]["boxes"] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert rows[1]["boxes"] == [[20, 20, 30, 34], [60, 22, 68, 34]]


def test_what_was_judged_twice_counts_once(tmp_path):
    annotations, judged = files(tmp_path, images=1)
    rows = fit_pairs.judged(annotations, [judged])
    p_true, relation, readings = fit_pairs.examined(rows)
    cells = fit_pairs.cells_of(relation, readings)
    both = fit_pairs.once(rows, fit_pairs.judged_of(p_true, cells, np.ones(len(rows))))
    alike = [r["relation"] == "left of" for r in rows]
    assert both.weight[alike].tolist() == [0.5, 0.5]
