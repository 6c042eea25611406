"""Result files of other tools, to the layouts that these publish; the answers are made up."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

FAILED = "Failed to obtain answer via API."


def questions(count: int = 60) -> list[dict[str, Any]]:
    """VLMEvalKit's rows of a benchmark of two categories; one reply failed, one says nothing."""
    generator = np.random.default_rng(3)
    rows = []
    for number in range(count):
        truth = "AB"[number % 2]
        right = generator.random() < 0.7
        said = truth if right else "BA"[number % 2]
        rows.append(
            {
                "index": number, "question": f"Which is nearer, mug {number} or cup {number}?",
                "A": f"mug {number}", "B": f"cup {number}", "answer": truth,
                "category": ("location_above", "height_higher")[number % 3 == 0],
                "image_path": f"{number // 2}.jpg", "prediction": f"The answer is {said}.",
            }
        )  # fmt: skip
    rows[5]["prediction"] = FAILED
    rows[6]["prediction"] = "Both look alike."
    rows[7]["prediction"] = None
    return rows


def xlsx(path: Path, rows: list[dict[str, Any]], merge: str | None = None) -> Path:
    """A spreadsheet as pandas writes one."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    names = list(dict.fromkeys(name for row in rows for name in row))
    sheet.append(names)
    for row in rows:
        sheet.append([row.get(name) for name in names])
    if merge:
        sheet.merge_cells(merge)
    book.save(path)
    return path


def tsv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Tab-separated, as VLMEvalKit dumps a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def embspatial(count: int = 60) -> list[dict[str, Any]]:
    """Samples of lmms-eval with a metric that is a dictionary."""
    generator = np.random.default_rng(4)
    rows = []
    for number in range(count):
        right = bool(generator.random() < 0.6)
        said = "A" if right else "B"
        relation = ("left", "above", "close")[number % 3]
        entry = {"id": f"mp3d_{number}", "gt_content": "A", "pred": said, "sub_task": relation,
                 "is_correct": right}  # fmt: skip
        rows.append(
            {"doc_id": number, "target": "0", "filtered_resps": ["A" if right else "B"],
             "doc_hash": "0" * 64, "input": "...", "embspatial_acc": entry, "mp3d_accuracy": entry}
        )  # fmt: skip
    return rows


def circular(count: int = 30) -> list[dict[str, Any]]:
    """3DSRBench in VLMEvalKit: each question twice with turned options, and mirrored."""
    generator = np.random.default_rng(5)
    rows = []
    for number in range(count):
        for place, variant in enumerate(("", "-1", "-flip", "-flip-1")):
            options = ["mug", "cup"] if variant in ("", "-flip") else ["cup", "mug"]
            truth = "AB"[options.index("mug" if "flip" not in variant else "cup")]
            right = generator.random() < (0.95 if number % 2 else 0.5)
            said = truth if right else "AB"[truth == "A"]
            rows.append(
                {"index": number * 4 + place, "qid": f"VIN{number:05d}{variant}",
                 "question": "Which is nearer?", "A": options[0], "B": options[1], "answer": truth,
                 "category": "location_closer_to_camera", "prediction": said, "hit": int(right)}
            )  # fmt: skip
    return rows


def pope(count: int = 60) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """POPE's questions with labels, and a model's answers."""
    asked, answers = [], []
    for number in range(count):
        label = ("yes", "no")[number % 2]
        asked.append({"question_id": number, "image": f"COCO_{number // 6}.jpg",
                      "text": f"Is mug {number} in the image?", "label": label})  # fmt: skip
        said = {0: "Yes, there is.", 1: "No."}[number % 2 if number % 5 else 0]
        answers.append({"question_id": number, "prompt": asked[-1]["text"], "text": said,
                        "model_id": "vlm", "metadata": {}})  # fmt: skip
    return asked, answers


def whatsup(count: int = 40) -> list[dict[str, Any]]:
    """What'sUp's rows with a model's scores of the four captions."""
    generator = np.random.default_rng(6)
    rows = []
    for number in range(count):
        words = ["left of", "right of", "on", "under"]
        right = words[number % 4]
        captions = [f"A mug to the {w} a chair" if w.endswith("of") else f"A mug {w} a chair"
                    for w in [right, *(w for w in words if w != right)]]  # fmt: skip
        scores = generator.normal(size=4) + np.array([1.0, 0, 0, 0])
        rows.append({"image_path": f"data/controlled_images/mug_{number}.jpeg",
                     "caption_options": captions, "scores": scores.tolist()})  # fmt: skip
    return rows
