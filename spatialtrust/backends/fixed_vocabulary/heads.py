"""From the outputs of an ONNX detector to boxes: which family it is of, and what its numbers mean.

| family | output (batch 1) | a picture goes in |
|---|---|---|
| ``yolo8`` (v8, v9, 11) | (4 + C, cells): centre, size in pixels, scores | fitted, grey around |
| ``yolo5`` (v5, v6, v7) | (3 x cells, 5 + C): the same, objectness, scores | fitted, grey around |
| ``yolox`` | (cells, 5 + C): by cell, or in pixels | top left, BGR, 0 to 255 |
| ``yolo10`` (v10, 26: end to end) | (K, 6): corners in pixels, score, class | fitted, grey around |
| ``rtdetr`` (Ultralytics') | (K, 4 + C): centre and size in fractions, scores | stretched |
| ``logits`` (DETR, RT-DETR in transformers) | logits (K, C or C + 1), boxes | stretched |
| ``labels`` (RT-DETR, D-FINE, original) | labels (K), boxes in pixels, scores (K) | stretched |

Cells are those of strides 8, 16, 32 (and 64). Sources: the exporters of Ultralytics, YOLOX, RT-DETR
and D-FINE; transformers' object detection models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.backends.fixed_vocabulary.detector import Seen
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_STRIDES: Final = (8, 16, 32)
_FEW: Final = 1000
"""Queries of a transformer at most; grids have more cells."""
_LOGARITHMS: Final = 8.0
"""No size that a grid cell says as a logarithm is larger; in pixels some always are."""
_FRACTIONS: Final = 2.0
"""The same for fractions of the picture."""
VALID: Final = (
    "valid: YOLOX; YOLOv5 to v11 without built-in NMS; end-to-end YOLO (v10); DETR, RT-DETR and "
    "D-FINE, with logits and pred_boxes or with labels, boxes and scores"
)


class Head(NamedTuple):
    """How outputs are read.

    Attributes
    ----------
    family: see the module.
    in_cells: sizes of a YOLOX are logarithms by cell.
    empty_class: the last class of the logits is "nothing here", and they compete.
    """

    family: str
    in_cells: bool = False
    empty_class: bool = False

    @property
    def fitted(self) -> bool:
        """Whether the picture keeps its proportions."""
        return self.family in {"yolo8", "yolo5", "yolo10", "yolox"}


def recognise(
    outputs: Mapping[str, NDArray[Any]], classes: int, size: tuple[int, int], where: str
) -> Head:
    """The family of a model, from what it made of a grey picture.

    Parameters
    ----------
    outputs: by name.
    classes: how many names there are.
    size: height and width of its input.
    where: the model, for messages.

    Raises
    ------
    BackendError: its outputs are of no family that is known, or do not fit the class names.
    """
    shapes = {name: value.shape for name, value in outputs.items()}
    boxes = shapes.get("boxes", shapes.get("pred_boxes", ()))
    whole = len(boxes) == 3 and boxes[0] == 1 and boxes[2] == 4
    if whole and shapes.get("labels") == shapes.get("scores") == boxes[:2]:
        return Head("labels")
    if whole and len(shapes.get("logits", ())) == 3 and shapes["logits"][:2] == boxes[:2]:
        found = int(shapes["logits"][-1])
        if found not in {classes, classes + 1}:
            raise _misfit(where, found, classes)
        return Head("logits", empty_class=found == classes + 1)
    flat = [value for value in outputs.values() if value.ndim == 3 and value.shape[0] == 1]
    if flat:
        rows, columns = flat[0].shape[1:]
        cells = _cells(size)
        if columns in cells:
            return _fitting("yolo8", rows - 4, classes, where)
        if rows in {3 * count for count in cells}:
            return _fitting("yolo5", columns - 5, classes, where)
        if rows in cells:
            logarithms = bool(flat[0][0, :, 2:4].max() <= _LOGARITHMS)
            return _fitting("yolox", columns - 5, classes, where)._replace(in_cells=logarithms)
        fractions = bool(np.abs(flat[0][0, :, :4]).max() <= _FRACTIONS)
        if rows <= _FEW and columns == 6 and not (classes == 2 and fractions):
            return Head("yolo10")
        if rows <= _FEW and fractions:
            return _fitting("rtdetr", columns - 4, classes, where)
    told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    raise BackendError(
        f"{where}: its outputs ({told}) are of no detector that is known here; {VALID}. Run it "
        "yourself and give its boxes: --detections FILE"
    )


def decode(
    head: Head, outputs: Mapping[str, NDArray[Any]], classes: int, size: tuple[int, int], where: str
) -> Seen:
    """Scores (C, Q), and boxes (Q, 4) as corners: of the input in pixels, or in its fractions.

    ``fitted`` families and ``labels`` give pixels, the others fractions.
    """
    if head.family == "labels":
        labels, boxes, scores = (outputs[name][0] for name in ("labels", "boxes", "scores"))
        return Seen(_one_hot(labels, scores, classes, where), boxes.astype(np.float32))
    if head.family == "logits":
        logits = outputs["logits"][0].astype(np.float32)
        chance = _softmax(logits)[:, :-1] if head.empty_class else _sigmoid(logits)
        return Seen(chance.T, corners(outputs["pred_boxes"][0].astype(np.float32)))
    raw = next(v[0] for v in outputs.values() if v.ndim == 3 and v.shape[0] == 1)
    rows: NDArray[np.float32] = (raw.T if head.family == "yolo8" else raw).astype(np.float32)
    if head.family == "yolo10":
        return Seen(_one_hot(rows[:, 5], rows[:, 4], classes, where), rows[:, :4])
    if head.family in {"yolo8", "rtdetr"}:
        return Seen(rows[:, 4:].T, corners(rows[:, :4]))
    boxes = _off_the_grid(rows[:, :4], size) if head.in_cells else rows[:, :4]
    return Seen((rows[:, 5:] * rows[:, 4:5]).T, corners(boxes))


def corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre and size (Q, 4) to corners.

    >>> corners(np.array([[2, 2, 2, 4]], np.float32)).tolist()
    [[1.0, 0.0, 3.0, 4.0]]
    """
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _fitting(family: str, found: int, classes: int, where: str) -> Head:
    if found != classes:
        raise _misfit(where, found, classes)
    return Head(family)


