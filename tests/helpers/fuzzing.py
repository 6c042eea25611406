"""Every reader of the package, with sound files to mutate.

A reader is a name, an ending, some sound files, and what to call. A mutated file has to be read,
or refused by an error of the package; anything else is a failure.
"""

from __future__ import annotations

import atexit
import io
import json
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from spatialtrust.errors import SpatialTrustError
from tests.conftest import ROOT

CORPUS: Final = ROOT / "tests" / "corpus"
"""Every input that once failed, as ``<reader>/<hash><ending>``."""


@dataclass(frozen=True)
class Reader:
    """What is fuzzed.

    Attributes
    ----------
    ending: of its files.
    seeds: makes sound files.
    read: called with the path of a mutated one.
    weight: how often it is drawn.
    """

    ending: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    weight: int = 8


def _still_lifes() -> bytes:
    return (ROOT / "data" / "still_lifes" / "boxes.json").read_bytes()


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


_CLAIM: Final = {
    "caption": "The mug is left of the kettle.", "subject_box": [0.2, 0.5, 0.1, 0.1],
    "object_box": [0.8, 0.5, 0.2, 0.3], "answer": "yes", "p_yes": 0.7, "label": 1, "image": "a.jpg",
    "width": 640, "height": 480, "claim_id": "c1",
}  # fmt: skip


def _claims() -> list[bytes]:
    parts = {**_CLAIM, "subject": "mug", "relation": "on", "object": "table", "claim_id": "c2"}
    pixels = {**parts, "subject_box": [10, 20, 110, 220], "object_box": [300, 20, 420, 200]}
    rows = [_CLAIM, parts, {**_CLAIM, "claim_id": None, "note": {"a": [1]}}]
    return [
        b"\n".join(_json(*rows)), b"\n".join(_json(*[pixels] * 2)),
        *((ROOT / "data" / "claims.jsonl").read_bytes().splitlines()[:3]),
    ]  # fmt: skip


def _claims_csv() -> list[bytes]:
    head = b"claim_id,image,caption,subject_box,object_box,answer,p_yes,label,width,height\n"
    row = b'1,a.jpg,The mug is on the table.,"[0.2,0.5,0.1,0.1]","[0.8,0.5,0.2,0.3]",yes,0.5,1,,\n'
    return [head + row * 3, (head + row).replace(b",", b";"), b"\xef\xbb\xbf" + head + row]


def _parquet_of(table: Any) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _claims_parquet() -> list[bytes]:
    import pyarrow as pa

    return [_parquet_of(pa.Table.from_pylist([_CLAIM, {**_CLAIM, "claim_id": "c2"}]))]


def _detections() -> list[bytes]:
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 3, "name": "mug"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 20, 30, 40]}],
    }
    labelme = {
        "imagePath": "a.jpg", "imageWidth": 640, "imageHeight": 480, "version": "5",
        "shapes": [{"label": "mug", "points": [[1, 2], [30, 40]], "shape_type": "rectangle"}],
    }  # fmt: skip
    listed = [{"file_name": "a.jpg", "boxes": [
        {"category": "mug", "bbox_xywh": [1, 2, 3, 4], "score": 0.5}]}]  # fmt: skip
    return [_still_lifes(), *_json(coco, labelme, listed)]


def _graphs(kind: str) -> Callable[[], list[bytes]]:
    def made() -> list[bytes]:
        from spatialtrust.graph.formats import render
        from tests.helpers.graphs import graph

        claims = [("o0", "left of", "o1", 0.9), ("o1", "on", "o2", 0.4)]
        return [render(graph(claims), kind).encode()]

    return made


def _models() -> list[bytes]:
    whole = json.loads((ROOT / "spatialtrust/fusion/models/tabletop-clip.json").read_bytes())
    for name in ("box_trees", "answer_trees"):
        body = whole["layers"][name]["xgboost"]["learner"]["gradient_booster"]["model"]
        body["trees"] = body["trees"][:2]
        body["tree_info"], body["iteration_indptr"] = [0, 0], [0, 1, 2]
        body["gbtree_model_param"]["num_trees"] = "2"
    if whole["certifying"]:
        rows = whole["certifying"]
        whole["certifying"] = {
            name: value[:20] if isinstance(value, list) else value for name, value in rows.items()
        }
        if rows.get("relation"):
            whole["certifying"]["relation"] = {
                "names": rows["relation"]["names"],
                "of": rows["relation"]["of"][:20],
            }
    whole["images"] = whole["images"][:3]
    return _json(whole)


