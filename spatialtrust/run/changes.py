"""Images that are not what they were when a run looked at them.

Nothing but its content says whether an image is the same, so a run that goes on reads each once
more: one that was changed is looked at again, and so is one that could not be read and now can.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from spatialtrust.errors import FileError
from spatialtrust.io.images import read_header, read_image
from spatialtrust.run.parts import FIRST_TABLE

if TYPE_CHECKING:
    from spatialtrust.run.folder import RunFolder
    from spatialtrust.run.parts import Source

log: Final = logging.getLogger("spatialtrust")

_OF_FILE: Final = ("width", "height", "sha256", "status")


def changed_parts(folder: RunFolder, source: Source) -> dict[str, pa.Table]:
    """Parts of a run to make again, each with its images (``image_id``, ``uri``).

    Only images that the source lists are looked at; without a list nothing is.
    """
    changed: dict[str, pa.Table] = {}
    if source.images is None:
        return changed
    given = {row["image_id"]: row["uri"] for row in source.images.to_pylist()}
    images = 0
    for name in folder.parts(FIRST_TABLE):
        rows = folder.read(FIRST_TABLE, name).to_pylist()
        count = sum(
            _differs(row, given[row["image_id"]]) for row in rows if row["image_id"] in given
        )
        count = count or _readable_now(folder, name, given)
        if count:
            images += count
            ids = [row["image_id"] for row in rows]
            uris = [given.get(row["image_id"], row["uri"]) for row in rows]
            columns = {"image_id": pa.array(ids, pa.string()), "uri": pa.array(uris, pa.string())}
            changed[name] = pa.table(columns)
    if images:
        problem = "images are not what they were, or can be read now"
        log.warning("%d %s; their %d parts are made again", images, problem, len(changed))
    return changed


def _differs(before: dict[str, Any], uri: str) -> bool:
    return tuple(before[name] for name in _OF_FILE) != tuple(read_header(uri))


def _readable_now(folder: RunFolder, part: str, given: dict[str, str]) -> int:
    """How many of a part's images have pixels now that could not be read when it was made."""
    if not folder.has("scenes", part):
        return 0
    count = 0
    for row in folder.read("scenes", part).select(["image_id", "status"]).to_pylist():
        uri = given.get(row["image_id"])
        if row["status"] != "ok" and uri is not None and read_header(uri).status == "ok":
            try:
                read_image(uri)
            except FileError:
                continue
            count += not row["status"].startswith(("failed", "not drawn"))
    return count
