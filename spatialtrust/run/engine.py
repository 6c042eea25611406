"""Runs stages over images into a run folder: streaming, resumable, here or on a cluster.

The unit of work is a part: some hundred whole images. A part goes through the stages one after the
other and each table is written as soon as it is made, so after a kill at any point a part goes on
behind the last table it has. Under Ray the same steps run on the same parts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.errors import InputError
from spatialtrust.graph.files import check_image_ids
from spatialtrust.run.changes import changed_parts
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.parts import FIRST_TABLE, Part, run_part
from spatialtrust.schema import IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from spatialtrust.run.parts import Source, Stage

    Progress = Callable[[int], None]

ENGINES: Final = ("local", "ray")
_DIGITS: Final = 8


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
            from spatialtrust.run.on_ray import run_on_ray

            done: Iterator[int] = run_on_ray(stages, work, folder.path)
        else:
            done = (run_part(stages, part, folder) for part in work)
        for images in done:
            if progress is not None:
                progress(images)


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
    changed = changed_parts(folder, source)
    for name in changed:
        folder.drop_part(name)
    begun = sorted({*folder.parts(FIRST_TABLE), *changed})
    have = {stage.writes: set(folder.parts(stage.writes)) for stage in stages}
    known = set()
    for name in begun:
        if name in changed:
            known.update(changed[name]["image_id"].to_pylist())
            yield Part(name, 0, source.batch(changed[name]))
            continue
        images = folder.read(FIRST_TABLE, name)
        check_image_ids(images["image_id"].to_pylist(), folder.path / FIRST_TABLE)
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


def _digest(settings: Any) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
