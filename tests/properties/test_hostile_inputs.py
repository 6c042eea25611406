"""Inputs that once crashed, hung, overwrote or silently changed a run: each is refused or counted.

A case a test, its input made here; the command runs in a process of its own where it could take
this one with it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spatialtrust import verify
from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.fusion.model import TrustModel
from spatialtrust.graph.files import load_graph
from spatialtrust.io.detections import read_detections
from spatialtrust.io.images import decode, find_images, read_header, read_image
from spatialtrust.io.rows import read_rows
from spatialtrust.limits import check_environment
from spatialtrust.run.config import RunConfig
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import STAGES, execute, prepare
from tests.conftest import ROOT
from tests.helpers.fuzzing import CORPUS, READERS, outcome
from tests.helpers.runs import copies, settings

CLAIM = {
    "caption": "The mug is left of the kettle.",
    "subject_box": [0.2, 0.5, 0.1, 0.1],
    "object_box": [0.8, 0.5, 0.2, 0.3],
}
DEEP = "[" * 20_000 + "]" * 20_000
LIFES = ROOT / "data" / "still_lifes"


def program(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def graphs(images: Path, boxes: Any, out: Path, **options: Any) -> dict[str, Any]:
    """A run over a folder of images with these recorded boxes."""
    file = out.with_suffix(".boxes.json")
    file.write_text(json.dumps(boxes))
    return execute(prepare(settings(file, **options), out, [images]))


def boxes_of(*names: str) -> list[dict[str, Any]]:
    two = [("mug", [100, 100, 60, 60]), ("kettle", [300, 120, 80, 80])]
    boxes = [{"category": phrase, "bbox_xywh": box} for phrase, box in two]
    return [{"file_name": name, "boxes": boxes} for name in names]


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LIFES / "shelf.jpg", path / name)
    return path


def scenes(run: Path) -> dict[str, dict[str, Any]]:
    return {row["image_id"]: row for row in pq.read_table(run / "scenes").to_pylist()}


def test_01_a_line_nested_deep_is_one_unreadable_row_and_the_others_are_judged(tmp_path) -> None:
    bad = json.dumps(CLAIM)[:-1] + f', "x": {DEEP}}}'
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join([json.dumps(CLAIM), bad, json.dumps(CLAIM)]))
    found = verify(file)
    assert [str(reasons) for reasons in found.verdicts.data["reasons"].to_pylist()][1].count(
        "row_unreadable"
    )
    assert found.verdicts.strings("decision") == ["accept", "abstain", "accept"]


def test_02_deep_json_and_toml_are_refused_wherever_they_are_read(tmp_path) -> None:
    file, config = tmp_path / "a.json", tmp_path / "c.toml"
    file.write_text(DEEP)
    config.write_text(f"objects = {DEEP}")
    (tmp_path / "run").mkdir()
    shutil.copy(file, tmp_path / "run" / "manifest.json")
    began = time.process_time()
    for read in (read_detections, TrustModel.load, load_graph, read_rows):
        with pytest.raises(InputError):
            read(file)
    with pytest.raises(FileError, match="nested"):
        RunConfig.load(config)
    with pytest.raises(FileError, match="not a manifest"):
        RunFolder(tmp_path / "run").__enter__()
    assert time.process_time() - began < 5


def test_03_a_number_of_400_digits_costs_its_box_and_is_no_setting(tmp_path) -> None:
    digits = "9" * 400
    file, config = tmp_path / "a.json", tmp_path / "c.toml"
    sound = {"category": "n", "bbox_xywh": [1, 2, 3, 4]}
    listed = [{"category": "m", "bbox_xywh": [0, 1, 2, 3]}, sound]
    text = json.dumps([{"file_name": "a.jpg", "boxes": listed}])
    file.write_text(text.replace("[0,", f"[{digits},"))
    found = read_detections(file)
    assert found.boxes["phrase"].to_pylist() == ["n"]
    assert len(found.faults) == 1
    config.write_text(f"min_confidence = {digits}")
    with pytest.raises(InputError, match="min_confidence"):
        RunConfig.load(config)


@pytest.mark.parametrize("twice", ["caption", "x"])
def test_05_two_columns_of_one_name_are_refused(tmp_path, twice: str) -> None:
    file = tmp_path / "a.csv"
    boxes = '"[0.2,0.5,0.1,0.1]","[0.8,0.5,0.2,0.3]"'
    header = f"caption,subject_box,object_box,x,{twice}"
    file.write_text(f"{header}\nThe mug is on the table.,{boxes},1,2\n")
    with pytest.raises(ColumnError, match=f'"{twice}" stands there twice'):
        verify(file)
    table = pa.table([pa.array(["a"]), pa.array([1.0]), pa.array([2.0])], names=["a", "x1", "x1"])
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(ColumnError, match="x1"):
        read_detections(tmp_path / "d.parquet")


def test_06_a_whole_number_beyond_2_53_costs_its_row_alone(tmp_path) -> None:
    rows = [{**CLAIM, "subject_box": [2**53 + 1, 5, 2, 3]}, CLAIM]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = verify(file, box_format="cxcywh", box_unit="fraction")
    assert found.verdicts.strings("decision") == ["abstain", "accept"]


@pytest.mark.parametrize("name", ["image", "caption", "width", "label", "claim_id"])
def test_07_bytes_that_are_no_text_are_refused_by_column(tmp_path, name: str) -> None:
    table = pa.Table.from_pylist([CLAIM]).append_column(f"{name}_", pa.array([b"\xff"]))
    table = table.drop_columns([name]) if name in table.column_names else table
    table = table.rename_columns([c.removesuffix("_") for c in table.column_names])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ColumnError, match=name):
        verify(tmp_path / "a.parquet")


def test_09_label_files_in_another_encoding_are_read_as_it(tmp_path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"m\xfcg\n")
    (tmp_path / "a.txt").write_bytes(b"0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1 \xff\n")
    found = read_detections(tmp_path)
    assert found.boxes["phrase"].to_pylist() == ["m\u00fcg"]
    assert len(found.faults) == 1


def test_10_a_file_name_that_is_no_text_is_an_image_like_others(tmp_path) -> None:
    images = folder_of(tmp_path / "i", "a.jpg")
    shutil.copy(images / "a.jpg", os.fsencode(images) + b"/caf\xe9.jpg")
    graphs(images, boxes_of("a.jpg"), tmp_path / "r", overlays=True)
    assert {row["status"] for row in scenes(tmp_path / "r").values()} == {"ok"}
    from spatialtrust.classify.labelled_images import labelled_images

    assert [item.image_id for item in labelled_images(images)] == ["a.jpg", "caf\ufffd.jpg"]


def test_11_and_12_are_about_words_and_stand_with_them() -> None:
    from spatialtrust.language import parse_claims
    from spatialtrust.replies import parse_answers

    negated = ["The mug isn\u2019t left of the kettle.", "No mug is left of the kettle."]
    assert parse_claims(negated).to_pylist() == [None, None]
    said = parse_answers(["Not sure.", "N/A", "0.93", "Yes/No", "1. No"]).to_pylist()
    assert said == ["unparsed"] * 5  # a refusal beats a guess, also of a numbered list


@pytest.mark.parametrize("ending", ["tif", "jpg", "png", "webp"])
def test_13_a_turned_image_has_one_size(tmp_path, ending: str) -> None:
    for tag in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = tag
        file = tmp_path / f"a{tag}.{ending}"
        Image.new("RGB", (64, 44)).save(file, exif=exif)
        header, pixels = read_header(file), read_image(file)
        assert (header.height, header.width) == pixels.shape[:2]
        assert (decode(file.read_bytes(), file) == pixels).all()


def test_14_and_15_names_that_are_long_or_meet_get_files_of_their_own(tmp_path) -> None:
    names = ("n" * 240 + ".jpg", "a.jpg", "a.jpg.json/b.jpg", "x.png", "x.png.jpg", "100%.jpg")
    images = folder_of(tmp_path / "i", *names)
    Image.open(images / "a.jpg").save(images / "x.png")
    for _ in range(2):
        graphs(images, boxes_of(*names), tmp_path / "r", overlays=True)
    assert {name: row["status"] for name, row in scenes(tmp_path / "r").items()} == dict.fromkeys(
        names, "ok"
    )
    pictures = [p for p in (tmp_path / "r" / "overlays").rglob("*") if p.is_file()]
    assert len(pictures) == len(names)
    assert len(list((tmp_path / "r" / "graphs").rglob("*.json"))) >= len(names)


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (1, 1), (70_000, 2)])
def test_17_an_image_of_any_shape_is_drawn_or_says_why_not(tmp_path, size) -> None:
    images = folder_of(tmp_path / "i", "shelf.jpg")
    Image.new("RGB", size, "blue").save(images / "wide.png")
    graphs(images, boxes_of("shelf.jpg", "wide.png"), tmp_path / "r", overlays=True)
    found = scenes(tmp_path / "r")
    assert found["shelf.jpg"]["status"] == "ok"
    assert found["wide.png"]["status"].startswith(("ok", "not drawn"))


def test_18_pictures_are_limited_by_what_they_decode_to(tmp_path) -> None:
    Image.fromarray(np.zeros((14_000, 14_000), np.uint8)).save(tmp_path / "p.png")
    assert read_header(tmp_path / "p.png").status.startswith("too_large")
    with pytest.raises(FileError, match="14000 x 14000"):
        read_image(tmp_path / "p.png")


def test_19_archives_are_limited_by_what_they_unpack_to(tmp_path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", 9) as file:
        for _ in range(64):
            file.write(b" " * (1 << 20))
    with pytest.raises(FileError, match="unpacks to more than 16,777,216 bytes"):
        read_rows(tmp_path / "a.jsonl.gz")


def test_20_and_21_time_goes_with_size_not_with_its_square(tmp_path) -> None:
    (tmp_path / "a.dot").write_text('digraph "a" {\n' + "\n" * 60_000 + "}\n")
    images = folder_of(tmp_path / "i", "a.jpg")
    began = time.process_time()
    with pytest.raises(InputError):
        load_graph(tmp_path / "a.dot")
    graphs(images, boxes_of("a/" * 30_000, "a.jpg"), tmp_path / "r")
    assert time.process_time() - began < 20


def test_23_a_crowd_and_long_names_are_drawn_in_time(tmp_path) -> None:
    images = folder_of(tmp_path / "i", "a.jpg")
    boxes = [
        {"category": f"m{n} " + "long " * 400, "bbox_xywh": [n % 600, n % 400, 9, 9]}
        for n in range(600)
    ]
    began = time.process_time()
    listed = [{"file_name": "a.jpg", "boxes": boxes}]
    graphs(images, listed, tmp_path / "r", overlays=True, max_objects=8)
    assert scenes(tmp_path / "r")["a.jpg"]["status"] == "ok"
    assert time.process_time() - began < 30


def test_25_a_changed_image_is_looked_at_again_and_so_is_an_unreadable_one(tmp_path) -> None:
    images = folder_of(tmp_path / "i", "a.jpg", "b.jpg")
    (images / "b.jpg").write_bytes(b"")
    graphs(images, boxes_of("a.jpg", "b.jpg"), tmp_path / "r", overlays=True)
    assert scenes(tmp_path / "r")["b.jpg"]["status"].startswith("unreadable")
    Image.open(LIFES / "shelf.jpg").resize((200, 900)).save(images / "a.jpg")
    shutil.copy(LIFES / "shelf.jpg", images / "b.jpg")
    graphs(images, boxes_of("a.jpg", "b.jpg"), tmp_path / "r", overlays=True)
    rows = {row["image_id"]: row for row in pq.read_table(tmp_path / "r" / "images").to_pylist()}
    assert (rows["a.jpg"]["width"], rows["a.jpg"]["height"]) == (200, 900)
    digest = hashlib.sha256((images / "a.jpg").read_bytes()).hexdigest()
    assert rows["a.jpg"]["sha256"] == digest
    assert {row["status"] for row in scenes(tmp_path / "r").values()} == {"ok"}


def test_26_parts_without_a_manifest_are_refused(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    execute(prepare(settings(boxes), tmp_path / "r", [images]))
    (tmp_path / "r" / "manifest.json").unlink()
    with pytest.raises(FileError, match="no manifest"):
        execute(prepare(settings(boxes, min_confidence=0.95), tmp_path / "r", [images]))


def test_27_a_folder_that_is_replaced_under_a_run_stops_it(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 8)

    def gone(done: int) -> None:
        if (tmp_path / "r").exists():
            (tmp_path / "r").rename(tmp_path / "gone")

    with pytest.raises(FileError, match=r"removed|replaced"):
        execute(prepare(settings(boxes, overlays=True), tmp_path / "r", [images]), progress=gone)
    assert not (tmp_path / "r").exists()


def test_29_recorded_answers_in_a_folder_that_changed_are_refused(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    execute(prepare(settings(boxes), tmp_path / "plain", [images]))
    claims = pq.read_table(tmp_path / "plain" / "claims")["claim_id"].to_pylist()
    answers = tmp_path / "answers"
    answers.mkdir()

    def say(word: str) -> None:
        told = {"claim_id": claims, "answer": [word] * len(claims)}
        pq.write_table(pa.table(told), answers / "part.parquet")

    def run() -> set[str]:
        config = settings(boxes, asker=f"recorded:{answers}")
        execute(prepare(config, tmp_path / "r", [images]))
        return set(pq.read_table(tmp_path / "r" / "answers")["answer"].to_pylist())

    say("yes")
    assert run() == run() == {"yes"}
    say("no")
    with pytest.raises(InputError, match="answers"):
        run()


def test_30_an_image_id_that_leads_out_of_the_folder_is_refused(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    run = tmp_path / "box" / "r"
    execute(prepare(settings(boxes), run, [images]))
    for name in ("images", "detections", "claims"):
        for file in (run / name).glob("*.parquet"):
            table = pq.read_table(file)
            ids = pa.array(["../../evil.jpg"] * len(table), pa.string())
            place = table.schema.get_field_index("image_id")
            pq.write_table(table.set_column(place, table.schema.field(place), ids), file)
    for file in (run / "scenes").glob("*.parquet"):
        file.unlink()
    with pytest.raises(InputError, match="no path below a folder"):
        execute(prepare(settings(boxes), run), STAGES[-1:])
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("left_children", [-5]), ("left_children", "x"), ("split_indices", [10**6]),
     ("right_children", [0]), ("split_conditions", [float("nan")]), ("default_left", [])],
)  # fmt: skip
def test_33_a_damaged_model_is_refused_before_anything_native_sees_it(
    tmp_path, name: str, value: Any
) -> None:
    model = json.loads((ROOT / "spatialtrust/fusion/models/vsr-boxes.json").read_text())
    booster = model["layers"]["box_trees"]["xgboost"]["learner"]["gradient_booster"]["model"]
    tree = booster["trees"][0]
    tree[name] = value if len(value) != 1 or isinstance(value, str) else [*value, *tree[name][1:]]
    (tmp_path / "m.json").write_text(json.dumps(model))
    with pytest.raises(FileError, match="is damaged"):
        TrustModel.load(tmp_path / "m.json")


def test_35_odd_boxes_are_faults_and_odd_scores_are_none(tmp_path) -> None:
    boxes = [
        {"category": "a", "bbox_xywh": "1234"},
        {"category": "b", "bbox_xywh": {"1": 1, "2": 2, "3": 3, "4": 4}},
        {"category": "c", "bbox_xywh": [1, 2, 3, 4], "score": 5},
        {"category": "d", "bbox_xywh": [1, 2, 3, 4], "score": 1e308},
    ]
    (tmp_path / "s.json").write_text(json.dumps([{"file_name": "a.jpg", "boxes": boxes}]))
    found = read_detections(tmp_path / "s.json")
    assert found.boxes["phrase"].to_pylist() == ["c", "d"]
    assert found.boxes["score"].null_count == 2
    assert len(found.faults) == 2


def test_41_a_full_disk_is_one_sentence_and_what_was_embedded_is_kept(tmp_path) -> None:
    """A limit on the size of files stands in for the disk."""
    code = """
