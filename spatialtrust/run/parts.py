"""A part of a run, some hundred whole images, and a stage's step on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from spatialtrust.run.batches import nest, unnest
from spatialtrust.schema import IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spatialtrust.run.folder import RunFolder

IMAGES_PER_PART: Final = 128
FIRST_TABLE: Final = "images"


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
