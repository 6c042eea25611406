"""What docs/architecture.md says of adding things, done to a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "spatialtrust"
CLAIMS = [
    {"caption": f"The mug is {wording} the kettle.", "subject_box": [0.3, y, 0.1, 0.1],
     "object_box": [0.7, 0.5, 0.2, 0.2]}
    for wording in ("left of", "above", "on", "inside", "touching", "far from", "facing")
    for y in (0.2, 0.45, 0.7)
]  # fmt: skip

VERIFY = f"""
import json
from spatialtrust import verify
found = verify({CLAIMS!r}, explain=True).verdicts
print(json.dumps(found.data.select(["p_true", "decision", "explanation"]).to_pylist()))
"""


class Copy:
    """A copy of the package that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        heavy = shutil.ignore_patterns("checkpoints", "__pycache__")
        shutil.copytree(PACKAGE, folder / "spatialtrust", ignore=heavy)
        checkpoints = Path("backends/tabletop/checkpoints")
        (folder / "spatialtrust" / checkpoints).symlink_to(PACKAGE / checkpoints)

    def edit(self, file: str, before: str, added: str) -> None:
        """Put a line in front of another."""
        path = self.folder / "spatialtrust" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{file}: {before!r}"
        path.write_text(text.replace(before, added + before), encoding="utf-8")

    def run(self, code: str) -> Any:
        """What a script prints, as JSON."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Verdicts of the package as it is."""
    return Copy(tmp_path_factory.mktemp("before")).run(VERIFY)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


RELATION = '    _directed("vertical", "y", -1, "hovering over", "under", "floating above"),\n'

USE_RELATION = """
import json
import numpy as np
from spatialtrust import TrustModel, verify
from spatialtrust.evidence.gathering import collect
from spatialtrust.io.claim_files import claims_from_rows
from spatialtrust.io.rows import RawRows

rng = np.random.default_rng(0)
rows = []
for place in range(1600):
    low, high = rng.uniform(0.1, 0.9, 2)
    word = ("hovering over", "left of")[place % 2]
    rows.append({"image": f"{place}.jpg", "subject": "drone", "relation": word, "object": "table",
                 "subject_box": [0.3, low, 0.1, 0.1], "object_box": [0.6, high, 0.2, 0.1],
                 "label": int(low < high) if place % 2 == 0 else int(rng.random() < 0.9)})
given = {k: v for k, v in rows[0].items() if k != "relation"}
given = {**given, "caption": "The drone is floating above the table."}
shipped = verify([given]).verdicts.data.to_pylist()[0]
file = claims_from_rows(RawRows.from_records(rows, "rows"))
features = collect(file.claims, file.grounding)
label = np.array([row["label"] for row in rows])
images = np.array([row["image"] for row in rows])
fresh = TrustModel.fit(features, label, images, calibrated_on="drones")
fresh.save("fresh.json")
over = np.arange(1600) % 2 == 0
p_true = TrustModel.load("fresh.json").predict(features).p_true[over]
print(json.dumps({"relation": shipped["relation"], "p_true": shipped["p_true"],
                  "decision": shipped["decision"], "reasons": shipped["reasons"],
                  "right": float(((p_true > 0.5) == (label[over] == 1)).mean())}))
"""


def test_a_relation_is_one_line_and_stored_models_keep_working(copy: Copy, before: Any) -> None:
    copy.edit("relations.py", '    _directed("vertical", "y", +1, "under", "over"', RELATION)
    assert copy.run(VERIFY) == before
    found = copy.run(USE_RELATION)
    assert found["relation"] == "hovering over"
    assert found["p_true"] is None or found["p_true"] != found["p_true"]
    assert found["decision"] == "abstain"
    assert "relation_unknown" in found["reasons"]
    assert found["right"] > 0.85, "a model fitted with it judges it"


def test_a_stored_model_is_refused_where_a_relation_is_gone_or_read_otherwise(copy: Copy) -> None:
    load = """
import json
from spatialtrust import SpatialTrustError, TrustModel
try:
    TrustModel.load()
    print(json.dumps(""))
except SpatialTrustError as error:
    print(json.dumps(str(error)))
"""
    path = copy.folder / "spatialtrust" / "relations.py"
    text = path.read_text(encoding="utf-8")
    line = '    _plain("path", "past", None, None, checkable_in_2d=False, kind="behind"),\n'
    assert line in text
    path.write_text(text.replace(line, ""), encoding="utf-8")
    assert 'the relation "past", which this version does not have' in copy.run(load)
    path.write_text(text.replace(line, line.replace("behind", "near")), encoding="utf-8")
    assert "relations that this version reads otherwise" in copy.run(load)
    path.write_text(text, encoding="utf-8")
    assert copy.run(load) == ""