def _judge_by(path: Path) -> None:
    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.jobs.verification import verify

    verify([_CLAIM], model=TrustModel.load(path), explain=True)


@lru_cache(maxsize=1)
def _sound() -> Any:
    from spatialtrust.fusion.model import TrustModel

    return TrustModel.load("vsr-boxes")


def _verify(path: Path) -> None:
    """The good rows before and after a mutated line have to come out as they do alone."""
    from spatialtrust.jobs.verification import verify

    good = json.dumps({**_CLAIM, "claim_id": "good"}).encode()
    last = json.dumps({**_CLAIM, "claim_id": "last"}).encode()
    line = path.read_bytes().replace(b"\n", b" ").replace(b"\r", b" ")
    path.write_bytes(b"\n".join([good, line, last]))
    found = verify(path, model=_sound(), box_format="cxcywh", box_unit="fraction")
    rows = found.verdicts.data.select(["claim_id", "p_true"]).to_pylist()
    named = {row["claim_id"]: row["p_true"] for row in rows}
    if len({round(named[name], 6) for name in ("good", "last")} | {round(_alone(), 6)}) != 1:
        raise AssertionError(f"good rows were changed: {named}, alone {_alone()}")


@lru_cache(maxsize=1)
def _alone() -> float:
    from spatialtrust.jobs.verification import verify

    found = verify([_CLAIM], model=_sound(), box_format="cxcywh", box_unit="fraction")
    return float(found.verdicts.data["p_true"][0].as_py())


def _images() -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 60000, (24, 32)).astype(np.uint16))
    clear = picture.convert("RGBA")
    exif = Image.Exif()
    exif[0x112] = 6
    found = []
    for image, kind, options in (
        (picture, "PNG", {}), (picture, "JPEG", {"exif": exif}), (picture, "TIFF", {"exif": exif}),
        (picture, "BMP", {}), (picture, "WEBP", {}), (picture.convert("P"), "GIF", {}),
        (deep, "PNG", {}), (deep, "TIFF", {}), (clear, "PNG", {}), (clear, "WEBP", {}),
        (picture.convert("1"), "PNG", {}), (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PPM", {}), (picture.convert("F"), "TIFF", {}),
    ):  # fmt: skip
        sink = io.BytesIO()
        image.save(sink, kind, **options)
        found.append(sink.getvalue())
    return found


def _image(path: Path) -> None:
    from spatialtrust.io.images import read_header, read_image, read_orientation

    header = read_header(path)
    read_orientation(path)
    pixels = read_image(path)
    if header.status == "ok" and pixels.shape[:2] != (header.height, header.width):
        raise AssertionError(f"header {header} and pixels {pixels.shape} differ")


def _repaired_png(path: Path) -> None:
    """A mutated PNG with its check sums made right again, so that decoders go on."""
    content = path.read_bytes()
    at, made = 8, bytearray(content[:8])
    while at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + size]
        made += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    path.write_bytes(bytes(made))
    _image(path)


def _yolo(path: Path) -> None:
    from spatialtrust.io.detections import read_detections

    content = path.read_bytes()
    folder = path.parent / f"{path.stem}.labels"
    folder.mkdir(exist_ok=True)
    names, _, labels = content.partition(b"\0\0")
    (folder / "classes.txt").write_bytes(names)
    (folder / "a.txt").write_bytes(labels)
    read_detections(folder)


def _yaml(path: Path) -> None:
    from spatialtrust.io.detections.class_names import read_names

    read_names(path)


def _results() -> list[bytes]:
    vlmeval = [{"index": 1, "question": "Is the mug left?", "answer": "Yes", "prediction": "yes"}]
    whatsup = [{"image_path": "a.jpg", "caption_options": ["a on b", "b on a"], "scores": [1, 0]}]
    lmms = [{"doc_id": 1, "filtered_resps": ["yes"], "target": "yes", "doc": {"question": "q"}}]
    return _json(vlmeval, whatsup, lmms)