import resource, signal, sys
from spatialtrust.classify.embedding_store import EmbeddingStore, Recipe
from spatialtrust.errors import FileError
import numpy as np
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with EmbeddingStore(sys.argv[1], Recipe("image", "toy", None, 1.0, "")) as store:
    store.append([b"a" * 32], np.ones((1, 64), np.float32))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    try:
        store.append([b"b" * 32], np.ones((1, 64), np.float32))
    except FileError as error:
        print(error)
with EmbeddingStore(sys.argv[1], store.recipe) as store:
    print(store.find([b"a" * 32, b"b" * 32]).tolist())
"""
    done = program(code, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    said, found = done.stdout.splitlines()
    assert "cannot be written" in said
    assert "what was embedded is kept" in said
    assert found == "[0, -1]"


def test_42_a_box_without_extent_changes_no_other_row(tmp_path) -> None:
    thin = {**CLAIM, "subject_box": [300, 200, 300.00001, 300], "object_box": [10, 10, 90, 90]}
    far = {**CLAIM, "subject_box": [1e19, 1, 2e19, 90], "object_box": [10, 10, 90, 90]}
    good = {**CLAIM, "subject_box": [10, 20, 110, 220], "object_box": [300, 20, 420, 200]}
    options = {"box_format": "xyxy", "box_unit": "pixel"}
    plain = verify([thin, far, good], **options).verdicts
    told = verify([thin, far, good], explain=True, **options).verdicts
    for name in ("p_true", "decision"):
        assert plain.data[name].to_pylist()[2] == told.data[name].to_pylist()[2]
    assert plain.strings("decision") == told.strings("decision")
    alone = verify([good], **options).verdicts.data["p_true"][0].as_py()
    assert plain.data["p_true"].to_pylist()[2] == pytest.approx(alone)


def test_38_numbers_at_the_ends_of_their_range() -> None:
    from spatialtrust.failure import energy, entropy, mcm
    from spatialtrust.failure.checks import unit_rows
    from spatialtrust.geometry import stability
    from spatialtrust.metrics import coverage_ceiling, ece

    assert np.isnan(coverage_ceiling(float("nan"), 0.8))
    for size in (1e30, 1e-30):
        row = unit_rows(np.array([[size, size]], dtype=np.float32), "x")
        np.testing.assert_allclose(row, np.sqrt([[0.5, 0.5]]), rtol=1e-6)
    logits = [[2.0, 1.0], [3.0, 3.0]]
    assert mcm(logits, temperature=1e-308).tolist() == [1.0, 0.5]
    assert energy(logits, temperature=1e-308).tolist() == [2.0, 3.0]
    np.testing.assert_allclose(entropy(logits, temperature=1e-308), [0, -np.log(2)])
    for jitter in (-1, 0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="jitter is"):
            stability([[0, 0, 2, 2]], [[0, 0, 2, 2]], "x", jitter)
    with pytest.raises(InputError, match=r"bins is 2\.5"):
        ece([0.1, 0.2], [0, 1], bins=2.5)


def test_a_list_that_begins_with_null_moves_no_value_of_other_rows(tmp_path) -> None:
    """Arrow's reader loses the null where the first list of a column begins with one."""
    box = CLAIM["subject_box"]
    rows = [{**CLAIM, "subject_box": [None, 54, 71]}, CLAIM, {**CLAIM, "subject_box": [None] * 4}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_rows(tmp_path / "a.jsonl").table["subject_box"].to_pylist()[1] == box


def test_a_variable_that_looks_like_a_limit_and_is_none_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("SPATIALTRUST_MOST_PIXEL", "5")
    with pytest.raises(InputError, match=r"SPATIALTRUST_MOST_PIXEL: is no limit; valid: .*_PIXELS"):
        check_environment()
    monkeypatch.delenv("SPATIALTRUST_MOST_PIXEL")
    monkeypatch.setenv("SPATIALTRUST_MOST_PIXELS", "0")
    with pytest.raises(InputError, match='is "0"; give a whole number above 0'):
        check_environment()


def test_tables_of_a_run_are_checked_by_column(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    execute(prepare(settings(boxes), tmp_path / "r", [images]))
    part = next((tmp_path / "r" / "scores").glob("*.parquet"))
    table = pq.read_table(part)
    with RunFolder(tmp_path / "r") as run:
        pq.write_table(table.drop_columns("p_true"), part)
        with pytest.raises(ColumnError, match=r'scores.*"p_true" is missing'):
            run.read("scores", part.stem)
        place = table.schema.get_field_index("p_true")
        words = pa.array(["1"] * table.num_rows)
        pq.write_table(table.set_column(place, "p_true", words), part)
        with pytest.raises(ColumnError, match='"p_true" is string, not float'):
            run.read("scores", part.stem)


def test_43_an_infinite_score_stops_no_run(tmp_path) -> None:
    images = folder_of(tmp_path / "i", "a.jpg")
    boxes = boxes_of("a.jpg")
    boxes[0]["boxes"][0]["score"] = float("inf")
    graphs(images, boxes, tmp_path / "r")
    assert scenes(tmp_path / "r")["a.jpg"]["status"] == "ok"


def test_an_output_folder_within_the_images_does_not_feed_itself(tmp_path) -> None:
    images = folder_of(tmp_path / "i", "a.jpg")
    graphs(images, boxes_of("a.jpg"), images / "r", overlays=True)
    assert find_images([images]).images["image_id"].to_pylist() == ["a.jpg"]


def test_a_planted_link_is_not_followed(tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "graphs").symlink_to(tmp_path / "elsewhere")
    images, boxes = copies(tmp_path / "photos", 2)
    with pytest.raises(FileError, match="is a link"):
        execute(prepare(settings(boxes), tmp_path / "r", [images]))
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("file", sorted(CORPUS.rglob("*.*")), ids=lambda file: file.stem[:8])
def test_what_once_failed_does_not_fail_again(file: Path, tmp_path) -> None:
    name = file.parent.name
    assert name in READERS
    assert outcome(name, file.read_bytes(), tmp_path) in ("read", "refused")
