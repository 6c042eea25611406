"""The page that ``spatialtrust label`` writes: its sheet, to be judged by looking and two keys.

What the model thinks of a claim is not in it, as it is not in the sheet.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialtrust.documents import loads
from spatialtrust.jobs.label_sheet import COLUMNS, read_sheet
from spatialtrust.relations import RELATIONS
from spatialtrust.report.page import as_json, element, packed, write_page
from spatialtrust.report.pictures import address, embedded, problem_of
from spatialtrust.report.writing import BLOCK
from spatialtrust.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spatialtrust.jobs.label_sheet import Sheet


def write_label_page(run: str | Path, sheet: str | Path, *, embed_images: bool = False) -> Path:
    """Write a page beside a sheet of claims to judge; it has the sheet's name.

    Parameters
    ----------
    run: folder of the run that the claims are of.
    sheet: the CSV that ``spatialtrust label`` wrote.
    embed_images: see :func:`spatialtrust.report.writing.write_report`.

    Raises
    ------
    FileError: the sheet cannot be read, or the page not written.
    """
    source = Path(sheet)
    target = source.with_suffix(".html")
    held = read_sheet(source)
    with RunFolder(run) as folder:
        folder.require(["images"])
        images = folder.whole("images")
        places = zip(images["image_id"].to_pylist(), images["uri"].to_pylist(), strict=True)
        uris = dict(places)
        name = folder.path.resolve().name
    write_page(target, f"{name} - judge", _data(held, uris, target, name, embed_images))
    return target


def _data(
    sheet: Sheet, uris: dict[str, str | None], target: Path, name: str, embed: bool
) -> Iterator[str]:
    """The elements of the page: the sheet's rows by image, in the order of the sheet."""
    rows = [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]
    order: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        order.setdefault(row.get("image", ""), []).append(row)
    images: dict[str, list[Any]] = {key: [] for key in ("id", "src", "w", "h", "status", "first")}
    blocks: list[Any] = []
    total = 0
    for number, (image, here) in enumerate(order.items()):
        uri = uris.get(image)
        gone = problem_of(uri) == "gone"
        shown = None if gone or uri is None else uri
        if embed and shown is not None and (text := embedded(shown)):
            yield element(f"data-image-{number}", "text/plain", text)
        facts = {
            "id": image,
            "src": "" if uri is None or embed else address(uri, target),
            "w": _whole(here[0].get("width", "")),
            "h": _whole(here[0].get("height", "")),
            "status": "the image is gone" if gone else "",
            "first": total,
        }
        for key, value in facts.items():
            images[key].append(value)
        total += len(here)
        blocks.append(_shown(here))
    for start in range(0, len(blocks), BLOCK):
        piece = packed(blocks[start : start + BLOCK])
        yield element(f"data-block-{start // BLOCK}", "text/plain", piece)
    told = json.dumps([sheet.columns, [row.get("claim_id") for row in rows]])
    head = {
        "kind": "label",
        "title": name,
        "key": hashlib.sha256(f"{target.resolve()}\n{told}".encode(errors="replace")).hexdigest()[
            :16
        ],
        "block": BLOCK,
        "embedded": embed,
        "notes": [],
        "predicates": {
            name: RELATIONS[name].predicate
            for name in sheet.column("relation")
            if name in RELATIONS
        },
        "images": images,
        "edges": {"count": total},
        "sheet": {**sheet.to_dict(), "random": sorted(sheet.drawn_at_random())},
        "sheet_columns": list(COLUMNS),
    }
    yield element("data-head", "application/json", as_json(head))


def _shown(rows: list[dict[str, str]]) -> dict[str, Any]:
    """What the page shows of one image's rows: two objects each, and what is said of them."""
    objects: dict[str, list[Any]] = {key: [] for key in ("id", "name", "phrase", "box", "score")}
    edges: dict[str, list[Any]] = {key: [] for key in ("id", "s", "o", "relation", "caption")}
    for row in rows:
        for end, side in (("subject", "s"), ("object", "o")):
            box, phrase = _box(row.get(f"{end}_box", "")), row.get(end, "")
            if box is None:
                edges[side].append(-1)
                continue
            edges[side].append(len(objects["id"]))
            named = {"id": "", "name": phrase, "phrase": phrase, "box": box, "score": None}
            for key, value in named.items():
                objects[key].append(value)
        edges["id"].append(row["claim_id"])
        edges["relation"].append(row.get("relation", ""))
        edges["caption"].append(row.get("caption", ""))
    return {"objects": objects, "edges": edges}


def _box(cell: str) -> list[float] | None:
    """Four numbers of a cell; None where it holds none."""
    try:
        values = loads(cell)
        box = [float(value) for value in values]
    except (ValueError, TypeError):
        return None
    return box if len(box) == 4 and all(value - value == 0 for value in box) else None


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None