def _scene_graph_rows() -> list[bytes]:
    graph = {"image_id": 1, "width": 640, "height": 480, "objects": [
        {"object_id": 1, "names": ["mug"], "x": 1, "y": 2, "w": 30, "h": 40},
        {"object_id": 2, "names": ["table"], "x": 1, "y": 60, "w": 300, "h": 40}],
        "relationships": [{"predicate": "on", "subject": {"object_id": 1, "name": "mug"},
        "object": {"object_id": 2, "name": "table"}}]}  # fmt: skip
    gqa = {"1": {"width": 640, "height": 480, "objects": {
        "5": {"name": "mug", "x": 1, "y": 2, "w": 30, "h": 40,
              "relations": [{"name": "on", "object": "6"}]},
        "6": {"name": "table", "x": 1, "y": 60, "w": 300, "h": 40, "relations": []}}}}  # fmt: skip
    return _json([graph], gqa)


def _predictors() -> list[bytes]:
    from spatialtrust.failure.temperature import TemperatureScaling

    rng = np.random.default_rng(0)
    fitted = TemperatureScaling().fit(rng.normal(size=(50, 3)), rng.integers(0, 3, 50))
    with tempfile.TemporaryDirectory() as folder:
        return [fitted.save(Path(folder) / "a.safetensors").read_bytes()]


def _predictor(path: Path) -> None:
    from spatialtrust.failure.base import FailurePredictor

    FailurePredictor.load(path).score(np.zeros((2, 3)))


def _archives() -> list[bytes]:
    import tarfile

    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, content in (("1.jpg", _images()[1]), ("1.txt", b"a mug"), ("2.json", b"{}")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return [sink.getvalue()]


def _labelled(path: Path) -> None:
    from spatialtrust.classify.labelled_images import labelled_images

    for item in labelled_images(path):
        try:
            item.read()
        except (OSError, ValueError):
            continue


def _arrays() -> list[bytes]:
    one, several = io.BytesIO(), io.BytesIO()
    np.save(one, np.ones((3, 4), dtype=np.float32))
    np.savez(several, embeddings=np.ones((3, 4)), b=np.arange(3))
    return [one.getvalue(), several.getvalue()]


def _array(path: Path) -> None:
    from spatialtrust.classify.own_arrays import read_array

    read_array(path, "embeddings")


def _manifests() -> list[bytes]:
    made = {"made_with": {"a": 1}, "from": {}, "costly": False}
    from spatialtrust.run.folder import PACKAGE_VERSION
    from spatialtrust.schema import VERSION

    whole = {"package": PACKAGE_VERSION, "schema": VERSION, "settings": {"min_confidence": 0.8},
             "tables": {"images": made, "claims": {**made, "from": {"images": "ab"}}}}  # fmt: skip
    return _json(whole)


def _manifest(path: Path) -> None:
    from spatialtrust.run.config import RunConfig
    from spatialtrust.run.folder import RunFolder

    folder = path.parent / f"{path.stem}.run"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "manifest.json")
    with RunFolder(folder) as run:
        run.require(["images"])
        RunConfig.from_dict(run.manifest.get("settings", {}))


def _bags() -> list[bytes]:
    from spatialtrust.jobs.example_bags import write_bag
    from spatialtrust.jobs.moving_camera import Drive

    with tempfile.TemporaryDirectory() as folder:
        return [write_bag(Path(folder) / "a.mcap", Drive(seconds=0.2, size=64)).read_bytes()]


def _bag(path: Path) -> None:
    from spatialtrust.bags.opening import open_bag

    bag = open_bag(path)
    for _, _message in zip(range(50), bag.messages(list(bag.topics)), strict=False):
        pass


def _texts(path: Path) -> None:
    import pyarrow as pa

    from spatialtrust.claims.phrases import split_phrases
    from spatialtrust.language import canonical_names, parse_claims
    from spatialtrust.replies import parse_answers

    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    parse_claims(pa.array(lines))
    parse_answers(lines)
    canonical_names(pa.array(lines))
    split_phrases(lines)


def _label_sheets() -> list[bytes]:
    head = "claim_id,image,caption,label,purpose,subject,relation,object\n"
    rows = "a-0,a.jpg,the mug is on the table,1,certify,mug,on,table\nb-1,b.jpg,,no,fit,x,on,y\n"
    return [(head + rows).encode(), (head + rows).replace(",", ";").encode("utf-16")]


