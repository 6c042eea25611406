"""The engine's steps on a Ray cluster, through Ray Data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from spatialtrust.errors import InputError, MissingDependencyError
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.parts import Part, load, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from spatialtrust.run.parts import Stage

    Row = dict[str, Any]


def run_on_ray(stages: Sequence[Stage], work: Iterable[Part], path: Path) -> Iterator[int]:
    """Run parts through the stages; yields the number of images of each part that is done.

    A part is one row, so it stays whole. Stages with a model are actors, which load it once and
    take ``gpus`` each; runs of stages without one are tasks.

    Raises
    ------
    MissingDependencyError: Ray is not installed.
    InputError: the cluster has too few CPUs for an actor per model and one task.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("ray", extra="ray", purpose="--engine ray") from error
    rows = [{"part": part.name, "first": part.first, "batch": _pack(part.batch)} for part in work]
    if not rows:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    groups = _groups(stages)
    actors = sum(stage.loads_model and not stage.gpus for _, stage, *_ in groups)
    cluster = cast("Any", ray)
    resources: dict[str, float] = cluster.cluster_resources()
    cpus = resources.get("CPU", 0.0)
    if actors >= cpus:
        raise InputError(
            f"the cluster has {cpus:g} CPUs, and {actors} stages "
            "keep one each for their model; add one, or use --engine local"
        )
    loading = _Load(tuple(stages), str(path))
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(loading)
    for group in groups:
        stage = group[1]
        if stage.loads_model:
            data = data.map(
                cast("Any", _Steps),
                fn_constructor_args=(group, str(path)),
                concurrency=1 if not stage.gpus else (1, len(rows)),
                num_gpus=stage.gpus or None,
                num_cpus=0 if stage.gpus else 1,
            )
        else:
            data = data.map(_Steps(group, str(path)))
    for row in data.map(_count).iter_rows():
        yield int(row["images"])


class _Load:
    """Adds what the folder has of a part to its row."""

    def __init__(self, stages: tuple[Stage, ...], path: str) -> None:
        self._stages, self._path = stages, path

    def __call__(self, row: Row) -> Row:
        part = Part(row["part"], row["first"], _unpack(row["batch"]))
        return {**row, "batch": _pack(load(self._stages, part, RunFolder(self._path)))}


class _Steps:
    """Stages in a row, each with its number: what a part has already is passed over."""

    def __init__(self, group: tuple[Any, ...], path: str) -> None:
        self._first, *self._stages = group
        self._path = path

    def __call__(self, row: Row) -> Row:
        batch = _unpack(row["batch"])
        for number, stage in enumerate(self._stages, self._first):
            if number >= row["first"]:
                batch = step(stage, row["part"], batch, RunFolder(self._path))
        return {**row, "batch": _pack(batch)}


def _groups(stages: Sequence[Stage]) -> list[tuple[Any, ...]]:
    """(number of the first stage, stages ...): one model each, or all those between."""
    groups: list[tuple[Any, ...]] = []
    for number, stage in enumerate(stages):
        if groups and not stage.loads_model and not groups[-1][1].loads_model:
            groups[-1] = (*groups[-1], stage)
        else:
            groups.append((number, stage))
    return groups


def _count(row: Row) -> Row:
    return {"images": _unpack(row["batch"]).num_rows}


def _pack(batch: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def _unpack(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()
