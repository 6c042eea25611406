"""Bags in, graph bags out: the same whichever kind, however often it was stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from typer.testing import CliRunner

from spatialtrust.bags.reading import Topic
from spatialtrust.bags.writing import PREFIX, GraphWriter, schema
from spatialtrust.cli import app
from spatialtrust.errors import FileError, InputError
from spatialtrust.jobs import bag_parts
from spatialtrust.jobs.bag_exports import export, read_records
from spatialtrust.jobs.bags import BagSettings, graph_bag, info
from spatialtrust.jobs.example_bags import write_bag
from spatialtrust.jobs.moving_camera import BOXES, CAMERA, DEPTH, IMAGE, Drive, place_of, views
from spatialtrust.run.config import RunConfig

DRIVE = Drive(seconds=1.6, rate=10.0, size=96)
ALL = BagSettings(image=IMAGE, detections=BOXES, depth=DEPTH, camera_info=CAMERA)
FEW = BagSettings(image=IMAGE, detections=BOXES, copy_images=False)


class _StoppedError(Exception):
    """As good as a kill, for what is on the disk."""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("drive") / "drive.mcap", DRIVE)


@pytest.fixture(scope="module")
def made(bag: Path) -> tuple[Path, dict[str, Any]]:
    out = bag.with_name("graphs.mcap")
    return out, graph_bag(bag, out, ALL, RunConfig())


def test_independent_readers_read_every_message(made: tuple[Path, dict[str, Any]]) -> None:
    out, found = made
    counts: Counter[str] = Counter()
    titles = ("foxglove.ImageAnnotations", "foxglove.SceneUpdate", "spatialtrust.SceneGraph")
    valid = {title: jsonschema.Draft202012Validator(schema(title)) for title in titles}
    with out.open("rb") as stream:
        for kind, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            counts[channel.topic] += 1
            if channel.message_encoding == "json":
                assert kind is not None
                valid[kind.name].validate(json.loads(message.data))
                assert json.loads(kind.data) == schema(kind.name)
    names = ("annotations", "scene", "graph", "detections", "relations")
    assert counts == {**{f"{PREFIX}/{name}": 16 for name in names}, IMAGE: 16, CAMERA: 16}
    with out.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        topics = [f"{PREFIX}/detections", f"{PREFIX}/relations", IMAGE]
        decoded = list(reader.iter_decoded_messages(topics=topics))
    assert len(decoded) == 48
    assert (found["frames"], found["used"], found["lost"]) == (16, 16, [])


def test_rosbags_reads_what_is_only_ros2(bag: Path, tmp_path: Path) -> None:
    from rosbags.highlevel import AnyReader

    out = tmp_path / "ros2.mcap"
    graph_bag(bag, out, BagSettings(image=IMAGE, detections=BOXES, only_ros2=True), RunConfig())
    with AnyReader([out]) as reader:
        read = [reader.deserialize(data, kind.msgtype) for kind, _, data in reader.messages()]
    assert len(read) == 48


def test_positions_are_where_things_stand(made: tuple[Path, dict[str, Any]]) -> None:
    view = list(views(DRIVE))[-1]
    *_, last = read_records(made[0])
    placed = 0
    for thing in last["objects"]:
        place = [item.phrase for item in view.scene.objects].index(thing["phrase"])
        if thing["position"] is not None and view.seen[place] > 0.95:
            assert thing["position"] == pytest.approx(place_of(view, place), abs=0.15)
            placed += 1
    assert placed >= 2


@pytest.mark.parametrize("form", ["ros1", "sqlite3"])
def test_every_kind_of_bag_gives_the_same_graphs(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, form: str
) -> None:
    from spatialtrust.io.detections.class_names import read_names

    other = write_bag(tmp_path / "drive.bag", DRIVE, form)
    names = read_names(tmp_path / "drive.bag.names") if form == "ros1" else {}
    settings = BagSettings(
        image=IMAGE, detections=BOXES, depth=DEPTH, camera_info=CAMERA, class_names=names
    )
    graph_bag(other, tmp_path / "out.mcap", settings, RunConfig())
    expected = list(read_records(made[0]))
    found = list(read_records(tmp_path / "out.mcap"))
    assert [record["relations"] for record in found] == [r["relations"] for r in expected]


def test_a_run_that_was_stopped_ends_in_the_same_bytes(
    bag: Path, made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bag_parts, "FRAMES", 5)
    whole = tmp_path / "whole.mcap"
    graph_bag(bag, whole, ALL, RunConfig())
    out = tmp_path / "out.mcap"
    for stop in (3, 7, 12):

        def stopped(count: int, doing: str, stop: int = stop) -> None:
            if doing == f"frame {stop}":
                raise _StoppedError

        with pytest.raises(_StoppedError):
            graph_bag(bag, out, ALL, RunConfig(), progress=stopped)
    done: list[str] = []
    found = graph_bag(bag, out, ALL, RunConfig(), progress=lambda _, doing: done.append(doing))
    assert done == [f"frame {number}" for number in range(11, 17)]
    assert found["used"] == 16
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_name("out.mcap.parts").exists()


def test_other_settings_make_the_parts_anew(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bag_parts, "FRAMES", 5)
    out = tmp_path / "out.mcap"

    def stopped(count: int, doing: str) -> None:
        if doing == "frame 7":
            raise _StoppedError

    with pytest.raises(_StoppedError):
        graph_bag(bag, out, FEW, RunConfig(), progress=stopped)
    graph_bag(bag, out, FEW, RunConfig(min_confidence=0.9))
    assert "other settings" in caplog.text
    assert len(list(read_records(out))) == 16


def test_frames_are_chosen_by_number_time_and_range(bag: Path, tmp_path: Path) -> None:
    def frames(**options: Any) -> int:
        settings = BagSettings(image=IMAGE, detections=BOXES, copy_images=False, **options)
        used: int = graph_bag(bag, tmp_path / "few.mcap", settings, RunConfig())["used"]
        return used

    assert frames(every=4) == 4
    assert frames(seconds=0.5) == 4
    assert frames(start=0.5, end=1.0) == 6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image": "/camera/rgb", "detections": BOXES}, "topics: /camera/camera_info"),
        ({"image": IMAGE, "detections": "/boxes"}, 'no topic "/boxes"'),
        ({"image": IMAGE}, "name the topic of detections"),
        ({"image": IMAGE, "detections": BOXES, "depth": DEPTH}, "--camera-info"),
        ({"image": IMAGE, "detections": BOXES, "start": 99.0}, "no message in the range"),
    ],
)
def test_what_cannot_be_done_is_said(
    bag: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        graph_bag(bag, tmp_path / "x.mcap", BagSettings(**settings), RunConfig())


def test_settings_that_make_no_sense_are_refused(bag: Path) -> None:
    for options in (
        {"every": 0},
        {"seconds": -1.0},
        {"depth_unit": "cm"},
        {"start": 2.0, "end": 1.0},
    ):
        with pytest.raises(InputError):
            BagSettings(**options)
    with pytest.raises(FileError, match="the bag itself"):
        graph_bag(bag, bag, FEW, RunConfig())


def _odd_bag(path: Path, bag: Path, change: Any) -> Path:
    """A copy of a bag whose messages went through ``change``: topic, time, bytes to the same."""
    from spatialtrust.bags.opening import open_bag

    source = open_bag(bag)
    with path.open("wb") as stream:
        writer = GraphWriter(stream)
        for number, message in enumerate(source.messages(source.topics)):
            for topic, at, data in change(number, message):
                writer.copy(source.topics.get(topic) or Topic(topic, "", "json"), at, data)
        writer.finish()
    return path


def _restamped(data: bytes, seconds: int) -> bytes:
    """A message with its header's stamp moved (CDR: four bytes of head, then the seconds)."""
    moved = int.from_bytes(data[4:8], "little") + seconds
    return data[:4] + moved.to_bytes(4, "little") + data[8:]