def _gzipped(seeds: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    import gzip

    return lambda: [gzip.compress(content, mtime=0) for content in seeds()]


def _regzipped(path: Path) -> None:
    """Mutated text, packed after it was mutated."""
    import gzip

    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))
    _CLAIMS_READER(packed)


def _sheet_parts() -> list[bytes]:
    import openpyxl

    book, sink = openpyxl.Workbook(), io.BytesIO()
    for row in (["index", "question", "answer", "prediction"], [1, "Is it?", "Yes", "yes"]):
        book.active.append(row)
    book.save(sink)
    with zipfile.ZipFile(sink) as packed:
        return [packed.read("xl/worksheets/sheet1.xml")]


@cache
def _sheet_frame() -> tuple[tuple[str, bytes], ...]:
    import openpyxl

    sink = io.BytesIO()
    openpyxl.Workbook().save(sink)
    with zipfile.ZipFile(sink) as packed:
        return tuple((name, packed.read(name)) for name in packed.namelist())


def _spreadsheet(path: Path) -> None:
    """The first sheet mutated, in a sound archive."""
    from spatialtrust.io.results_of_others import read_results_of_others

    content, target = path.read_bytes(), path.with_suffix(".xlsx")
    with zipfile.ZipFile(target, "w") as packed:
        for name, sound in _sheet_frame():
            packed.writestr(name, content if name == "xl/worksheets/sheet1.xml" else sound)
    read_results_of_others(target)


def _answer_rows() -> list[bytes]:
    lines = [{"claim_id": "a", "answer": "yes", "p_yes": 0.7}, {"claim_id": "b", "answer": "no"}]
    about = [{"image": "a.jpg", "caption": "The mug is on the table.", "answer": "Yes."}]
    return [b"\n".join(_json(*lines)), b"\n".join(_json(*about))]


def _answers(path: Path) -> None:
    from spatialtrust.io.answers import read_answers

    read_answers(path, "x")


def _tensors() -> list[bytes]:
    from safetensors.numpy import save

    return [save({"embeddings": np.ones((3, 4), np.float32), "b": np.zeros(2, np.float16)})]


def _stores() -> list[bytes]:
    from spatialtrust.classify.embedding_store import EmbeddingStore, Recipe, digest_of

    with tempfile.TemporaryDirectory() as root:
        with EmbeddingStore(root, Recipe("text", "toy", None, 100.0, "")) as store:
            store.append([digest_of(b"a"), digest_of(b"b")], np.ones((2, 4), np.float32))
        names = ("manifest.json", "digests.bin", "embeddings.bin")
        return [b"\0|\0".join((store.path / name).read_bytes() for name in names)]


def _store(path: Path) -> None:
    from spatialtrust.classify.embedding_store import EmbeddingStore, digest_of

    folder = path.parent / "text-0123456789abcdef"
    folder.mkdir(exist_ok=True)
    parts = [*path.read_bytes().split(b"\0|\0"), b"", b""]
    for name, content in zip(
        ("manifest.json", "digests.bin", "embeddings.bin"), parts, strict=False
    ):
        (folder / name).write_bytes(content)
    store = EmbeddingStore.at(folder)
    store.take([digest_of(b"a")])


def _records() -> list[bytes]:
    from spatialtrust.backends.served.record import Record

    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder) / "a.jsonl")
        record.put("a" * 64, {"text": "yes", "usage": {"prompt_tokens": 3}})
        record.put("b" * 64, {"text": "no"})
        record.close()
        return [record.path.read_bytes()]


def _record(path: Path) -> None:
    from spatialtrust.backends.served.record import Record

    record = Record(path)
    try:
        record.paid()
    finally:
        record.close()


def _onnx_files() -> list[bytes]:
    from tests.helpers.onnx_files import CELLS, write_model

    with tempfile.TemporaryDirectory() as folder:
        grid = np.full((1, 6, CELLS), 0.5, np.float32)
        ends = {"output0": np.zeros((1, 5, 6), np.float32)}
        names = {"names": "{0: 'mug', 1: 'kettle'}", "imgsz": "[64, 64]"}
        path = Path(folder) / "a.onnx"
        return [write_model(path, made, metadata=names).read_bytes()
                for made in ({"output0": grid}, ends)]  # fmt: skip


