"""Make `claims.jsonl`: labelled claims about rendered scenes with known truth.

    python data/make_claims.py

Ten claims a scene, five true and five false, drawn at random from all that have a truth.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from spatialtrust.backends.tabletop import write_dataset
from spatialtrust.language import sentence

SCENES = 40
SEED = 2026
KEPT = ("image", "subject", "relation", "object", "subject_box", "object_box", "width", "height")


def main() -> None:
    """Write the file beside this script."""
    rng = np.random.default_rng(SEED)
    with TemporaryDirectory() as folder:
        write_dataset(folder, SCENES, seed=SEED, difficulty="clean")
        lines = (Path(folder) / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    by_image: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        if row["label"] is not None and not row["ambiguous"]:
            by_image.setdefault(row["image"], []).append(row)
    chosen = []
    for listed in by_image.values():
        for label in (1, 0):
            of_label = [row for row in listed if row["label"] == label]
            picked = rng.choice(len(of_label), size=min(5, len(of_label)), replace=False)
            chosen += [of_label[place] for place in sorted(picked)]
    with (Path(__file__).parent / "claims.jsonl").open("w", encoding="utf-8") as out:
        for row in chosen:
            caption = sentence(str(row["subject"]), str(row["relation"]), str(row["object"]))
            kept = {name: row[name] for name in KEPT}
            out.write(json.dumps({"caption": caption, **kept, "label": row["label"]}) + "\n")


if __name__ == "__main__":
    main()
