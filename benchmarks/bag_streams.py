"""A camera stream: how right and how steady graphs are, what a frame costs, and memory.

python -m benchmarks.bag_streams [--drives 12] [--frames 10000] [--live]

A rendered camera slides past things on a table (simulated detector: edges of boxes jitter by 3 %
of their extent, 5 % of things are missed); what is true is where things stand. Flips: edges that
end or begin again while both things are followed, a minute. Figures are of this world, not of
photos.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from collections import Counter
from typing import Any

import numpy as np

from spatialtrust.geometry import iou
from spatialtrust.jobs.frames import Frame
from spatialtrust.jobs.moving_camera import Drive, picture, true_edges, views
from spatialtrust.jobs.streaming import Stream
from spatialtrust.run.config import RunConfig
from spatialtrust.tracking.identity import KEEP

OFF = {"half_life": 0.0, "band": 0.0, "fade": 0.0}
"""Each frame alone: the same tracks, nothing remembered of edges."""


def quality(drives: int, options: dict[str, float], seconds: float = 12.0) -> dict[str, Any]:
    """Precision and recall of edges a frame, identity switches, and flips a minute."""
    tally: Counter[str] = Counter()
    for seed in range(drives):
        drive = Drive(seed=seed, seconds=seconds)
        stream = Stream(RunConfig(), **options)
        owner: dict[int, tuple[str, float]] = {}
        known: set[tuple[str, ...]] = set()
        tally["seconds"] += round(drive.seconds)
        for view in views(drive):
            frame = stream.step(view.frame())
            thing_of = _things(view, frame)
            for thing, name in {thing: name for name, thing in thing_of.items()}.items():
                last, at = owner.get(thing, (name, frame.stamp))
                tally["switches" if frame.stamp - at <= KEEP else "returns"] += last != name
                owner[thing] = name, frame.stamp
            _count_edges(view, frame, thing_of, tally)
            for event in frame.events:
                key = event[1:4]
                again = event.kind == "began" and key in known
                known.add(key)
                tally["flips"] += again or (event.kind == "ended" and event.why != "thing_gone")
    judged = tally["right"] + tally["wrong"]
    return {
        "precision": round(tally["right"] / judged, 4),
        "recall": round(tally["found"] / tally["true"], 4),
        "edges judged": judged,
        "identity switches": tally["switches"],
        "new ids after long absence": tally["returns"],
        "flips a minute": round(60 * tally["flips"] / tally["seconds"], 1),
    }


def _things(view: Any, frame: Any) -> dict[str, int]:
    """Id to the place of the thing it is now."""
    found = {}
    objects = frame.graph.objects
    names = (objects.strings("object_id"), objects.strings("phrase"))
    for name, phrase, box in zip(*names, objects.boxes(), strict=True):
        for place, item in enumerate(view.scene.objects):
            seen = view.boxes[place][None].astype(np.float32)
            if item.phrase == phrase and iou(box[None], seen)[0] >= 0.3:
                found[str(name)] = place
    return found


def _count_edges(view: Any, frame: Any, thing_of: dict[str, int], tally: Counter[str]) -> None:
    truth = true_edges(view)
    phrase = [item.phrase for item in view.scene.objects]
    relations = {relation for _, relation, _ in truth}
    believed = set()
    rows = frame.graph.candidates.filter(frame.graph.believed).to_pylist()
    for row in rows:
        ends = thing_of.get(row["subject_id"]), thing_of.get(row["object_id"])
        if row["relation"] == "in" or None in ends:
            tally["wrong"] += 1  # nothing is in anything here, and a lost thing is no thing
            continue
        key = (phrase[ends[0]], row["relation"], phrase[ends[1]])
        if row["relation"] in relations and truth[key] is not None:
            tally["right" if truth[key] else "wrong"] += 1
            believed.add(key)
    shown = {phrase[place] for place in thing_of.values()}
    asked = {"left of", "above", "on"}
    holds = {k for k, v in truth.items() if v and k[1] in asked and {k[0], k[2]} <= shown}
    tally["true"] += len(holds)
    tally["found"] += len(holds & believed)


def six(number: int, generator: np.random.Generator) -> Frame:
    """A frame of six things that drift, with recorded boxes."""
    names = ("mug", "kettle", "table", "book", "lamp", "plate")
    rows = []
    for place, name in enumerate(names):
        x = 40 + 90 * place + 20 * np.sin(number / 40 + place)
        y = 120 + 60 * (place % 3)
        box = np.array([x, y, x + 70, y + 80]) + generator.normal(0, 1.5, 4)
        sides = dict(zip(("x1", "y1", "x2", "y2"), box.tolist(), strict=True))
        rows.append({"phrase": name, **sides, "score": 0.8})
    return Frame(stamp=number / 30, detections=rows, size=(640, 480))


def speed(frames: int) -> dict[str, Any]:
    """Frames a second on one core with recorded boxes, and memory along the way."""
    stream, generator = Stream(RunConfig()), np.random.default_rng(0)
    for number in range(30):
        stream.step(six(number, generator))
    gc.collect()
    times, memory = [], {}
    for number in range(30, 30 + frames):
        frame = six(number, generator)
        start, cpu = time.perf_counter(), time.process_time()
        stream.step(frame)
        times.append((time.perf_counter() - start, time.process_time() - cpu))
        if (number - 30) % max(1, frames // 5) == 0 or number == 29 + frames:
            memory[number - 30] = round(_resident_mib(), 1)
    wall, cpu = np.array(times).T * 1000
    return {
        "frames": frames,
        "frames a second (wall)": round(1000 / wall.mean(), 1),
        "frames a second (one core's time)": round(1000 / cpu.mean(), 1),
        "ms a frame": {f"p{q}": round(float(np.percentile(wall, q)), 2) for q in (50, 95, 99)},
        "MiB after frame": memory,
        "MiB at most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _resident_mib() -> float:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 2**20


def where_time_goes(frames: int = 200) -> dict[str, float]:
    """Share of a frame's time by step."""
    import cProfile
    import pstats

    steps = {
        "boxes in": "boxes_of", "tracks": "identity.py:step", "claims": "enumerate_claims",
        "evidence": "collect", "trust model": "predict", "reading": "readings.py:read",
        "graph": "graph_of", "filter": "observe",
    }  # fmt: skip
    stream, generator = Stream(RunConfig()), np.random.default_rng(0)
    stream.step(six(0, generator))
    profile = cProfile.Profile()
    profile.enable()
    for number in range(1, frames):
        stream.step(six(number, generator))
    profile.disable()
    rows = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {f"{file.rsplit('/', 1)[-1]}:{name}": row[3] for (file, _, name), row in rows.items()}
    whole = next(value for key, value in spent.items() if key == "streaming.py:step")
    found = {}
    for step, wanted in steps.items():
        keys = [key for key in spent if key == wanted or key.split(":")[1] == wanted]
        found[step] = round(max((spent[key] for key in keys), default=0.0) / whole, 3)
    return found