def _onnx(path: Path) -> None:
    """What a model says of itself; it is not run."""
    from spatialtrust.backends.base import Options
    from spatialtrust.backends.fixed_vocabulary.onnx import open_backend

    open_backend(str(path), f"onnx:{path}", Options())


def _old_bags(form: str) -> Callable[[], list[bytes]]:
    def made() -> list[bytes]:
        from spatialtrust.jobs.example_bags import write_bag
        from spatialtrust.jobs.moving_camera import Drive

        with tempfile.TemporaryDirectory() as folder:
            path = write_bag(Path(folder) / "a", Drive(seconds=0.2, size=64), form)
            return [(path if path.is_file() else next(path.glob("*.db3"))).read_bytes()]

    return made


@cache
def _run_of_two() -> tuple[Path, dict[str, Any]]:
    """A run with graphs, and the rows of its tables."""
    from spatialtrust.io.parquet import read_table
    from spatialtrust.run.plan import execute, prepare
    from tests.helpers.runs import TABLES, copies, settings

    folder = Path(tempfile.mkdtemp(prefix="fuzz-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    images, boxes = copies(folder / "images", 2)
    execute(prepare(settings(boxes), folder / "run", [images]))
    return folder / "run", {name: read_table(folder / "run" / name) for name in TABLES}


def _run_tables() -> list[bytes]:
    """A few rows of each table, as JSON."""
    found = []
    for name, table in _run_of_two()[1].items():
        rows = table.slice(0, 3).to_pylist()
        found.append(json.dumps({"table": name, "rows": rows}, default=str).encode())
    return found


def _run_table(path: Path) -> None:
    """A run with a table of other rows: its page, its labels, its graphs again."""
    import pyarrow as pa

    from spatialtrust.io.parquet import write_table
    from spatialtrust.jobs.labelling import write_labels
    from spatialtrust.report.writing import write_report

    run, tables = _run_of_two()
    try:
        given = json.loads(path.read_bytes())
        name, kind = given["table"], tables[given["table"]].schema
        columns = {key: [row.get(key) for row in given["rows"]] for key in given["rows"][0]}
        arrays = {key: _as_kind(values, kind, key) for key, values in columns.items()}
        table = pa.table(arrays).replace_schema_metadata(kind.metadata)
        write_table(table, path.with_suffix(".parquet"))
    except Exception:  # it makes no table
        return
    target = path.parent / "run"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run, target)
    shutil.copy(path.with_suffix(".parquet"), next((target / name).glob("*.parquet")))
    refused = []
    for work in (write_report, write_labels):
        try:
            work(target)
        except SpatialTrustError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _as_kind(values: list[Any], kind: Any, name: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, kind.field(name).type)
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError):
        return pa.array(values)


def _boxes_csv() -> list[bytes]:
    return [
        b"mug\nkettle\n\0\00 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1 0.9\n0 .1 .1 .2 .1 .2 .2 .1 .2\n"
    ]


def _toml() -> list[bytes]:
    from spatialtrust.run.config import RunConfig

    return [RunConfig().to_toml().encode()]


def _class_files() -> list[bytes]:
    return [b"nc: 2\nnames: [mug, kettle]\n", b"names:\n  0: mug\n"]


def _lists() -> list[bytes]:
    return [b"image,class,split\na.jpg,mug,train\nb.jpg,cup,test\n"]


def _said() -> list[bytes]:
    lines = ("The mug is left of the kettle.", "Yes, it is.", "mug. kettle.", "no", "Is it on it?")
    return ["\n".join(lines).encode()]


def _called(module: str, name: str) -> Callable[[Path], Any]:
    """A function that takes a path, imported when it is first called."""

    def call(path: Path) -> Any:
        from importlib import import_module

        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found(path)

    return call


_CLAIMS_READER: Final = _called("spatialtrust.io.claim_files", "read_claims")


def _graph_read(path: Path) -> None:
    """A graph that is read is one that the published schema knows."""
    from spatialtrust.graph.files import load_graph
    from spatialtrust.graph.formats import render

    valid = _schema_of_graphs().iter_errors(json.loads(render(load_graph(path), "json")))
    for error in valid:
        raise AssertionError(f"{error.json_path}: {error.message:.100}")


