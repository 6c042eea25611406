"""What stages share: pixels, boxes, answers, and models that load late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import pyarrow as pa

from spatialtrust.backends.ahead import ahead
from spatialtrust.claims.grounding import ground
from spatialtrust.errors import FileError
from spatialtrust.fusion.model import threads
from spatialtrust.io.images import read_image
from spatialtrust.run.batches import detach
from spatialtrust.tables import Answers, Claims, Detections, Images

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from spatialtrust.tables import Grounding

S = TypeVar("S")


def pixels_of(batch: pa.Table, *, needed: bool) -> tuple[dict[str, NDArray[np.uint8]], pa.Table]:
    """Pixels of the readable images, and the batch with the status of those that are not.

    Images are decoded on threads. Where no pixels are needed an image is an empty array of its
    size, (H, W, 0).
    """

    def read(row: dict[str, Any]) -> NDArray[np.uint8] | str:
        if row["status"] != "ok":
            return str(row["status"])
        if not needed:
            return np.empty((row["height"], row["width"], 0), dtype=np.uint8)
        try:
            return read_image(row["uri"])
        except FileError as error:
            return f"unreadable: {error}"

    rows = batch.select(Images.schema.names).to_pylist()
    count = threads() if needed else 1
    found = list(ahead(read, rows, count if count > 1 else 0))
    pixels = {
        row["image_id"]: made
        for row, made in zip(rows, found, strict=True)
        if not isinstance(made, str)
    }
    statuses = [made if isinstance(made, str) else "ok" for made in found]
    place = batch.schema.get_field_index("status")
    statuses_of = pa.array(statuses, pa.string())
    return pixels, batch.set_column(place, batch.schema.field(place), statuses_of)


def grounding_of(batch: pa.Table, claims: Claims) -> Grounding:
    """The boxes of each claim."""
    images = Images(batch.select(Images.schema.names))
    return ground(claims, detach(batch, "detections", Detections), images)


def answers_of(batch: pa.Table) -> Answers | None:
    """What a VLM said; None where none was asked."""
    return detach(batch, "answers", Answers) if "answers" in batch.column_names else None


def opened_by(stage: S, opened: Callable[[], Any]) -> S:
    """The stage, which gets its model from whoever has it open already in this process."""
    stage.__dict__["_opened"] = opened
    return stage


def loaded(stage: Any, load: Callable[[], Any]) -> Any:
    """A model that is loaded once in each process and never travels with its stage."""
    if "_model" not in stage.__dict__:
        stage.__dict__["_model"] = stage.__dict__.get("_opened", load)()
    return stage.__dict__["_model"]


def without_model(stage: Any) -> dict[str, Any]:
    """A stage's state as it travels to another process."""
    return {name: value for name, value in stage.__dict__.items() if name not in _STAY}


_STAY: Final = ("_model", "_opened")
