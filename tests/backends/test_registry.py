"""Reference strings: what they open, and what they say when there is nothing to open."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from spatialtrust.backends import bundles, registry
from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker, open_detector, open_embedder
from spatialtrust.cli import backends as cli_backends
from spatialtrust.errors import BackendError, InputError


def test_a_folder_opens_by_the_kind_that_names_it(checkpoint, pictures, claims):
    clip = open_asker(f"clip:{checkpoint('clip')}", Options(device="cpu"))
    assert set(clip.ask(pictures, claims).strings("status")) == {"ok"}
    assert clip.reference == f"clip:{checkpoint('clip')}"
    found = open_detector(f"grounding-dino:{checkpoint('grounding-dino')}", Options(device="cpu"))
    assert found.needs_pixels
    embedder = open_embedder(f"clip:{checkpoint('clip')}", Options(device="cpu"))
    assert embedder.embed_texts(["a mug"]).shape == (1, 24)


@pytest.mark.parametrize(
    ("opener", "reference", "expected"),
    [
        (open_asker, "clip", "names no model"),
        (open_asker, "clpi:x/y", 'did you mean "clip"'),
        (open_asker, "tabletop:owl", "tabletop:blip2"),
        (open_asker, "grounding-dino:{folder}", "is no asker; it can be used as detector"),
        (open_detector, "clip:{clip}", "is no detector; it can be used as asker and embedder"),
        (open_embedder, "recorded:a.parquet", "is no embedder"),
    ],
)
def test_a_wrong_reference_says_what_is_valid(checkpoint, opener, reference, expected):
    given = reference.format(folder=checkpoint("grounding-dino"), clip=checkpoint("clip"))
    with pytest.raises(InputError, match=expected):
        opener(given)


def test_a_missing_model_names_the_command_that_fetches_it():
    with pytest.raises(BackendError, match="spatialtrust backends fetch blip2:no/model --to"):
        open_asker("blip2:no/model")


def test_a_missing_model_is_noticed_before_anything_heavy_is_imported():
    script = (
        "import sys\n"
        "from spatialtrust.backends.registry import open_asker\n"
        "from spatialtrust.errors import BackendError\n"
        "try:\n    open_asker('clip:no/model')\nexcept BackendError:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'xgboost') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_folder_with_another_architecture_or_without_safetensors_is_refused(checkpoint, tmp_path):
    with pytest.raises(BackendError, match=r"model of type 'clip'; valid here: blip-2"):
        open_asker(f"blip2:{checkpoint('clip')}")
    with pytest.raises(BackendError, match=r"config\.json"):
        open_asker(f"clip:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(BackendError, match=r"holds no \*\.safetensors"):
        open_asker(f"clip:{tmp_path}")


def test_an_unknown_device_or_dtype_is_refused(checkpoint):
    for options in (Options(device="warp:1"), Options(device="cpu", dtype="int3")):
        with pytest.raises(BackendError, match="valid: auto"):
            open_embedder(f"clip:{checkpoint('clip')}", options).embed_texts(["mug"])


def test_tabletop_references_open_the_embedded_checkpoints(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "TABLETOP", tmp_path)
    for name, kind in (("clip", "clip"), ("blip2", "opt"), ("grounding-dino", "grounding-dino")):
        shutil.copytree(checkpoint(kind), tmp_path / name)
    assert open_asker("tabletop").reference == "tabletop:blip2"
    assert open_asker("tabletop:clip").reference == "tabletop:clip"
    assert open_detector("tabletop").reference == "tabletop:grounding-dino"
    assert open_embedder("tabletop").reference == "tabletop:clip"
    shutil.rmtree(tmp_path / "clip")
    with pytest.raises(BackendError, match="not in this installation"):
        open_asker("tabletop:clip")


def test_other_packages_add_kinds_through_the_entry_point_group(monkeypatch):
    entry = EntryPoint("echo", "tests.backends.test_registry:open_echo", registry.GROUP)
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group, name=None: [entry] if name in (None, "echo") else [],
    )
    assert open_asker("echo:hello").said == "hello"
    assert "echo" in registry.kinds()


class Echo:
    needs_pixels, reference, revision = False, "echo:hello", None

    def __init__(self, said):
        self.said = said

    def ask(self):
        pass


def open_echo(target, reference, options):
    return Echo(target)


def test_fetch_writes_a_folder_that_works_offline(checkpoint, tmp_path, monkeypatch):
    def download(name, revision, to):
        shutil.copytree(checkpoint("clip"), to)
        return "0" * 40

    monkeypatch.setattr(bundles, "_download", download)
    manifest = bundles.fetch("clip:owner/name", tmp_path / "clip")
    assert manifest["revision"] == "0" * 40
    assert "model.safetensors" in manifest["files"]
    asker = open_asker(f"clip:{tmp_path / 'clip'}", Options(device="cpu"))
    assert asker.revision == "0" * 40
    (tmp_path / "clip" / bundles.MANIFEST).write_text("{")
    with pytest.raises(BackendError, match="fetch the model again"):
        open_asker(f"clip:{tmp_path / 'clip'}")


def test_fetch_refuses_what_it_cannot_fetch(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="KIND:OWNER/NAME"):
        bundles.fetch("clip", tmp_path)
    monkeypatch.setattr(bundles, "_download", lambda name, revision, to: "1" * 40)
    with pytest.raises(BackendError, match=r"no \*\.safetensors under revision 1111"):
        bundles.fetch("clip:owner/name", tmp_path)


def test_without_a_network_fetch_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match="could not be fetched"):
        bundles.fetch("clip:owner/no-such-model", tmp_path)


def test_the_revision_of_a_folder_changes_with_its_weights(checkpoint, tmp_path):
    shutil.copytree(checkpoint("clip"), tmp_path / "copy")
    before = bundles.content_hash(tmp_path / "copy")
    assert before == bundles.content_hash(checkpoint("clip"))
    weights = tmp_path / "copy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert bundles.content_hash(tmp_path / "copy") != before


def test_the_catalogue_lists_licence_size_and_status(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "TABLETOP", tmp_path)
    shutil.copytree(checkpoint("clip"), tmp_path / "clip")
    rows = {row["reference"]: row for row in bundles.catalogue()}
    assert {row["role"] for row in rows.values()} == {"asker", "detector"}
    assert all(row["licence"] for row in rows.values())
    assert all(name.partition(":")[0] in registry.kinds() for name in rows)
    assert rows["tabletop:clip"]["status"] == f"here: {tmp_path / 'clip'}"
    assert 0.1 < rows["tabletop:clip"]["megabytes"] < 1
    assert rows["tabletop:blip2"]["status"] == "not in this installation"
    monkeypatch.setenv("SPATIALTRUST_LAVIS_PYTHON", sys.executable)
    lavis = "lavis:blip2_opt/pretrain_opt2.7b"
    found = {row["reference"]: row["status"] for row in bundles.catalogue()}
    assert found[lavis].startswith(f"installed: {sys.executable}")
    monkeypatch.delenv("SPATIALTRUST_LAVIS_PYTHON")
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "nothing"))
    found = {row["reference"]: row["status"] for row in bundles.catalogue()}
    assert found[lavis] == "not installed: spatialtrust backends install lavis"
    (original,) = (status for name, status in found.items() if name.startswith("groundingdino-py"))
    assert "installed: " in original
    big = rows["blip2:Salesforce/blip2-opt-2.7b"]
    assert big["megabytes"] == 4 * big["parameters_millions"]


def test_the_command_line_prints_json_and_says_how_to_use_what_it_fetched(
    checkpoint, tmp_path, monkeypatch
):
    def download(name, revision, to):
        shutil.copytree(checkpoint("clip"), to)
        return "2" * 40

    monkeypatch.setattr(bundles, "_download", download)
    app = typer.Typer()
    app.command("list")(cli_backends.list_backends)
    app.command("fetch")(cli_backends.fetch)
    listed = CliRunner().invoke(app, ["list"])
    assert "clip" in json.loads(listed.stdout)["kinds"]
    place = str(tmp_path / "new")
    fetched = CliRunner().invoke(app, ["fetch", "clip:owner/name", "--to", place])
    assert json.loads(fetched.stdout)["revision"] == "2" * 40
    assert f"use it as clip:{place}" in fetched.stderr


def test_the_same_seed_and_files_give_the_same_answers(checkpoint, pictures, claims):
    first, second = (
        open_asker(f"clip:{checkpoint('clip')}", Options(device="cpu")).ask(pictures, claims)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.numbers("p_yes"), second.numbers("p_yes"))
