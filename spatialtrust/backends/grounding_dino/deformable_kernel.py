"""Deformable attention as one Triton kernel; see ``deformable.py``. Needs the package triton.

Each program takes one head of one image and some of its queries: for every point it reads the
states (C,) of the four cells around it and adds them, weighed, to a sum in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import triton
import triton.language as tl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

_QUERIES: Final = 32
"""Queries that a program takes."""


def sampled_by_kernel(
    value: torch.Tensor,
    shapes: torch.Tensor,
    sizes: Sequence[tuple[int, int]],
    places: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """See ``deformable.sampled``; C is a power of two, shapes are int64."""
    count, cells, heads, width = value.shape
    queries, levels, points = places.shape[1], *weights.shape[3:]
    found = value.new_empty((count, queries, heads * width))
    grid = (triton.cdiv(queries, _QUERIES), count * heads)
    _sample[grid](
        value.contiguous(), shapes, places.contiguous(), weights.contiguous(), found,
        queries, cells, heads, width, levels, points, _QUERIES,
    )  # fmt: skip
    return found


@triton.jit  # type: ignore[untyped-decorator]
def _sample(  # type: ignore[no-untyped-def]
    value,
    shapes,
    places,
    weights,
    found,
    queries,
    cells,
    heads: tl.constexpr,
    width: tl.constexpr,
    levels: tl.constexpr,
    points: tl.constexpr,
    block: tl.constexpr,
):
    head = tl.program_id(1) % heads
    image = (tl.program_id(1) // heads).to(tl.int64)
    query = tl.program_id(0) * block + tl.arange(0, block)
    inside = query < queries
    channel = tl.arange(0, width)[None, :]
    row = (image * queries + query) * heads + head
    total = tl.zeros((block, width), tl.float32)
    start = 0
    for level in tl.static_range(levels):
        high = tl.load(shapes + 2 * level)
        wide = tl.load(shapes + 2 * level + 1)
        states = value + ((image * cells + start) * heads + head) * width + channel
        for point in range(points):
            at = (row * levels + level) * points + point
            x = tl.load(places + 2 * at, mask=inside, other=-1.0).to(tl.float32) * wide - 0.5
            y = tl.load(places + 2 * at + 1, mask=inside, other=-1.0).to(tl.float32) * high - 0.5
            weight = tl.load(weights + at, mask=inside, other=0.0).to(tl.float32)
            left, top = tl.floor(x), tl.floor(y)
            for corner in tl.static_range(4):
                column, line = left + corner % 2, top + corner // 2
                share = weight * (1 - tl.abs(x - column)) * (1 - tl.abs(y - line))
                seen = inside & (column >= 0) & (column < wide) & (line >= 0) & (line < high)
                cell = line.to(tl.int64) * wide + column.to(tl.int64)
                state = tl.load(
                    states + cell[:, None] * (heads * width), mask=seen[:, None], other=0.0
                )
                total += share[:, None] * state.to(tl.float32)
        start += high * wide
    tl.store(
        found + row[:, None] * width + channel,
        total.to(found.dtype.element_ty),
        mask=inside[:, None],
    )