def _misfit(where: str, found: int, classes: int) -> BackendError:
    return BackendError(
        f"{where}: the model has {found} classes, and {classes} names were given; give a file "
        f"with one name a line, {found} of them: onnx:PATH,NAMES (a model that also segments, "
        "poses or turns boxes has more outputs than classes: export one that detects)"
    )


def _cells(size: tuple[int, int]) -> tuple[int, int]:
    """Cells of three strides, and of four."""
    counts = [(size[0] // stride) * (size[1] // stride) for stride in (*_STRIDES, 64)]
    return sum(counts[:3]), sum(counts)


def _off_the_grid(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes by cell (Q, 4) as pixels of the input: YOLOX's ``demo_postprocess``."""
    strides = (*_STRIDES, 64) if len(boxes) == _cells(size)[1] else _STRIDES
    at, scale = [], []
    for stride in strides:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        at.append(np.stack([x.ravel(), y.ravel()], axis=1))
        scale.append(np.full((x.size, 1), stride))
    cell = np.concatenate(at).astype(np.float32)
    width = np.concatenate(scale).astype(np.float32)
    return np.concatenate([(boxes[:, :2] + cell) * width, np.exp(boxes[:, 2:]) * width], axis=1)


def _one_hot(
    labels: NDArray[Any], scores: NDArray[Any], classes: int, where: str
) -> NDArray[np.float32]:
    """Scores (C, Q), 0 but for each box's own class."""
    number = labels.astype(np.int64)
    live = scores > 0
    if (wrong := live & ((number < 0) | (number >= classes))).any():
        raise BackendError(
            f"{where}: the model found class {int(number[wrong][0])}, and only {classes} names "
            "(0 and up) were given; give the names of its own classes: onnx:PATH,NAMES"
        )
    found = np.zeros((classes, len(number)), np.float32)
    columns = np.flatnonzero(live)
    found[number[columns], columns] = scores[columns]
    return found


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)


def _softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)
