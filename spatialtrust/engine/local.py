"""Runs stages over images into a run folder: streaming, resumable, here or on a cluster.

The unit of work is a part: some hundred whole images. A part goes through the stages one after the
other and each table is written as soon as it is made, so after a kill at any point a part goes on
behind the last table it has. Under Ray the same steps run on the same parts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.batches import nest, unnest
from spatialtrust.errors import InputError
from spatialtrust.io.runs import RunFolder
from spatialtrust.schema import IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Progress = Callable[[int], None]

IMAGES_PER_PART: Final = 128
ENGINES: Final = ("local", "ray")
FIRST_TABLE: Final = "images"
_DIGITS: Final = 8


class Stage(Protocol):
    """What the engine needs to know of a stage.

    Attributes
    ----------
    writes: the table it adds to a batch.
    reads, may_read: tables that must be there, and tables that are used if they are.
    costly: what it made is not made again just because a setting changed.
    loads_model: it is worth a process of its own under Ray, with so many ``gpus``.
    """

    writes: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    may_read: ClassVar[tuple[str, ...]]
    costly: ClassVar[bool]

    @property
    def loads_model(self) -> bool:
        """Whether a model is loaded at the first batch."""
        ...

    @property
    def gpus(self) -> float:
        """GPUs of one copy."""
        ...

    def settings(self) -> dict[str, Any]:
        """What the result depends on, JSON-ready."""
        ...

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch with this stage's table."""
        ...


@dataclass(frozen=True)
class Source:
    """What a run is fed with.

    Attributes
    ----------
    images: ``image_id`` and ``uri``, sorted; None: the images that the run folder has.
    side: further rows by image (recorded boxes, the user's claims), each with ``image_id``; a batch
        gets the rows of its images as a column of that name.
    part_size: images in a part.
    """

    images: pa.Table | None = None
    side: Mapping[str, pa.Table] = field(default_factory=dict)
    part_size: int = IMAGES_PER_PART

    def batch(self, images: pa.Table) -> pa.Table:
        """Some images, sorted, with what goes with them."""
        for name, rows in self._sorted.items():
            images = nest(images, name, _between(rows, images["image_id"]))
        return images

    @cached_property
    def _sorted(self) -> dict[str, pa.Table]:
        return {name: rows.sort_by("image_id") for name, rows in self.side.items()}


@dataclass(frozen=True)
class Part:
    """Work to do: stages from number ``first`` on.

    Attributes
    ----------
    name: of the part in every table.
    first: the first stage whose table lacks the part.
    batch: the images and what the source has for them.
    """

    name: str
    first: int
    batch: pa.Table


def run(
    stages: Sequence[Stage],
    source: Source,
    sink: str | Path,
    engine: str = "local",
    *,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    remake: bool = False,
) -> None:
    """Run stages over a source's images and write their tables into a run folder.

    Parts that a table has already are kept if they were made with the same settings; if not, cheap
    tables are made again, and for costly ones (detections, answers) it is an error.

    Parameters
    ----------
    stages: in order; each finds what it reads in the folder or is preceded by what makes it.
    source: images and what goes with them.
    sink: the run folder.
    engine: ``local``: one part after the other in this process, one in memory at a time.
        ``ray``: parts spread over a cluster; the folder must be reachable from all of it.
    facts: written into the manifest.
    progress: called with the number of images of each part that is done.
    remake: make costly tables again too where settings differ.

    Raises
    ------
    FileError: another process uses the folder, or it cannot be written.
    SchemaVersionError: another version of the package made it.
    InputError: a table that is needed is missing, or a costly one was made with other settings.
    MissingDependencyError: Ray is not installed.
    """
    if engine not in ENGINES:
        raise InputError(f'engine "{engine}" is not known; valid: {", ".join(ENGINES)}')
    with RunFolder(sink) as folder:
        made_here = {stage.writes for stage in stages}
        folder.require([name for stage in stages for name in stage.reads if name not in made_here])
        planned = _plan(folder, stages)
        _drop_stale(folder, planned, remake=remake)
        folder.record(planned, **(facts or {}))
        work = _work(folder, stages, source)
        if engine == "ray":
            from spatialtrust.engine.on_ray import run_on_ray

            done: Iterator[int] = run_on_ray(stages, work, folder.path)
        else:
            done = (run_part(stages, part, folder) for part in work)
        for images in done:
            if progress is not None:
                progress(images)


def run_part(stages: Sequence[Stage], part: Part, folder: RunFolder) -> int:
    """All stages that a part still needs; the number of its images."""
    batch = load(stages, part, folder)
    for number in range(part.first, len(stages)):
        batch = step(stages[number], part.name, batch, folder)
    return int(batch.num_rows)


