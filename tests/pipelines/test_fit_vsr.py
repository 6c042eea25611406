"""The files that VSR and COCO publish become statements with boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.helpers.scripts import load

fit_vsr = load("fit_vsr")


def test_public_files_give_each_statement_its_two_boxes(tmp_path: Path) -> None:
    coco = tmp_path / "instances.json"
    boxes = [(1, 1, [0, 0, 50, 40]), (1, 2, [60, 0, 40, 40]), (2, 1, [0, 0, 9, 9]),
             (2, 2, [5, 5, 9, 9]), (2, 2, [1, 1, 9, 9])]  # fmt: skip
    coco.write_text(
        json.dumps(
            {
                "images": [
                    {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
                    {"id": 2, "file_name": "b.jpg", "width": 100, "height": 80},
                ],
                "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "hot dog"}],
                "annotations": [
                    {"image_id": image, "category_id": category, "bbox": box}
                    for image, category, box in boxes
                ],
            }
        )
    )
    said = tmp_path / "train.jsonl"
    captions = [("a.jpg", "The cat is left of the hot dog.", 1),
                ("a.jpg", "The hot dog is above the bus.", 0),
                ("b.jpg", "The cat is near the hot dog.", 1)]  # fmt: skip
    said.write_text(
        "\n".join(
            json.dumps({"image": image, "caption": caption, "label": label, "relation": "-"})
            for image, caption, label in captions
        )
    )
    file = fit_vsr.read([said], [coco])
    assert file.claims.strings("image_id") == ["a.jpg"], "no bus, and two hot dogs"
    assert file.claims.strings("relation") == ["left of"]
    assert file.claims.numbers("label").tolist() == [1]
    np.testing.assert_allclose(file.grounding.subject_box, [[0, 0, 50, 40]])
    np.testing.assert_allclose(file.grounding.object_box, [[60, 0, 100, 40]])
    np.testing.assert_allclose(file.grounding.image_size, [[100, 80]])
