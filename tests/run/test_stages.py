from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import networkx as nx
import pyarrow as pa
import pytest
from PIL import Image

from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import FileError, GuaranteeError, InputError
from spatialtrust.graph.files import load_graph
from spatialtrust.io.images import read_header
from spatialtrust.io.parquet import read_table, write_table
from spatialtrust.run.batches import nest, unnest
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import STAGES, execute, prepare, stages_of
from spatialtrust.run.stages import linking
from spatialtrust.tables import Answers, Claims
from tests.helpers.runs import SCENES, copies, same, settings, tables

LATER = ("gather", "fuse", "decide", "link")


def run(out: Path, images: Path, boxes: Path, names=STAGES, claims=None, **options) -> dict:
    return execute(prepare(settings(boxes, **options), out, [images], claims), names)


def again(out: Path, boxes: Path, *names: str, **options) -> dict:
    return execute(prepare(settings(boxes, **options), out), names)


def test_nesting_and_back_keeps_rows_in_the_order_of_their_images() -> None:
    rows = pa.table({"image_id": ["b", "x", "a", "b"], "n": [1, 2, 3, 4]})
    batch = nest(pa.table({"image_id": ["a", "b", "c"]}), "rows", rows)
    assert unnest(batch, "rows")["n"].to_pylist() == [3, 1, 4]
    assert unnest(batch.slice(1), "rows")["n"].to_pylist() == [1, 4]
    assert unnest(batch.slice(2), "rows").num_rows == 0
    with pytest.raises(InputError, match="has no claims"):
        unnest(batch, "claims")


def test_images_become_graphs_that_networkx_loads(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 4)
    found = run(tmp_path / "run", images, boxes, overlays=True, formats=("json", "graphml", "dot"))
    assert (found["graphs"], found["rows"]["images"], found["not_ok"]) == (4, 4, {})
    assert "no guarantee" in found["decided_by"]
    stored = {row["image_id"]: row for row in read_table(tmp_path / "run/scenes").to_pylist()}
    for name in ("a/0000.jpg", "b/0001.jpg"):
        loaded = [
            load_graph(tmp_path / f"run/graphs/{name}.{k}") for k in ("json", "graphml", "dot")
        ]
        assert loaded[0] == loaded[1] == loaded[2]
        network = nx.node_link_graph(json.loads(stored[name]["graph"]), edges="edges")
        assert len(network.edges) == len(loaded[0].edges) == stored[name]["edges"] > 0
        assert read_header(tmp_path / "run/overlays" / name).status == "ok"


def test_pairs_say_which_reading_they_are_of_and_written_claims_do_not(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 4)
    run(tmp_path / "run", images, boxes, relations=("left of", "above", "on", "touching"))
    rows = read_table(tmp_path / "run/verdicts").to_pylist()
    alone = [row for row in rows if row["meaning"] == "in the picture"]
    assert alone
    assert all(row["decision"] == "abstain" and math.isnan(row["p_true"]) for row in alone)
    assert all("picture_only" in row["reasons"] for row in alone)
    assert all(
        row["meaning"] is None and row["decision"] == "abstain"
        for row in rows
        if "needs_depth" in row["reasons"]
    )
    for name in ("a/0000.jpg", "b/0001.jpg"):
        graph = load_graph(tmp_path / f"run/graphs/{name}.json")
        assert set(graph.edges["meaning"].to_pylist()) == {"in space"}
        assert "picture_only" not in str(graph.prune(min_confidence=0.0).edges["reasons"])
    claims = Claims(read_table(tmp_path / "run/claims").select(Claims.schema.names))
    own = Claims.from_rows({**row, "source": "user"} for row in claims.data.to_pylist())
    run(tmp_path / "own", images, boxes, claims=own)
    written = read_table(tmp_path / "own/verdicts").to_pylist()
    assert {row["meaning"] for row in written} == {None}
    assert not any("picture_only" in row["reasons"] for row in written)


def test_stages_one_by_one_give_what_the_whole_job_gives(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 5)
    run(tmp_path / "whole", images, boxes)
    run(tmp_path / "steps", images, boxes, names=("detect",))
    for name in ("claims", *LATER):
        again(tmp_path / "steps", boxes, name)
    assert same(tables(tmp_path / "whole"), tables(tmp_path / "steps"))


def test_later_stages_run_again_on_stored_boxes_without_the_images(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 3)
    loose = run(tmp_path / "run", images, boxes, min_confidence=0.6)
    for file in images.rglob("*.jpg"):
        file.unlink()
    strict = again(tmp_path / "run", boxes, "decide", "link", min_confidence=0.95)
    assert strict["edges"] < loose["edges"]
    assert "0.95" in strict["decided_by"]