def test_a_feature_is_its_name_and_its_measurement(copy: Copy, before: Any) -> None:
    copy.edit("evidence/columns.py", '    "inset": "overlap",\n', '    "tops": "position",\n')
    copy.edit(
        "evidence/from_boxes.py",
        '    put("first_top", first.columns[1])\n',
        '    put("tops", first.columns[1] - second.columns[1])\n',
    )
    assert copy.run(VERIFY) == before
    refit = USE_RELATION.replace("hovering over", "above").replace("floating above", "above")
    code = refit[: refit.index("over = np.arange")] + (
        "print(json.dumps([list(fresh.layers.regressions.expansion.features),\n"
        "                  fresh.explain(features)[0]]))"
    )
    features, said = copy.run(code)
    assert "tops" in features
    assert said.startswith("P(true)")


def test_a_reason_goes_to_the_end_and_stored_masks_keep_their_meaning(copy: Copy) -> None:
    code = """
import json
from spatialtrust.reasons import CODES, bit, prose
print(json.dumps([{code: bit(code) for code in CODES}, prose(bit(CODES[-1]))]))
"""
    bits, _ = copy.run(code)
    copy.edit("reasons.py", '    }\n)  # fmt: skip\n"""Code to prose', '        "fog": "fog",\n')
    grown, said = copy.run(code)
    assert {name: grown[name] for name in bits} == bits
    assert grown["fog"] == 2 * max(bits.values())
    assert said == "fog"


STAGE = '''
"""Counts claims."""

from dataclasses import dataclass

import pyarrow as pa

from spatialtrust.run.batches import nest, unnest


@dataclass
class Count:
    writes = "counts"
    reads = ("images", "claims")
    may_read = ()
    costly = False
    loads_model = False
    gpus = 0

    def settings(self):
        return {}

    def __call__(self, batch):
        owners = unnest(batch, "claims")["image_id"].to_pylist()
        ids = batch["image_id"].to_pylist()
        rows = {"image_id": ids, "count": [owners.count(name) for name in ids]}
        return nest(batch, self.writes, pa.table(rows))
'''


def test_a_stage_is_a_class_its_step_and_its_place(copy: Copy) -> None:
    (copy.folder / "spatialtrust" / "run" / "stages" / "counting.py").write_text(STAGE)
    copy.edit("run/plan.py", '"gather", "fuse", "decide", "link")', '"count", ')
    copy.edit(
        "run/plan.py",
        "    def gather(self) -> list[Stage]:\n",
        "    def count(self) -> list[Stage]:\n"
        "        from spatialtrust.run.stages.counting import Count\n\n"
        "        return [Count()]\n\n",
    )
    scenes = ROOT / "data" / "still_lifes"
    code = f"""
import json
from spatialtrust.io.parquet import read_table
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare
config = RunConfig(detector="recorded:{scenes / "boxes.json"}", overlays=False)
execute(prepare(config, "run", [{str(scenes)!r}]))
print(json.dumps([read_table("run/counts").num_rows, read_table("run/scenes").num_rows]))
"""
    assert copy.run(code) == [4, 4]


BACKEND = '''
"""A VLM that says yes to everything."""

from spatialtrust.tables import Answers


class Nodding:
    needs_pixels = False
    revision = "1"

    def __init__(self, reference):
        self.reference = reference

    def ask(self, images, claims, *, views=("plain",), forms=("claim",), prompts=("default",),
            grounding=None):
        return Answers.from_rows(
            {"claim_id": name, "model": self.reference, "view": view, "form": form,
             "prompt_id": prompt, "answer": "yes", "p_yes": 0.9, "status": "ok"}
            for name in claims.strings("claim_id")
            for view in views for form in forms for prompt in prompts)


def open_backend(target, reference, options):
    return Nodding(reference)
'''


def test_a_backend_is_a_class_and_an_entry_point(tmp_path: Path) -> None:
    (tmp_path / "nodding.py").write_text(BACKEND)
    info = tmp_path / "nodding-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nodding\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[spatialtrust.backends]\nnodding = nodding:open_backend\n"
    )
    scenes = ROOT / "data" / "still_lifes"
    command = (
        f"graph {scenes} --detections {scenes / 'boxes.json'} --asker nodding:one --no-overlays "
        f"--out {tmp_path / 'run'}"
    )
    code = "import sys\nfrom spatialtrust.cli import main\nsys.argv[0] = 'spatialtrust'\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"]["answers"] == found["rows"]["claims"] > 0