def live(frames: int = 40) -> dict[str, Any]:
    """Milliseconds a frame with the tabletop models, and with a GroundingDINO of full depth."""
    drive = Drive(size=128, seconds=frames / 15)
    objects = tuple({item.phrase for view in views(drive) for item in view.scene.objects})
    found = {}
    for name, asker in (("detector", "none"), ("detector and VLM", "tabletop:blip2")):
        config = RunConfig(detector="tabletop:grounding-dino", asker=asker, objects=objects)
        stream, times = Stream(config), []
        for view in views(drive):
            pixels = picture(view)
            start = time.perf_counter()
            stream.step(Frame(pixels, view.stamp / 1e9))
            times.append(time.perf_counter() - start)
        found[f"tabletop {name}, ms"] = round(1000 * float(np.median(times[2:])), 1)
    return found


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drives", type=int, default=12)
    parser.add_argument("--frames", type=int, default=2_000)
    parser.add_argument("--live", action="store_true", help="with the tabletop models")
    given = parser.parse_args()
    for name, options in (("with the filter", {}), ("each frame alone", OFF)):
        print(name, json.dumps(quality(given.drives, options)))
    print("speed", json.dumps(speed(given.frames)))
    print("shares of the time", json.dumps(where_time_goes()))
    if given.live:
        print("live", json.dumps(live()))


if __name__ == "__main__":
    main()
