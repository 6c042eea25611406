"""Tiny ONNX detectors that find the same boxes in every picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

EDGE = 64
CELLS = 84
"""Of strides 8, 16 and 32 in a picture of 64 x 64."""


def write_model(
    path: Path,
    outputs: Mapping[str, NDArray[np.generic]],
    *,
    metadata: Mapping[str, str] | None = None,
    picture: str = "images",
    shape: tuple[int | str, ...] = (1, 3, EDGE, EDGE),
    sizes: bool = False,
    add_picture_to: str = "",
    kind: str = "FLOAT",
) -> Path:
    """A model with these outputs.

    Parameters
    ----------
    sizes: it takes ``orig_target_sizes`` too, and multiplies its boxes by them.
    add_picture_to: this output grows by the mean of the first channel.
    """
    from onnx import TensorProto, helper, save

    inputs = [helper.make_tensor_value_info(picture, getattr(TensorProto, kind), shape)]
    nodes = [
        helper.make_node("Cast", [picture], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["real", "from", "upto", "axis"], ["first"]),
        helper.make_node("ReduceMean", ["first"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    kept = [
        helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
        *(helper.make_tensor(name, TensorProto.INT64, [1], [value])
          for name, value in (("from", 0), ("upto", 1), ("axis", 1))),
    ]  # fmt: skip
    if sizes:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
        nodes += [
            helper.make_node("Cast", ["orig_target_sizes"], ["pair"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["pair", "pair"], ["edges"], axis=1),
        ]
    told = []
    for name, value in outputs.items():
        whole = np.issubdtype(value.dtype, np.integer)
        kept.append(
            helper.make_tensor(f"{name}.c", TensorProto.FLOAT, value.shape, value.ravel().tolist())
        )
        last = f"{name}.sum" if whole or (sizes and name == "boxes") else name
        term = "mean" if add_picture_to == name else "zero"
        nodes.append(helper.make_node("Add", [f"{name}.c", term], [last]))
        if whole:
            nodes.append(helper.make_node("Cast", [last], [name], to=TensorProto.INT64))
        elif last != name:
            nodes.append(helper.make_node("Mul", [last, "edges"], [name]))
        kind_out = TensorProto.INT64 if whole else TensorProto.FLOAT
        told.append(helper.make_tensor_value_info(name, kind_out, value.shape))
    graph = helper.make_graph(nodes, "detector", inputs, told, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    save(model, str(path))
    return path
