"""Texts that begin alike are computed once: prefix trees packed into single rows of tokens.

A causal model's state at a token depends on the tokens before it, and on nothing else. So all texts
asked of one image can share one row: every distinct beginning appears once, each token attends to
its own ancestors only (a mask) and knows its depth (its position). Nothing is padded, no key/value
cache is copied, and the result is that of running every text by itself.

>>> tree = plant([[1, 2, 3], [1, 2, 4], [1, 2, 3]], limit=100)[0]
>>> tree.tokens.tolist(), tree.depth.tolist()
([1, 2, 3, 4], [0, 1, 2, 2])
>>> tree.paths.tolist()
[[0, 1, 2], [0, 1, 2], [0, 1, 3]]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tree:
    """Token sequences merged at their common beginnings.

    Attributes
    ----------
    tokens: int64 (T,), token of each node; a parent comes before its children.
    depth: int64 (T,), 0 for the first token of a sequence.
    parent: int64 (T,), -1 for the first token of a sequence.
    sequences: int64 (S,), which of the given sequences are in this tree.
    paths: int64 (S, L), node of each token of each sequence, -1 past its end.
    lengths: int64 (S,), tokens per sequence.
    """

    tokens: NDArray[np.int64]
    depth: NDArray[np.int64]
    parent: NDArray[np.int64]
    sequences: NDArray[np.int64]
    paths: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def leaves(self) -> NDArray[np.int64]:
        """Int64 (S,), the last node of each sequence."""
        return self.paths[np.arange(len(self.paths)), self.lengths - 1]

    def visible(self) -> NDArray[np.bool_]:
        """Bool (T, T): row node attends to column node, its ancestor or itself."""
        visible = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parent):
            if parent >= 0:
                visible[node] |= visible[parent]
        return visible


def plant(sequences: Sequence[Sequence[int]], limit: int) -> list[Tree]:
    """Merge sequences into trees of at most ``limit`` tokens (a longer sequence stands alone).

    Sequences are sorted, so those with long common beginnings meet in the same tree.
    """
    if not sequences:
        return []
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    columns = np.arange(lengths.max())
    inside = columns < lengths[:, None]
    table = np.full(inside.shape, -1, dtype=np.int64)
    table[inside] = np.concatenate([np.asarray(s, dtype=np.int64) for s in sequences])
    order = np.lexsort(table.T[::-1])
    table, lengths, inside = table[order], lengths[order], inside[order]
    same = np.cumprod(table[1:] == table[:-1], axis=1).sum(axis=1)
    shared = np.concatenate([[0], np.minimum(same, lengths[1:])])
    trees = []
    for start, stop in _cut(lengths, shared, limit):
        begins = shared[start:stop].copy()
        begins[0] = 0
        trees.append(_merge(table[start:stop], inside[start:stop], begins, order[start:stop]))
    return trees


def _cut(
    lengths: NDArray[np.int64], shared: NDArray[np.int64], limit: int
) -> list[tuple[int, int]]:
    """Runs of sorted sequences whose merged size stays within the limit."""
    runs, start, size = [], 0, 0
    for row, (length, common) in enumerate(zip(lengths.tolist(), shared.tolist(), strict=True)):
        if row > start and size + length - common > limit:
            runs.append((start, row))
            start, size = row, 0
        size += length - (common if row > start else 0)
    return [*runs, (start, len(lengths))]


def _merge(
    table: NDArray[np.int64],
    inside: NDArray[np.bool_],
    begins: NDArray[np.int64],
    sequences: NDArray[np.int64],
) -> Tree:
    columns = np.arange(table.shape[1])
    new = inside & (columns >= begins[:, None])
    numbered = np.where(new, np.cumsum(new).reshape(new.shape) - 1, -1)
    # A token that is not new belongs to the last node created above it in its column.
    nodes = np.maximum.accumulate(numbered, axis=0)
    row, depth = np.nonzero(new)
    parent = np.where(depth > 0, nodes[row, np.maximum(depth - 1, 0)], -1)
    lengths = inside.sum(axis=1)
    paths = np.where(inside, nodes, -1)[:, : lengths.max()]
    return Tree(table[new], depth, parent, sequences, paths, lengths)


def best_size(width: int, shared: int) -> int:
    """Tokens per tree that cost the fewest operations, between 64 and 1024.

    In units of a token's linear layers (24 width^2), a tree of L tokens adds shared / L per token,
    the beginning that every further tree repeats, and L / (6 width), attention to tokens that are
    masked; the sum is least at L = sqrt(6 width shared).

    >>> best_size(2560, 33), best_size(64, 18)
    (712, 83)
    """
    return int(np.clip(round((6 * width * shared) ** 0.5), 64, 1024))


@dataclass(frozen=True, slots=True)
class Rows:
    """Trees as one padded batch.

    Attributes
    ----------
    tokens: int64 (B, T), 0 where padded.
    positions: int64 (B, P + T), counted from the first prefix token.
    mask: (B, 1, P + T, P + T), 0 where attended, the dtype's least number elsewhere.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor


def stack(trees: Sequence[Tree], prefix: int, dtype: torch.dtype, device: torch.device) -> Rows:
    """Trees as rows of one batch, each after ``prefix`` positions that all its tokens attend to."""
    import torch

    width = max(len(tree) for tree in trees)
    tokens = np.zeros((len(trees), width), dtype=np.int64)
    positions = np.zeros((len(trees), prefix + width), dtype=np.int64)
    positions[:, :prefix] = np.arange(prefix)
    visible = np.zeros((len(trees), prefix + width, prefix + width), dtype=bool)
    visible[:, :prefix, :prefix] = np.tri(prefix, dtype=bool)
    # A padded position attends to itself: a row of the mask without any entry has no softmax.
    visible[:, range(prefix, prefix + width), range(prefix, prefix + width)] = True
    for row, tree in enumerate(trees):
        end = prefix + len(tree)
        tokens[row, : len(tree)] = tree.tokens
        positions[row, prefix:end] = prefix + tree.depth
        visible[row, prefix:end, :prefix] = True
        visible[row, prefix:end, prefix:end] = tree.visible()
    mask = torch.zeros(visible.shape, dtype=dtype, device=device)
    mask.masked_fill_(~torch.from_numpy(visible).to(device), torch.finfo(dtype).min)
    return Rows(
        torch.from_numpy(tokens).to(device),
        torch.from_numpy(positions).to(device),
        mask[:, None],
    )
