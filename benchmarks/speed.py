"""How fast the paths without a model are, against what else would be done; writes RESULTS.md.

    python -m benchmarks.speed [--out benchmarks/RESULTS.md] [--images 256] [--claims 1000000]

Every ratio is of two ways in one process, in turns, round by round; its median travels, times are
of this machine. CPU seconds are counted, all threads together, so other work on the machine counts
little. Pictures are the drawn still lifes of this repository with their boxes, copied.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pyarrow as pa
import xgboost

from benchmarks.scoring import CHUNK, _inputs, _judge
from spatialtrust.arrays import Scratch
from spatialtrust.backends.grounding_dino.suppression import SAME_OBJECT, select
from spatialtrust.decision.rule import DecisionRule
from spatialtrust.fusion.model import TrustModel, threads
from spatialtrust.fusion.multilevel import reading_order
from spatialtrust.graph.files import load_graph
from spatialtrust.graph.formats import render
from spatialtrust.io.parquet import write_table
from spatialtrust.io.results import write_results
from spatialtrust.jobs.verification import verify
from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], object]

ROUNDS = 9
_PARTS = ("graphs", "graphs and overlays")
SCENES = Path(__file__).parents[1] / "data" / "still_lifes"
PACKAGES = ("numpy", "scipy", "xgboost-cpu", "pyarrow", "networkx", "opencv-python", "pillow")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="where the page goes; else it is only printed")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--claims", type=int, default=1_000_000)
    given = parser.parse_args()
    lines = ["# Results", "", "Written by `python -m benchmarks.speed`; see there for what counts."]
    lines += ["", *machine(), "", *ratios(), "", *claims(given.claims), ""]
    sizes = [given.images * part // 4 for part in (1, 2, 3, 4)]
    lines += runs(sizes, given.out.with_name("growth.png") if given.out else None)
    page = "\n".join(lines) + "\n"
    print(page)
    if given.out:
        given.out.write_text(page, "utf-8")


def machine() -> list[str]:
    """Cores, memory, processor and versions; nothing that names the machine."""
    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        names = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = os.getloadavg()[0]
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except ModuleNotFoundError:
            continue
    return [
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {threads()} threads; "
        f"load before it began {busy:.1f}. Python {platform.python_version()}, {', '.join(found)}."
    ]


def cpu(work: Work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def in_turns(ours: Work, other: Work, rounds: int = ROUNDS) -> tuple[float, float, np.ndarray]:
    """Median CPU seconds of both, and the other's over ours by round."""
    ours(), other()
    pairs = np.array([(cpu(ours), cpu(other)) for _ in range(rounds)])
    return *np.median(pairs, axis=0), pairs[:, 1] / pairs[:, 0]