def load(stages: Sequence[Stage], part: Part, folder: RunFolder) -> pa.Table:
    """A part's batch with the tables that its remaining stages read and the folder has."""
    remaining = stages[part.first :]
    made = {stage.writes for stage in remaining}
    names = {name for stage in remaining for name in (*stage.reads, *stage.may_read)}
    batch = part.batch
    claims = None
    for name in sorted(names - made - {FIRST_TABLE}, key=lambda name: name != "claims"):
        if not folder.has(name, part.name):
            continue
        rows = folder.read(name, part.name)
        owner = None
        if "image_id" not in rows.column_names:
            claims = folder.read("claims", part.name) if claims is None else claims
            row = pc.index_in(rows["claim_id"], value_set=claims["claim_id"].combine_chunks())
            owner = claims["image_id"].take(row)
        batch = nest(batch, name, rows, owner)
    return batch


def step(stage: Stage, part: str, batch: pa.Table, folder: RunFolder) -> pa.Table:
    """One stage on one part, its table written."""
    batch = stage(batch)
    first = stage.writes == FIRST_TABLE
    rows = batch.select(IMAGES.names) if first else unnest(batch, stage.writes)
    folder.write(stage.writes, part, rows)
    return batch


def _plan(folder: RunFolder, stages: Sequence[Stage]) -> dict[str, Any]:
    """What each table will have been made with: its stage's settings, and the tables behind it."""
    planned: dict[str, Any] = {}
    for stage in stages:
        behind = {}
        for name in (*stage.reads, *stage.may_read):
            settings = planned.get(name, folder.settings(name))
            if settings is not None:
                behind[name] = _digest(settings)
        planned[stage.writes] = {
            "made_with": stage.settings(),
            "from": behind,
            "costly": stage.costly,
        }
    return planned


def _drop_stale(folder: RunFolder, planned: Mapping[str, Any], *, remake: bool) -> None:
    """Remove tables that were made with other settings, or from tables that were."""
    tables = {**folder.manifest["tables"], **planned}
    stale: list[str] = []
    for name, recorded in folder.manifest["tables"].items():
        behind = recorded["from"]
        differs = name in planned and recorded != planned[name]
        if differs or any(_digest(tables[b]) != digest for b, digest in behind.items()):
            stale.append(name)
    # What stands on a table that goes has to go too.
    while True:
        more = [
            name
            for name, recorded in folder.manifest["tables"].items()
            if name not in stale and any(behind in stale for behind in recorded["from"])
        ]
        if not more:
            break
        stale += more
    for name in stale:
        recorded = folder.manifest["tables"][name]
        if recorded["costly"] and not remake and folder.parts(name):
            now = planned.get(name, recorded)["made_with"]
            behind = " and ".join(b for b in recorded["from"] if b in stale)
            why = f"of {behind} that were other ones then"
            if now != recorded["made_with"]:
                why = f"with {json.dumps(recorded['made_with'])}, you ask for {json.dumps(now)}"
            raise InputError(
                f"{folder.path}: its {name} were made {why}; give another --out, or --remake to "
                "make them again"
            )
    for name in stale:
        folder.drop(name)
        if name not in planned:
            del folder.manifest["tables"][name]


def _work(folder: RunFolder, stages: Sequence[Stage], source: Source) -> Iterator[Part]:
    """Parts that lack a table, then the source's images that are in no part yet."""
    begun = folder.parts(FIRST_TABLE)
    have = {stage.writes: set(folder.parts(stage.writes)) for stage in stages}
    known = set()
    for name in begun:
        images = folder.read(FIRST_TABLE, name)
        known.update(images["image_id"].to_pylist())
        first = next((i for i, s in enumerate(stages) if name not in have[s.writes]), None)
        if first is not None:
            yield Part(name, first, source.batch(images.select(IMAGES.names)))
    if source.images is None:
        return
    fresh = source.images
    if known:
        fresh = fresh.filter(pc.invert(pc.is_in(fresh["image_id"], pa.array(sorted(known)))))
    number = int(begun[-1]) + 1 if begun else 0
    for start in range(0, fresh.num_rows, source.part_size):
        batch = source.batch(fresh.slice(start, source.part_size))
        yield Part(f"{number:0{_DIGITS}d}", 0, batch)
        number += 1


def _between(rows: pa.Table, image_ids: pa.ChunkedArray) -> pa.Table:
    """The rows, sorted by image, from the first of some sorted images to the last."""
    low, high = image_ids[0].as_py(), image_ids[-1].as_py()
    start, end = (
        _place(rows["image_id"], key, after=after) for key, after in ((low, 0), (high, 1))
    )
    return rows.slice(start, end - start)


def _place(column: pa.ChunkedArray, key: str, *, after: int) -> int:
    """Where a key would be put into a sorted column: before its equals, or after them."""
    low, high = 0, len(column)
    while low < high:
        middle = (low + high) // 2
        value = column[middle].as_py()
        if value < key or (after and value == key):
            low = middle + 1
        else:
            high = middle
    return low


def _digest(settings: Any) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