@cache
def _schema_of_graphs() -> Any:
    import jsonschema

    from spatialtrust.graph.formats import json_schema

    return jsonschema.Draft202012Validator(json_schema())


READERS: Final[dict[str, Reader]] = {
    "claims": Reader(".jsonl", _claims, _CLAIMS_READER),
    "claims_csv": Reader(".csv", _claims_csv, _CLAIMS_READER),
    "claims_parquet": Reader(
        ".parquet", _claims_parquet, _CLAIMS_READER
    ),
    "statements": Reader(
        ".jsonl", _claims, _called("spatialtrust.io.claim_files", "read_statements"), 2
    ),
    "verify": Reader(".jsonl", _claims, _verify, 1),
    "detections": Reader(
        ".json", _detections, _called("spatialtrust.io.detections", "read_detections"), 16
    ),
    "yolo": Reader(".txt", _boxes_csv, _yolo),
    "class_names": Reader(".yaml", _class_files, _yaml),
    "config": Reader(".toml", _toml, _called("spatialtrust.run.config", "RunConfig.load"), 4),
    "graph_json": Reader(".json", _graphs("json"), _graph_read),
    "graph_graphml": Reader(
        ".graphml", _graphs("graphml"), _graph_read, 4
    ),
    "graph_dot": Reader(".dot", _graphs("dot"), _graph_read, 4),
    "model": Reader(".json", _models, _judge_by, 1),
    "image": Reader(".png", _images, _image, 16),
    "png": Reader(".png", lambda: [_images()[k] for k in (0, 6, 8, 10)], _repaired_png),
    "results_json": Reader(
        ".json", _results, _called("spatialtrust.io.results_of_others", "read_results_of_others")
    ),
    "results_tsv": Reader(
        ".tsv",
        lambda: [b"index\tquestion\tanswer\tprediction\n1\tIs it?\tYes\tyes\n"],
        _called("spatialtrust.io.results_of_others", "read_results_of_others"),
    ),
    "scene_graphs": Reader(
        ".json", _scene_graph_rows, _CLAIMS_READER
    ),
    "predictor": Reader(".safetensors", _predictors, _predictor),
    "archive": Reader(".tar", _archives, _labelled, 4),
    "image_list": Reader(".csv", _lists, _labelled),
    "split_file": Reader(".json", lambda: _json({"train": [["a.jpg", 0, "mug"]]}), _labelled),
    "array": Reader(".npy", lambda: _arrays()[:1], _array, 4),
    "arrays": Reader(".npz", lambda: _arrays()[1:], _array, 4),
    "manifest": Reader(".json", _manifests, _manifest, 4),
    "bag": Reader(".mcap", _bags, _bag, 2),
    "labels": Reader(".csv", _label_sheets, _called("spatialtrust.jobs.label_sheet", "read_sheet")),
    "lines": Reader(".txt", _class_files, _called("spatialtrust.io.text", "read_lines"), 2),
    "claims_gz": Reader(".jsonl.gz", _gzipped(_claims), _CLAIMS_READER, 4),
    "claims_packed": Reader(".jsonl", _claims, _regzipped, 1),
    "spreadsheet": Reader(".xml", _sheet_parts, _spreadsheet, 4),
    "answers": Reader(".jsonl", _answer_rows, _answers, 4),
    "tensors": Reader(".safetensors", _tensors, _array, 4),
    "store": Reader(".store", _stores, _store),
    "record": Reader(".jsonl", _records, _record),
    "onnx": Reader(".onnx", _onnx_files, _onnx),
    "bag_ros1": Reader(".bag", _old_bags("ros1"), _bag, 4),
    "bag_sqlite": Reader(".db3", _old_bags("sqlite3"), _bag, 4),
    "run_table": Reader(".json", _run_tables, _run_table, 1),
    "texts": Reader(
        ".txt",
        _said,
        _texts,
        1,
    ),
}  # fmt: skip


@cache
def seeds_of(name: str) -> list[bytes]:
    """A reader's sound files, made once."""
    return READERS[name].seeds()


def outcome(name: str, content: bytes, folder: Path) -> str:
    """``read``, or ``refused`` by an error of the package; what else comes up is raised."""
    reader = READERS[name]
    path = folder / f"input{reader.ending}"
    path.write_bytes(content)
    try:
        reader.read(path)
    except SpatialTrustError:
        return "refused"
    return "read"