def ratios() -> list[str]:
    model = TrustModel.load()
    layers, trees = model.layers, model.layers.box_trees
    inputs, scratch = _inputs(16_384), Scratch()
    order = reading_order(inputs.relation)
    features = inputs.features(order)
    mixed = inputs.features()
    margin = layers.margin(features)
    columns = [features.column(name) for name in trees.features]
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(trees.model), "utf-8"))
    booster.set_param({"nthread": 1})

    def by_rows() -> np.ndarray:
        matrix = np.stack([margin, *columns]).T
        return np.asarray(booster.inplace_predict(
            matrix, predict_type="margin", base_margin=margin, validate_features=False
        ))  # fmt: skip

    assert np.array_equal(by_rows(), trees.logit(columns, margin))
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 600, (900, 2))
    boxes = np.concatenate([low, low + generator.uniform(0, 300, (900, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    scores = generator.uniform(0, 1, (12, 900)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        graph = load_graph(run_over(Path(folder), 8, overlays=False)[1])
    table = [
        ("evidence into used memory", "fresh memory",
         lambda: inputs.features(order, scratch), lambda: inputs.features(order)),
        ("regressions, kind by kind", "claims in any order",
         lambda: layers.margin(features, scratch), lambda: layers.margin(mixed)),
        ("trees as comparisons of columns", "xgboost, row by row",
         lambda: trees.logit(columns, margin), by_rows),
        ("suppression of 900 queries, 12 phrases", "all pairs first",
         lambda: select(scores, boxes, 0.25, 5), lambda: _all_pairs(boxes)),
        ("GraphML of a graph", "networkx", lambda: render(graph, "graphml"),
         lambda: "\n".join(nx.generate_graphml(_flat(graph)))),
        ("JSON of a graph", "json.dumps(indent=1)", lambda: render(graph, "json"),
         lambda: json.dumps(graph.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)),
    ]  # fmt: skip
    lines = [
        f"## Ratios: medians of {ROUNDS} rounds, with least and most", "",
        "| ours | against | ms | ms | times as fast |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, against, ours, other in table:
        mine, theirs, ratio = in_turns(ours, other)
        lines.append(
            f"| {name} | {against} | {mine * 1e3:.2f} | {theirs * 1e3:.2f} | "
            f"{np.median(ratio):.1f} ({ratio.min():.1f} to {ratio.max():.1f}) |"
        )
    return lines


def _all_pairs(boxes: np.ndarray) -> np.ndarray:
    """IoU of all pairs above the threshold, as suppression begins in many codes."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    found: np.ndarray = shared / (area[:, None] + area[None] - shared) > SAME_OBJECT
    return found


def _flat(graph: object) -> nx.MultiDiGraph:
    network = graph.to_networkx()  # type: ignore[attr-defined]
    attributes = [network.graph, *(v for _, v in network.nodes(data=True))]
    for values in (*attributes, *(v for *_, v in network.edges(data=True))):
        for name, value in list(values.items()):
            if value is None:
                del values[name]
            elif isinstance(value, list | dict):
                values[name] = json.dumps(value)
    return network


def claims(count: int) -> list[str]:
    """Claims a second from boxes to decision, and from a Parquet file to another."""
    model, rule = TrustModel.load(), DecisionRule.plain(0.8)
    _judge(model, rule, _inputs(16_384))
    rates = []
    for start in range(0, count, CHUNK):
        inputs = _inputs(min(CHUNK, count - start))
        clock, used = time.perf_counter(), time.process_time()
        _judge(model, rule, inputs)
        rates.append((len(inputs) / (time.perf_counter() - clock),
                      1e6 * (time.process_time() - used) / len(inputs)))  # fmt: skip
    rate, spent = np.median(rates, axis=0)
    rows = min(count, 200_000)
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 0.5, (2, rows, 2))
    boxes = np.concatenate([low, low + generator.uniform(0.05, 0.5, (2, rows, 2))], axis=2)
    given = pa.table(
        {
            "subject": generator.choice(["mug", "cup", "table"], rows),
            "relation": generator.choice(["left of", "on", "above", "near"], rows),
            "object": generator.choice(["kettle", "shelf", "box"], rows),
            "subject_box": list(boxes[0]),
            "object_box": list(boxes[1]),
            "image": [f"{row // 20}.jpg" for row in range(rows)],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.parquet"
        write_table(given, file)
        clock, used = time.perf_counter(), time.process_time()
        found = verify(file, box_format="xyxy", box_unit="fraction")
        write_results(found.verdicts.data, Path(folder) / "verdicts.parquet")
        whole = rows / (time.perf_counter() - clock)
        each = 1e6 * (time.process_time() - used) / rows
    return [
        "## Claims", "",
        f"From boxes to decision {rate:,.0f} claims/s ({spent:.2f} us of CPU a claim), "
        f"from a Parquet file to another, with all columns and checks, {whole:,.0f} claims/s "
        f"({each:.2f} us of CPU a claim).",
    ]  # fmt: skip


def runs(sizes: list[int], picture: Path | None) -> list[str]:
    """CPU of folder runs with recorded boxes by their size, and the line through it."""
    lines = [
        "## Folder runs with recorded boxes: graphs as JSON and GraphML", "",
        "| images | CPU s without overlays | with | ms an image added |",
        "|---|---|---|---|",
    ]  # fmt: skip
    spent: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        run_over(Path(folder) / "first", 8, overlays=True)  # imports count once
        for size in sizes:
            spent.append(
                tuple(
                    run_over(Path(folder) / f"{size}{overlays}", size, overlays=overlays)[0]
                    for overlays in (False, True)
                )
            )
    added = [(np.nan, np.nan), *(np.diff(spent, axis=0) / np.diff(sizes)[:, None]).tolist()]
    for size, (plain, drawn), (less, more) in zip(sizes, spent, added, strict=True):
        last = "" if np.isnan(less) else f"{less * 1e3:.1f}, with overlays {more * 1e3:.1f}"
        lines.append(f"| {size} | {plain:.2f} | {drawn:.2f} | {last} |")
    for name, column in zip(
        ("graphs", "graphs and overlays"), zip(*spent, strict=True), strict=True
    ):
        each, start = np.polyfit(sizes, column, 1)
        off = np.abs(np.polyval([each, start], sizes) / column - 1).max()
        lines += ["", f"{name.capitalize()}: {start:.2f} s and {each * 1e3:.1f} ms an image; no "
                  f"size is off this line by more than {off:.0%}."]  # fmt: skip
    if picture:
        _plot(sizes, spent, picture)
        lines += ["", f"![CPU seconds over images]({picture.name})"]
    return lines


def run_over(folder: Path, images: int, *, overlays: bool) -> tuple[float, Path]:
    """CPU seconds of a run over so many pictures, the same few under new names; and one graph."""
    listed = json.loads((SCENES / "boxes.json").read_text())
    boxes = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for scene in listed:
        shutil.copy(SCENES / scene["file_name"], folder / scene["file_name"])
    for number in range(images):
        scene = listed[number % len(listed)]
        name = f"{number:06d}.jpg"
        (folder / "images" / name).hardlink_to(folder / scene["file_name"])
        boxes.append({**scene, "file_name": name})
    (folder / "boxes.json").write_text(json.dumps(boxes))
    config = RunConfig(detector=f"recorded:{folder / 'boxes.json'}", overlays=overlays)
    spent = cpu(lambda: execute(prepare(config, folder / "run", [folder / "images"])))
    return spent, folder / "run" / "graphs" / "000000.jpg.json"


def _plot(sizes: list[int], spent: list[tuple[float, float]], picture: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(figsize=(5, 3.4), constrained_layout=True)
    for name, column in zip(
        ("graphs", "graphs and overlays"), zip(*spent, strict=True), strict=True
    ):
        axes.loglog(sizes, column, "o-", label=name)
    linear = spent[-1][1] * np.array(sizes) / sizes[-1]
    axes.loglog(sizes, linear, ":", color="grey", label="linear")
    axes.set_xlabel("images")
    axes.set_ylabel("CPU seconds")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.legend(frameon=False)
    plt.savefig(picture, dpi=110)
    plt.close()


if __name__ == "__main__":
    main()
