"""A stream keeps ids and edges steady, and says what it cannot do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.bag_streams import OFF, quality, six
from spatialtrust import SpatialTrust
from spatialtrust.errors import GuaranteeError, InputError
from spatialtrust.jobs.frames import Frame
from spatialtrust.jobs.streaming import Stream
from spatialtrust.run.config import RunConfig

DATA = "data/still_lifes"


def _rows(**more: Any) -> list[dict[str, Any]]:
    cup = {"phrase": "cup", "x1": 10, "y1": 10, "x2": 30, "y2": 30, "score": 0.9}
    pan = {"phrase": "pan", "x1": 60, "y1": 12, "x2": 95, "y2": 30, "score": 0.9}
    return [cup, {**pan, **more}]


def test_one_frame_is_judged_as_an_image_is() -> None:
    from tests.conftest import ROOT

    detector = f"recorded:{ROOT}/{DATA}/boxes.json"
    image = ROOT / DATA / "breakfast.jpg"
    from spatialtrust.io.detections import read_detections

    boxes = read_detections(ROOT / DATA / "boxes.json").boxes
    graph = SpatialTrust(detector=detector).graph(image, sorted(set(boxes["phrase"].to_pylist())))
    stream = Stream(RunConfig(detector=detector))
    steady = stream.step(Frame(str(image), 0.0, frame_id=image.name)).graph

    def edges(found: Any) -> list[tuple[str, float]]:
        surest = 0.9975  # a filter over time trusts no frame further
        return sorted(
            (r["relation"], round(min(r["p_true"], surest), 4)) for r in found.edges.to_pylist()
        )

    assert edges(steady) == edges(graph)


def test_the_filter_takes_most_of_the_flicker_and_costs_no_precision() -> None:
    steady, alone = quality(1, {}, seconds=3.0), quality(1, OFF, seconds=3.0)
    assert steady["flips a minute"] < alone["flips a minute"] / 5
    assert steady["precision"] > 0.9
    assert steady["recall"] >= alone["recall"]


def test_a_thing_that_is_missed_now_and_then_stays_with_its_edges() -> None:
    stream = Stream(RunConfig(relations=("left of",)))
    for step in range(20):
        rows = _rows()[:1] if step % 5 == 4 else _rows()
        frame = stream.step(Frame(stamp=step / 10, detections=rows, size=(128, 96)))
        assert frame.graph.edges.num_rows == 1
        assert frame.hidden == (("pan-1",) if step % 5 == 4 else ())
    reasons = frame.graph.edges["reasons"].to_pylist()
    assert reasons == [["remembered"]]


def test_a_stream_that_restores_its_memory_goes_on_as_if_never_stopped() -> None:
    generator = np.random.default_rng(0)
    frames = [six(number, generator) for number in range(16)]
    whole, first, second = Stream(), Stream(), Stream()
    expected = [whole.step(frame).graph.to_dict() for frame in frames]
    found = [first.step(frame).graph.to_dict() for frame in frames[:8]]
    second.restore(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
    found += [second.step(frame).graph.to_dict() for frame in frames[8:]]
    assert found == expected


def test_a_clock_that_goes_back_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream()
    stream.step(Frame(stamp=9.0, detections=_rows(), size=(128, 96)))
    frame = stream.step(Frame(stamp=1.0, detections=_rows(), size=(128, 96)))
    assert frame.jumped
    assert frame.ended == ()
    assert set(frame.graph.objects.strings("object_id")) == {"cup-2", "pan-2"}
    assert "went back" in caplog.text


def test_frames_without_stamps_are_taken_to_be_evenly_apart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Stream()
    stamps = [stream.step(Frame(detections=_rows(), size=(9, 9))).stamp for _ in range(3)]
    assert np.diff(stamps) == pytest.approx(1 / 30)
    assert caplog.text.count("without stamps") == 1


def test_boxes_that_cannot_be_used_are_counted() -> None:
    rows = [
        *_rows(),
        {"phrase": "jug", "x1": 5, "y1": 5, "x2": 5, "y2": 9},
        {"phrase": "jug", "x1": float("nan"), "y1": 5, "x2": 5, "y2": 9},
        {"phrase": "bug", "x1": 5, "y1": 5, "x2": 50, "y2": 90},
    ]
    stream = Stream(RunConfig(objects=("cup", "pan", "jug")))
    frame = stream.step(Frame(stamp=0.0, detections=rows, size=(128, 96)))
    assert frame.dropped == {"degenerate_box": 1, "not_asked_for": 1}
    assert len(frame.graph.objects) == 2


def test_hostile_names_are_names() -> None:
    name = "mug\x1b[31m\n<script>\ud800"
    rows = [{**row, "phrase": f"{name}{n}"} for n, row in enumerate(_rows())]
    frame = Stream().step(Frame(stamp=0.0, detections=rows, size=(128, 96), frame_id="a\x00b"))
    text = json.dumps(frame.graph.to_dict(), ensure_ascii=False)
    assert "\x1b" not in text
    text.encode()


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (Frame(stamp=0.0), "brings no detections"),
        (Frame(stamp=0.0, detections=[{"phrase": "cup"}]), "lacks x1"),
        (Frame(stamp=0.0, detections=[{**_rows()[0], "x1": "left"}]), "give a number"),
        (Frame(np.zeros((4, 4)), detections=_rows()), "give uint8"),
        (Frame("none.jpg", detections=_rows()), r"none\.jpg"),
    ],
)
def test_what_is_no_frame_is_refused(frame: Frame, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Stream().step(frame)


def test_what_cannot_be_promised_is_refused() -> None:
    with pytest.raises(GuaranteeError, match="single images"):
        Stream(RunConfig(accuracy=0.9))
    for wrong in ({"confirm": 0}, {"keep": -1.0}, {"band": -1.0}):
        with pytest.raises(InputError, match="valid"):
            Stream(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a frame is int"):
        next(Stream().run([3]))


@pytest.mark.slow
def test_images_stream_through_live_models() -> None:
    from spatialtrust.jobs.moving_camera import Drive, picture, views

    drive = Drive(seconds=0.3, rate=10, size=128)
    frames = [(view.stamp / 1e9, picture(view)) for view in views(drive)]
    objects = [item.phrase for item in next(views(drive)).scene.objects]
    st = SpatialTrust(detector="tabletop:grounding-dino", asker="tabletop:blip2")
    found = list(st.stream(frames, objects=objects, confirm=1))
    assert [frame.index for frame in found] == [0, 1, 2]
    assert len(found[-1].graph.objects) > 1