def test_recorded_answers_decide_who_says_an_edge(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    run(tmp_path / "run", images, boxes, names=("detect", "claims"))
    claims = read_table(tmp_path / "run/claims")["claim_id"].to_pylist()
    rows = [
        {"claim_id": name, "model": "vlm", "view": "plain", "form": "claim",
         "prompt_id": "default", "answer": ["yes", "no", "unparsed"][n % 3], "p_yes": 0.5,
         "status": "ok"}
        for n, name in enumerate(claims[:-1])
    ]  # fmt: skip
    write_table(Answers.from_rows(rows).data, tmp_path / "answers.parquet")
    asker = f"recorded:{tmp_path / 'answers.parquet'}"
    found = again(tmp_path / "run", boxes, "ask", *LATER, asker=asker, min_confidence=0.5)
    verdicts = {r["claim_id"]: r for r in read_table(tmp_path / "run/verdicts").to_pylist()}
    assert [verdicts[name]["asserted"] for name in claims[:3]] == ["yes", "no", None]
    assert verdicts[claims[2]]["decision"] == verdicts[claims[-1]]["decision"] == "abstain"
    assert "answer_unparsed" in verdicts[claims[2]]["reasons"]
    said = {
        edge["said_by"]
        for row in read_table(tmp_path / "run/scenes").to_pylist()
        for edge in json.loads(row["graph"])["edges"]
    }
    assert said == {"vlm", "verifier"}
    assert found["rows"]["answers"] == len(claims)
    with pytest.raises(InputError, match="has a VLM's answers"):
        run(tmp_path / "run", images, boxes)
    with pytest.raises(InputError, match="its answers were made of claims that were other ones"):
        again(tmp_path / "run", boxes, "claims", "ask", asker=asker, relations=("above",))


@pytest.mark.parametrize(
    ("asker", "model", "says"),
    [
        ("tabletop:blip2", "vsr-boxes", "carry no weight yet"),
        ("tabletop:blip2", "tabletop-clip", "fitted with answers of tabletop:clip"),
        ("clip:mine", "tabletop-clip", "are not calibrated"),
        ("tabletop", "tabletop-blip2", ""),
        ("tabletop:clip", "auto", ""),
        ("none", "auto", ""),
        ("recorded:answers.parquet", "tabletop-clip", ""),
    ],
)
def test_a_model_that_does_not_know_the_asker_says_so(
    tmp_path, caplog, asker: str, model: str, says: str
) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    job = prepare(settings(boxes, asker=asker, model=model), tmp_path / "run", [images])
    (fuse,) = stages_of(job, ["fuse"])
    assert fuse.settings()["model"] == job.config.trust_model
    assert says in caplog.text
    assert bool(says) == bool(caplog.text)


def test_the_users_claims_are_judged_and_those_of_unknown_images_are_said(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 2)
    claims = Claims.from_rows(
        {"claim_id": str(n), "image_id": image, "subject": subject, "relation": "left of",
         "object": "mug", "source": "user", "label": label}
        for n, (image, subject, label) in enumerate(
            [("0000.jpg", "kettle", 1), ("b/0001.jpg", "book", 1), ("b/0001.jpg", "cat", 0),
             ("else.jpg", "book", None)])
    )  # fmt: skip
    job = prepare(settings(boxes), tmp_path / "run", [images], claims)
    left, unknown = job.notes
    assert left.endswith(
        "4 boxes of labels that no claim about their image is about: bowl, apple, lamp"
    )
    assert unknown == "1 claims are on images that were not given and are left out"
    execute(job)
    rows = read_table(tmp_path / "run/verdicts").sort_by("claim_id").to_pylist()
    assert [row["image_id"] for row in rows] == ["a/0000.jpg", "b/0001.jpg", "b/0001.jpg"]
    assert "ambiguous_object" in rows[0]["reasons"]
    assert (rows[2]["decision"], rows[2]["emitted"]) == ("abstain", None)
    assert "subject_missing" in rows[2]["reasons"]
    # The model was certified on statements that people made: their own may be held to it.
    certified = again(tmp_path / "run", boxes, "decide", accuracy=0.8, repair=False)
    assert certified["decided_by"].startswith("approximately, at most 20.0% wrong")


def test_objects_narrow_what_was_recorded(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    run(tmp_path / "run", images, boxes, names=("detect",), objects=("Kettle", "zebra"))
    rows = read_table(tmp_path / "run/detections").to_pylist()
    assert [(row["phrase"], row["status"]) for row in rows] == [
        ("kettle", "ok"),
        ("zebra", "not_found"),
    ]


def test_bad_images_get_a_status_and_the_batch_goes_on(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 4)
    (images / "a/0000.jpg").write_bytes(b"")
    whole = (images / "b/0001.jpg").read_bytes()
    (images / "b/0001.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "a/0002.jpg").write_text("text")
    found = run(tmp_path / "run", images, boxes, overlays=True)
    assert found["rows"]["images"] == 4
    assert set(found["not_ok"]) == {"a/0000.jpg", "a/0002.jpg", "b/0001.jpg"}
    assert (tmp_path / "run/overlays/b/0003.jpg").exists()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_what_fails_around_pictures_fails_for_its_image_alone(
    tmp_path, monkeypatch, threads
) -> None:
    """An image without a graph is passed by, though it was read ahead; so is one too large."""
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    images, boxes = copies(tmp_path / "photos", 9)
    (images / "a/0002.jpg").write_bytes(b"")
    graphs, pictures = linking.SceneGraph.to_dict, linking.encode
    largest = []

    def to_dict(graph):
        if graph.image_id in ("a/0000.jpg", "b/0003.jpg"):
            raise ValueError("no graph")
        return graphs(graph)

    def encode(pixels):
        if not largest:
            largest.append(pixels.shape)
            raise ValueError("too large")
        return pictures(pixels)

    monkeypatch.setattr(linking.SceneGraph, "to_dict", to_dict)
    monkeypatch.setattr(linking, "encode", encode)
    run(tmp_path / "run", images, boxes, overlays=True, part_size=9)
    scenes = read_table(tmp_path / "run/scenes").to_pylist()
    told = {row["image_id"]: row["status"] for row in scenes}
    assert told.pop("a/0000.jpg") == told.pop("b/0003.jpg") == "failed: ValueError: no graph"
    assert told.pop("a/0002.jpg") != "ok"
    assert sorted(told.values()) == ["not drawn: ValueError: too large", *["ok"] * 5]
    drawn = {
        str(p.relative_to(tmp_path / "run/overlays")) for p in (tmp_path / "run").rglob("*.jpg")
    }
    assert drawn == {name for name, status in told.items() if status == "ok"}


def test_pictures_drawn_on_threads_are_the_same(tmp_path, monkeypatch) -> None:
    images, boxes = copies(tmp_path / "photos", 7)
    drawn = {}
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        out = tmp_path / threads
        run(out, images, boxes, overlays=True, part_size=7)
        drawn[threads] = {
            file.name: file.read_bytes() for file in sorted((out / "overlays").rglob("*.jpg"))
        }
    assert len(drawn["1"]) == 7
    assert drawn["1"] == drawn["2"]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_picture_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, threads) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    images, boxes = copies(tmp_path / "photos", 4)
    (tmp_path / "run" / "overlays" / "a").mkdir(parents=True)
    (tmp_path / "run" / "overlays" / "a" / "0000.jpg").mkdir()  # no file can take its place
    with pytest.raises(FileError, match=r"overlays/a/0000\.jpg: cannot be written"):
        run(tmp_path / "run", images, boxes, overlays=True, part_size=4)


def test_boxes_of_unknown_images_and_images_without_boxes_are_said(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 3)
    listed = json.loads(boxes.read_text())
    boxes.write_text(json.dumps([*listed[:2], {**listed[2], "file_name": "gone.jpg"}]))
    job = prepare(settings(boxes), tmp_path / "run", [images])
    assert any("1 recorded names name no image" in note for note in job.notes)
    assert any("has nothing on 1 of 3 images" in note for note in job.notes)
    assert execute(job)["graphs"] == 3


def test_five_hundred_objects_in_one_image_are_capped_and_said(tmp_path, caplog) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    scene = json.loads(boxes.read_text())[0]
    scene["boxes"] = [
        {"category": "pea", "bbox_xywh": [n % 25 * 25, n // 25 * 20, 8, 8]} for n in range(500)
    ]
    boxes.write_text(json.dumps([scene]))
    found = run(tmp_path / "run", images, boxes, overlays=True)
    assert (found["objects"], found["objects_unpaired"]) == (500, 460)
    assert "500 objects, 40 of them are paired" in caplog.text


def test_every_stage_survives_pickling_without_its_model(tmp_path) -> None:
    _, boxes = copies(tmp_path / "photos", 1)
    asker = "recorded:answers.parquet"
    job = prepare(settings(boxes, asker=asker), tmp_path / "run", [tmp_path / "photos"])
    for stage in stages_of(job, STAGES):
        if stage.writes in ("detections", "answers", "scores"):
            # A model, as a lambda, could not be pickled.
            stage.__dict__["_model"] = lambda: None
        copy = pickle.loads(pickle.dumps(stage))
        assert copy == stage
        assert "_model" not in copy.__dict__


def test_sample_scenes_are_whole() -> None:
    for scene in json.loads((SCENES / "boxes.json").read_text()):
        with Image.open(SCENES / scene["file_name"]) as image:
            assert image.size == (scene["width"], scene["height"])


def test_a_guarantee_is_refused_where_it_would_not_hold(tmp_path) -> None:
    images, boxes = copies(tmp_path / "photos", 1)
    certified = settings(boxes, accuracy=0.9)
    with pytest.raises(GuaranteeError, match="label some of your own"):
        execute(prepare(certified, tmp_path / "run", [images]))
    run(tmp_path / "run", images, boxes)
    rule = DecisionRule(rule="accept", threshold=0.9, alpha=0.1, delta=0.1, n=50, errors=0,
                        bound=0.05, coverage=0.5, ceiling=1.0)  # fmt: skip
    with RunFolder(tmp_path / "run") as folder:
        made = {**folder.settings("verdicts"), "made_with": rule.to_dict()}
        folder.record({"verdicts": made})
    with pytest.raises(GuaranteeError, match="--no-repair"):
        again(tmp_path / "run", boxes, "link")