def test_clock_jumps_and_repeated_stamps_are_counted(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change(number: int, message: Any) -> Any:
        late = message.log_time > 1_700_000_000_800_000_000
        data = _restamped(message.data, -3600) if late else message.data
        yield message.topic, message.log_time, data
        if message.topic == IMAGE and number < 10:
            yield message.topic, message.log_time, data

    odd = _odd_bag(tmp_path / "jump.mcap", bag, change)
    found = graph_bag(odd, tmp_path / "out.mcap", FEW, RunConfig())
    assert found["left_out"]["jumps of the clock"] == 1
    assert found["left_out"]["frames with the stamp of the one before"] == 3
    assert "the clock jumps by -3599.900 s" in caplog.text
    assert found["used"] == 16


def test_detections_without_pictures_and_the_reverse(bag: Path, tmp_path: Path) -> None:
    def change(number: int, message: Any) -> Any:
        second = message.log_time > 1_700_000_000_800_000_000
        if (message.topic == IMAGE and second) or (message.topic == BOXES and number < 16):
            return
        yield message.topic, message.log_time, message.data

    odd = _odd_bag(tmp_path / "odd.mcap", bag, change)
    found = graph_bag(odd, tmp_path / "out.mcap", FEW, RunConfig())
    assert found["not_used"]["frames without detections"] == 4
    assert found["left_out"]["messages beside that belong to no frame"] == 8
    alone = BagSettings(detections=BOXES, camera_info=CAMERA)
    assert graph_bag(bag, tmp_path / "alone.mcap", alone, RunConfig())["used"] == 16


def test_claims_and_answers_of_a_json_topic_are_judged(bag: Path, tmp_path: Path) -> None:
    first = next(views(DRIVE)).found
    left, right = sorted(first, key=lambda row: row["x1"])[:: len(first) - 1]

    def change(number: int, message: Any) -> Any:
        yield message.topic, message.log_time, message.data
        if message.topic == IMAGE:
            rows = [
                {
                    "caption": f"The {left['phrase']} is left of the {right['phrase']}.",
                    "answer": "no",
                },
                {"caption": "gibberish"},
            ]
            stamp = message.log_time - 1_000_000
            said = {"stamp": {"sec": stamp // 10**9, "nsec": stamp % 10**9}, "claims": rows}
            yield "/claims", message.log_time, json.dumps(said).encode()

    odd = _odd_bag(tmp_path / "claims.mcap", bag, change)
    settings = BagSettings(image=IMAGE, detections=BOXES, claims="/claims", copy_images=False)
    found = graph_bag(odd, tmp_path / "out.mcap", settings, RunConfig())
    record = next(read_records(tmp_path / "out.mcap"))
    row = next(row for row in record["relations"] if row["relation"] == "left of")
    assert (row["decision"], row["emitted"], row["edge"]) == ("correct", "yes", True)
    assert found["not_used"]["dropped: claim_unreadable"] >= 1


@pytest.mark.parametrize("unit", [None, "m"])
def test_depth_in_the_wrong_unit_is_warned_of_and_left_out(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, unit: str | None
) -> None:
    import numpy as np

    def change(number: int, message: Any) -> Any:
        data = bytearray(message.data)
        if message.topic == DEPTH:
            head = len(data) - 96 * 96 * 2
            depth = np.frombuffer(bytes(data[head:]), dtype="<u2") // 1000
            data[head:] = depth.astype("<u2").tobytes()
        yield message.topic, message.log_time, bytes(data)

    odd = _odd_bag(tmp_path / "metres.mcap", bag, change)
    settings = BagSettings(
        image=IMAGE, detections=BOXES, depth=DEPTH, camera_info=CAMERA, depth_unit=unit
    )
    found = graph_bag(odd, tmp_path / "out.mcap", settings, RunConfig())
    if unit is None:
        assert "implausible" in caplog.text
        assert found["not_used"]["frames with implausible depth"] == 16
    else:
        *_, last = read_records(tmp_path / "out.mcap")
        assert any(thing["position"] for thing in last["objects"])


def test_a_truncated_bag_gives_the_graphs_of_what_is_whole(
    bag: Path, made: tuple[Path, dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = tmp_path / "cut.bag"
    write_bag(cut, DRIVE, "ros1")
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) * 3 // 5])
    from spatialtrust.io.detections.class_names import read_names

    names = read_names(tmp_path / "cut.bag.names")
    settings = BagSettings(image=IMAGE, detections=BOXES, class_names=names)
    found = graph_bag(cut, tmp_path / "out.mcap", settings, RunConfig())
    assert 5 < found["used"] < 12
    assert "s are lost" in caplog.text
    expected = list(read_records(made[0]))[: found["used"]]
    records = list(read_records(tmp_path / "out.mcap"))
    assert [r["relations"] for r in records] == [r["relations"] for r in expected]


def test_info_says_what_can_be_used(bag: Path) -> None:
    found = info(bag)
    assert {row["topic"]: row["use"] for row in found["topics"]} == {
        IMAGE: "image", BOXES: "detections", DEPTH: "depth", CAMERA: "camera info",
    }  # fmt: skip
    assert found["topics"][0]["rate_hz"] == pytest.approx(10, rel=0.1)


def test_an_empty_bag_has_no_topics_and_no_graphs(tmp_path: Path) -> None:
    path = tmp_path / "empty.mcap"
    with path.open("wb") as stream:
        GraphWriter(stream).finish()
    assert info(path)["topics"] == []
    with pytest.raises(InputError, match="no topic holds image"):
        graph_bag(path, tmp_path / "out.mcap", BagSettings(), RunConfig())


def test_graphs_go_to_other_programs_and_back(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    from spatialtrust.bags.concept_graphs import read_concept_graphs
    from spatialtrust.bags.spark_dsg import read_spark_dsg

    files = {"spark_dsg": tmp_path / "dsg.json", "concept_graphs": tmp_path / "relations.json"}
    export(made[0], **files)
    *_, last = read_records(made[0])
    edges = {
        (row["subject"], row["relation"], row["object"], row["p_true"])
        for row in last["relations"]
        if row["edge"]
    }
    spark = read_spark_dsg(files["spark_dsg"])
    assert {tuple(found) for found in spark.triplets} == edges
    assert {t.name: t.position and list(t.position) for t in spark.things} == {
        thing["id"]: thing["position"] for thing in last["objects"]
    }
    assert {tuple(f) for f in read_concept_graphs(files["concept_graphs"]).triplets} == edges
    assert len(spark.claims()) == len(edges)


def test_a_rerun_recording_is_written(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    found = export(made[0], rrd=tmp_path / "graphs.rrd")
    assert found["rrd"]["frames"] == 16
    assert (tmp_path / "graphs.rrd").read_bytes()[:4] == b"RRF2"


def test_the_command_says_what_it_did_and_what_is_wrong(bag: Path, tmp_path: Path) -> None:
    given = ["bag", "graph", str(bag), "--detections", BOXES, "--out", str(tmp_path / "out.mcap")]
    found = CliRunner().invoke(app, [*given, "--image", IMAGE, "--every", "8"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["used"] == 2
    command = [sys.executable, "-c", "from spatialtrust.cli import main; main()"]
    wrong = subprocess.run(
        [*command, *given, "--image", "/none"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert IMAGE in wrong.stderr
