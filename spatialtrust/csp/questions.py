"""Questions about objects whose places are known: from claims, question files, runs and boxes.

All become one table, :data:`SCHEMA`. A row that cannot be used is left out and counted by reason.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.csp.existence import is_pope, read_pope
from spatialtrust.csp.regions import covered
from spatialtrust.documents import loads
from spatialtrust.errors import ColumnError, FileError, InputError
from spatialtrust.io.boxes import WHOLE_IMAGE
from spatialtrust.io.claim_files import read_claims
from spatialtrust.io.images import find_images, read_header
from spatialtrust.io.rows import read_rows
from spatialtrust.questions.prompts import question
from spatialtrust.replies import parse_answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spatialtrust.io.rows import RawRows
    from spatialtrust.tables import Claims, Grounding

SCHEMA: Final = pa.schema(
    [
        ("question_id", pa.string()),
        ("image", pa.string()),
        ("uri", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("group", pa.string()),
        ("regions", pa.string()),
    ]
)
"""``image``: its name; ``uri``: where it is; ``answer``: the right one; ``group``: relation or kind
of question; ``regions``: JSON list of the key objects, see ``regions.covered``."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions that can be built from, and what was left out.

    Attributes
    ----------
    table: rows of ``SCHEMA``, sorted by image, then ``question_id``.
    dropped: reason to number of rows.
    notes: what was inferred, a sentence each.
    yes_or_no: whether all answers are yes or no.
    """

    table: pa.Table
    dropped: dict[str, int]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def has_regions(self) -> bool:
        """Whether every question has the places of its objects."""
        return "[]" not in self.table["regions"].unique().to_pylist()

    @property
    def yes_or_no(self) -> bool:
        """Whether all answers are yes or no."""
        return set(self.table["answer"].unique().to_pylist()) <= {"yes", "no"}


def read_questions(source: Path, images: Path | None = None) -> Questions:
    """Questions of a claims file, a question file, or a run folder.

    Parameters
    ----------
    source: a run folder with labelled claims; or ``.jsonl``, ``.csv``, ``.parquet`` (``.gz``): with
        ``question``, ``answer`` and ``objects`` (a JSON list of boxes, polygons or masks), or
        claims as ``verify`` reads them, with ``label`` and both boxes, or a POPE file, whose
        questions have no regions.
    images: folder that the file's image names are relative to; default: the file's own. A run
        folder knows where its images are.

    Raises
    ------
    FileError, ColumnError: the file cannot be used.
    InputError: no row of it can.
    """
    if source.is_dir():
        return _finish(*_from_run(source))
    rows = read_rows(source)
    if is_pope(rows.table.column_names):
        found = _from_pope(source)
    elif "question" in rows.table.column_names:
        found = _from_questions(rows, source)
    else:
        found = _from_claims(source)
    return _finish(*_located(*found, source, images or source.parent))


Rows = list[dict[str, Any]]


def _from_questions(raw: RawRows, source: Path) -> tuple[Rows, Counter[str], tuple[str, ...]]:
    if raw.broken is not None:
        raise raw.broken
    table = raw.table
    for name in ("image", "answer", "objects"):
        if name not in table.column_names:
            raise ColumnError(
                source, name, "is missing", "a question file has image, question, answer, objects"
            )
    said = parse_answers(table["answer"]).to_pylist()
    kept: Rows = []
    dropped: Counter[str] = Counter()
    for place, row in enumerate(table.to_pylist()):
        if raw.unreadable[place]:
            dropped["row_unreadable"] += 1
            continue
        answer = said[place] if said[place] in ("yes", "no") else str(row["answer"] or "").strip()
        regions = listed_regions(row["objects"])
        if not row["question"] or not answer or not row["image"]:
            dropped["incomplete"] += 1
        elif not regions:
            dropped["no_objects"] += 1
        else:
            kept.append(
                {
                    "question_id": str(row.get("question_id") or f"{place:07d}"),
                    "image": str(row["image"]),
                    "question": str(row["question"]).strip(),
                    "answer": answer,
                    "group": str(row.get("group") or "question"),
                    "regions": regions,
                }
            )
    return kept, dropped, (*raw.notes, *map(str, raw.faults[:5]))


def _from_pope(source: Path) -> tuple[Rows, Counter[str], tuple[str, ...]]:
    rows = [{**row, "group": "existence", "regions": []} for row in read_pope(source)]
    return rows, Counter(), ()


def listed_regions(value: Any) -> list[Any]:
    """The objects of a cell: a list, or JSON of one; empty where it is neither."""
    if isinstance(value, str):
        try:
            value = loads(value)
        except ValueError:
            return []
    if not isinstance(value, list) or not value:
        return []
    return [value] if not isinstance(value[0], list | dict) else value


def _from_claims(source: Path) -> tuple[Rows, Counter[str], tuple[str, ...]]:
    given = read_claims(source)
    if given.broken is not None:
        raise given.broken
    kept, dropped = claim_rows(given.claims, given.grounding, given.convention.unit)
    return kept, dropped, given.notes


def claim_rows(
    claims: Claims, grounding: Grounding, unit: str = "pixel"
) -> tuple[Rows, Counter[str]]:
    """Labelled claims with both boxes, as questions about two regions."""
    label = claims.numbers("label")
    boxes = np.stack([grounding.subject_box, grounding.object_box], axis=1)
    seen = np.asarray(np.isfinite(boxes).all(axis=(1, 2)))
    names = ("claim_id", "image_id", "subject", "relation", "object")
    columns = [claims.strings(name) for name in names]
    kept: Rows = []
    dropped: Counter[str] = Counter()
    for place, (claim_id, image, subject, relation, other) in enumerate(zip(*columns, strict=True)):
        if not np.isfinite(label[place]):
            dropped["not_labelled"] += 1
        elif not (subject and relation and other):
            dropped["claim_not_read"] += 1
        elif not seen[place]:
            dropped["no_objects"] += 1
        else:
            kept.append(
                {
                    "question_id": str(claim_id),
                    "image": str(image),
                    "question": question((subject, relation, other)),
                    "answer": "yes" if label[place] == 1 else "no",
                    "group": relation,
                    # The same two objects are the same regions, whichever is named first.
                    "regions": sorted(boxes[place].astype(float).tolist()),
                    "scale": WHOLE_IMAGE.get(unit),
                }
            )
    return kept, dropped


def _from_run(folder: Path) -> tuple[Rows, Counter[str], tuple[str, ...]]:
    from spatialtrust.claims.grounding import ground
    from spatialtrust.run.folder import RunFolder
    from spatialtrust.tables import Claims, Detections, Images

    with RunFolder(folder) as run:
        run.require(["images", "detections", "claims"])
        listed = Images.from_arrow(run.whole("images"))
        claims = Claims.from_arrow(run.whole("claims"))
        detections = Detections.from_arrow(run.whole("detections"))
    rows, dropped = claim_rows(claims, ground(claims, detections, listed))
    uris = dict(zip(listed.strings("image_id"), listed.strings("uri"), strict=True))
    return [{**row, "uri": uris[row["image"]]} for row in rows], dropped, ()


def _located(
    rows: Rows, dropped: Counter[str], notes: tuple[str, ...], source: Path, images: Path
) -> tuple[Rows, Counter[str], tuple[str, ...]]:
    """The rows with the place of their image, found by its path, else by its unique base name."""
    if not images.is_dir():
        raise FileError(images, "is no folder", "give the folder that the image names start from")
    listed = find_images([images]).images
    by_id = dict(zip(listed["image_id"].to_pylist(), listed["uri"].to_pylist(), strict=True))
    count = Counter(Path(name).name for name in by_id)
    by_name = {Path(name).name: uri for name, uri in by_id.items() if count[Path(name).name] == 1}
    kept: Rows = []
    for row in rows:
        uri = by_id.get(row["image"]) or by_name.get(Path(row["image"]).name)
        if uri is None:
            dropped["image_missing"] += 1
        else:
            kept.append({**row, "uri": uri})
    if rows and not kept:
        raise InputError(
            f"{source}: none of its {len(rows)} images is in {images}, such as "
            f'"{rows[0]["image"]}"; give --images, the folder that the names are relative to'
        )
    return kept, dropped, notes


def _finish(rows: Rows, dropped: Counter[str], notes: tuple[str, ...]) -> Questions:
    kept = list(_checked(rows, dropped))
    if not kept:
        raise InputError(
            "no question can be used"
            + (f" ({', '.join(f'{n} {why}' for why, n in dropped.items())})" if dropped else "")
            + "; each needs an answer, its image, and a region for every key object"
        )
    kept.sort(key=lambda row: (row["image"], row["question_id"]))
    return Questions(pa.Table.from_pylist(kept, SCHEMA), dict(dropped), notes)


def _checked(rows: Rows, dropped: Counter[str]) -> Iterable[dict[str, Any]]:
    """Rows whose image can be read and whose regions are on it."""
    sizes: dict[str, tuple[int, int] | None] = {}
    for row in rows:
        uri = row["uri"]
        if uri not in sizes:
            header = read_header(uri)
            known = header.status == "ok" and header.height and header.width
            sizes[uri] = (header.height or 0, header.width or 0) if known else None
        size = sizes[uri]
        if size is None:
            dropped["image_unreadable"] += 1
            continue
        regions = _in_pixels(row["regions"], row.pop("scale", None), size)
        try:
            for region in regions:
                covered(size, region)
        except InputError:
            dropped["region_outside"] += 1
            continue
        yield {**row, "regions": json.dumps(regions)}


def _in_pixels(regions: Sequence[Any], whole: float | None, size: tuple[int, int]) -> Sequence[Any]:
    """Boxes given as shares of the image, in its pixels."""
    if whole is None:
        return regions
    height, width = size
    factor = np.array([width, height, width, height]) / whole
    return [(np.asarray(box) * factor).tolist() for box in regions]
