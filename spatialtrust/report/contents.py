"""What a page holds of a run's graphs: columns over all edges, and blocks of what one image shows.

The columns are what the page filters and counts by, so they are there when it opens. Names, boxes
and sentences of an image are unpacked when that image is looked at.
"""

from __future__ import annotations

import base64
from array import array
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from spatialtrust.graph.candidates import CANDIDATES
from spatialtrust.graph.naming import display_names
from spatialtrust.graph.why import KINDS, Explainer
from spatialtrust.reasons import PROSE
from spatialtrust.relations import RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.graph import SceneGraph

UNKNOWN_P: Final = 65535
"""Stands for a probability that is not known."""
NO_LABEL: Final = 2
_SCALE: Final = 10_000
"""Probabilities are whole ten-thousandths."""
_KEPT: Final = (
    "claim_id", "relation", "asserted", "emitted", "p_true", "p_boxes", "label", "left_out",
)  # fmt: skip
"""Columns of candidates that figures are made of."""


@dataclass
class Contents:
    """Columns over all candidates, filled image by image.

    Attributes
    ----------
    labels: ``claim_id`` to what a person judged; it counts before a claim's own label.
    """

    labels: Mapping[str, int]
    images: list[dict[str, Any]] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    relations: dict[str, int] = field(default_factory=dict)
    reason_sets: dict[tuple[str, ...], int] = field(default_factory=dict)
    contradicts: bytearray = field(default_factory=bytearray)
    _relation: bytearray = field(default_factory=bytearray)
    _kind: bytearray = field(default_factory=bytearray)
    _label: bytearray = field(default_factory=bytearray)
    _reasons: array[int] = field(default_factory=lambda: array("H"))
    _p: array[int] = field(default_factory=lambda: array("H"))

    def add(self, image: dict[str, Any], graph: SceneGraph | None) -> dict[str, Any] | None:
        """Add an image and its candidates.

        Parameters
        ----------
        image: ``id``, ``src``, ``w``, ``h``, ``status``; where its edges begin is added.
        graph: None where it has none.

        Returns
        -------
        What the page shows of the image alone: its objects, and of each edge its ends and words.
        """
        self.images.append({**image, "first": len(self._kind)})
        if graph is None:
            return None
        names = display_names(graph)
        place = {name: number for number, name in enumerate(names)}
        explainer = Explainer(graph)
        shown: dict[str, list[Any]] = {name: [] for name in ("id", "s", "o", "sn", "on", "why")}
        shown |= {"meaning": [], "by": []}
        for row in graph.candidates.to_pylist():
            why = explainer.of(row)
            self._append(row, why.kind)
            shown["id"].append(_short(row["claim_id"], graph.image_id))
            shown["s"].append(place.get(row["subject_id"], -1))
            shown["o"].append(place.get(row["object_id"], -1))
            shown["why"].append(why.sentence)
            shown["meaning"].append(row["meaning"] or "")
            shown["by"].append(row["said_by"] or "")
            shown["sn"].append(why.subject if shown["s"][-1] < 0 else "")
            shown["on"].append(why.object if shown["o"][-1] < 0 else "")
        self.tables.append(graph.candidates.select(_KEPT))
        return {"objects": _objects(graph, names), "edges": shown}

    def _append(self, row: dict[str, Any], kind: str) -> None:
        """One candidate at the end of every column."""
        p, reasons = row["p_true"], tuple(row["reasons"])
        label = self.labels.get(row["claim_id"], row["label"])
        relation = row["relation"] or "no relation"
        self._relation.append(self.relations.setdefault(relation, len(self.relations)))
        self._kind.append(KINDS.index(kind))
        self._label.append(NO_LABEL if label is None else label)
        self._reasons.append(self.reason_sets.setdefault(reasons, len(self.reason_sets)))
        self._p.append(UNKNOWN_P if p is None or isnan(p) else round(p * _SCALE))
        self.contradicts.append("contradicts" in reasons)

    def candidates(self) -> pa.Table:
        """All candidates, with the columns that figures are made of; ``image``: number of each's.

        ``usable``: whether a threshold decides it, as :meth:`SceneGraph.by` takes it.
        """
        schema = pa.schema([CANDIDATES.field(name) for name in _KEPT])
        table = pa.concat_tables(self.tables) if self.tables else schema.empty_table()
        first = np.array([image["first"] for image in self.images], np.int64)
        counts = np.diff(first, append=len(self._kind))
        owner = np.repeat(np.arange(len(self.images)), counts)
        p_boxes = np.asarray(table["p_boxes"].to_numpy(), np.float32)
        against = np.frombuffer(bytes(self.contradicts), np.uint8) > 0
        usable = np.isfinite(p_boxes) & ~against if len(owner) else np.zeros(0, np.bool_)
        return table.append_column("image", pa.array(owner)).append_column(
            "usable", pa.array(usable)
        )

    def kinds(self) -> dict[str, int]:
        """How many candidates were kept, corrected, left out and cut."""
        counts = np.bincount(np.frombuffer(bytes(self._kind), np.uint8), minlength=len(KINDS))
        return dict(zip(KINDS, counts.tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        keys = ("id", "src", "w", "h", "status", "first")
        known = [name for name in self.relations if name in RELATIONS]
        codes = {code for codes in self.reason_sets for code in codes}
        return {
            "images": {key: [image[key] for image in self.images] for key in keys},
            "relations": list(self.relations),
            "predicates": {name: RELATIONS[name].predicate for name in known},
            "kinds": list(KINDS),
            "reason_sets": [list(codes) for codes in self.reason_sets],
            "reasons": {code: PROSE.get(code, code) for code in sorted(codes)},
            "edges": {
                "count": len(self._kind),
                "relation": _base64(bytes(self._relation)),
                "kind": _base64(bytes(self._kind)),
                "label": _base64(bytes(self._label)),
                "reasons": _base64(_little_endian(self._reasons)),
                "p": _base64(_little_endian(self._p)),
            },
        }


def _objects(graph: SceneGraph, names: Mapping[str, str]) -> dict[str, Any]:
    """An image's objects, in the order of their names."""
    ids = [str(name) for name in graph.objects.strings("object_id")]
    row = {name: number for number, name in enumerate(ids)}
    order = [row[name] for name in names]
    boxes = graph.objects.boxes()[order]
    phrases = graph.objects.strings("phrase")
    scores = graph.objects.numbers("score")[order]
    return {
        "id": [ids[number] for number in order],
        "name": list(names.values()),
        "phrase": [str(phrases[number]) for number in order],
        "box": _numbers(boxes, 1),
        "score": _numbers(scores, 3),
    }


def _numbers(values: NDArray[np.float32], digits: int) -> list[Any]:
    """Rounded numbers as nested lists; None where one is not finite."""
    found = values.astype(np.float64).round(digits).astype(object)
    found[~np.isfinite(values)] = None
    return list(found.tolist())


def _short(claim_id: str, image_id: str) -> list[Any] | str:
    """A claim's id; where it begins with the image's, only what follows, in a list."""
    return [claim_id[len(image_id) :]] if claim_id.startswith(image_id) else claim_id


def _little_endian(values: array[int]) -> bytes:
    return np.asarray(values, dtype="<u2").tobytes()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
