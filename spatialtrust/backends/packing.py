"""Texts that begin alike are computed once: prefix trees packed into single rows of tokens.

A causal model's state at a token depends on the tokens before it, and on nothing else. So all texts
asked of one image can share one row: every distinct beginning appears once, each token attends to
its own ancestors only (a mask) and knows its depth (its position). The result is that of running
every text by itself. Images that are asked the same texts share a tree, and a set of texts that was
asked before is not planted again (:class:`Forest`); trees of several images are the rows of one
batch (``layout.py``).

Nodes are numbered in depth-first order, so what is below a node are the numbers up to its ``end``:
node ``v`` attends to node ``u`` where ``u <= v < end[u]``.

>>> tree = plant([[1, 2, 3], [1, 2, 4], [1, 2, 3]], limit=100)[0]
>>> tree.tokens.tolist(), tree.depth.tolist(), tree.end.tolist()
([1, 2, 3, 4], [0, 1, 2, 2], [4, 4, 3, 4])
>>> tree.paths.tolist()
[[0, 1, 2], [0, 1, 2], [0, 1, 3]]
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from spatialtrust.backends.known import Tokens

_KEPT: Final = 256
"""Sets of texts whose trees are kept."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Token sequences merged at their common beginnings.

    Attributes
    ----------
    tokens: int64 (T,), token of each node; a parent comes before its children.
    depth: int64 (T,), 0 for the first token of a sequence.
    parent: int64 (T,), -1 for the first token of a sequence.
    end: int64 (T,), one more than the last node below each node.
    sequences: int64 (S,), which of the given sequences are in this tree.
    paths: int64 (S, L), node of each token of each sequence, -1 past its end.
    lengths: int64 (S,), tokens per sequence.
    """

    tokens: NDArray[np.int64]
    depth: NDArray[np.int64]
    parent: NDArray[np.int64]
    end: NDArray[np.int64]
    sequences: NDArray[np.int64]
    paths: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def leaves(self) -> NDArray[np.int64]:
        """Int64 (S,), the last node of each sequence."""
        return self.paths[np.arange(len(self.paths)), self.lengths - 1]


def plant(
    sequences: Sequence[Sequence[int]],
    limit: int,
    owner: Sequence[int] | NDArray[np.int64] | None = None,
) -> list[Tree]:
    """Merge sequences into trees of at most ``limit`` tokens (a longer sequence stands alone).

    Sequences are sorted, so those with long common beginnings meet in the same tree.

    Parameters
    ----------
    owner: (S,) whose each sequence is; those of two owners share no tree. None: all are one's.
    """
    if not sequences:
        return []
    table, inside = pad(sequences, -1)
    lengths = inside.sum(axis=1)
    whose = np.zeros(len(lengths), dtype=np.int64) if owner is None else np.asarray(owner)
    order = np.lexsort((*table.T[::-1], whose))
    table, lengths, inside, whose = table[order], lengths[order], inside[order], whose[order]
    shared = np.zeros(len(lengths), dtype=np.int64)
    same = np.cumprod(table[1:] == table[:-1], axis=1).sum(axis=1)
    shared[1:] = np.where(whose[1:] == whose[:-1], np.minimum(same, lengths[1:]), 0)
    bounds = _cut(lengths, shared, whose, limit)
    shared[bounds[:-1]] = 0
    return _merge(table, inside, shared, order, bounds)


def pad(
    sequences: Sequence[Sequence[int]], fill: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Token sequences as a table (S, L), and where in it they are (S, L).

    >>> pad([[1, 2], [3]], -1)[0].tolist()
    [[1, 2], [3, -1]]
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    inside = np.arange(lengths.max()) < lengths[:, None]
    table = np.full(inside.shape, fill, dtype=np.int64)
    table[inside] = np.fromiter(chain.from_iterable(sequences), dtype=np.int64)
    return table, inside


def _cut(
    lengths: NDArray[np.int64], shared: NDArray[np.int64], whose: NDArray[np.int64], limit: int
) -> list[int]:
    """Where runs of sorted sequences begin whose merged size stays within the limit, and the end.

    Of each owner there are as few runs as can be, and these of even size: in a batch what is
    shorter than the longest is padded.
    """
    grown = np.cumsum(lengths - shared)

    def sizes(begins: NDArray[np.int64]) -> NDArray[np.int64]:
        # A run has all tokens of its first sequence and the new ones of those that follow.
        first, last = begins[:-1], begins[1:] - 1
        return lengths[first] + grown[last] - grown[first]

    bounds = [0]
    for stop in (np.flatnonzero(np.diff(whose, append=whose[-1] + 1)) + 1).tolist():
        few = [bounds[-1]]
        while few[-1] < stop:
            room = limit - lengths[few[-1]] + grown[few[-1]]
            fit = int(np.searchsorted(grown, room, side="right"))
            few.append(min(max(fit, few[-1] + 1), stop))
        wanted = np.linspace(grown[few[0]] - lengths[few[0]], grown[stop - 1], len(few))
        reached = np.searchsorted(grown, wanted[1:-1], side="left")
        inner = np.searchsorted(grown, grown[reached], side="right")  # equal texts stay together
        even = np.unique(np.concatenate([few[:1], inner, [stop]]))
        bounds += (even if sizes(even).max() <= limit else np.array(few))[1:].tolist()
    return bounds


def _merge(
    table: NDArray[np.int64],
    inside: NDArray[np.bool_],
    shared: NDArray[np.int64],
    order: NDArray[np.int64],
    bounds: Sequence[int],
) -> list[Tree]:
    """Trees of runs of rows; ``shared``: tokens that each row has in common with the one above."""
    lengths = inside.sum(axis=1)
    new = inside & (np.arange(inside.shape[1]) >= shared[:, None])
    numbered = np.where(new, np.cumsum(new).reshape(new.shape) - 1, -1)
    # A token that is not new belongs to the last node created above it in its column.
    nodes = np.maximum.accumulate(numbered, axis=0)
    row, depth = np.nonzero(new)
    parent = np.where(depth > 0, nodes[row, np.maximum(depth - 1, 0)], -1)
    # Below a node are the nodes up to the leaf of the last sequence that passes through it; later
    # sequences overwrite earlier ones.
    leaves = nodes[np.arange(len(nodes)), lengths - 1]
    end = np.empty(len(depth), dtype=np.int64)
    end[nodes[inside]] = np.repeat(leaves + 1, lengths)
    nodes = np.where(inside, nodes, -1)
    tokens = table[new]
    first = np.concatenate([[0], np.cumsum(new.sum(axis=1))])[bounds]
    trees = []
    for start, stop, a, b in zip(bounds[:-1], bounds[1:], first[:-1], first[1:], strict=True):
        paths = nodes[start:stop, : lengths[start:stop].max()]
        trees.append(
            Tree(
                tokens=tokens[a:b],
                depth=depth[a:b],
                parent=np.maximum(parent[a:b] - a, -1),
                end=end[a:b] - a,
                sequences=order[start:stop],
                paths=np.maximum(paths - a, -1),
                lengths=lengths[start:stop],
            )
        )
    return trees


class Job(NamedTuple):
    """A tree that is put to a picture, and the numbers (S,) of the asks of its sequences."""

    picture: int
    tree: Tree
    asks: NDArray[np.int64]


class Forest:
    """Trees of the sets of texts asked so far, whatever pictures they were asked of."""

    def __init__(self) -> None:
        self._trees: OrderedDict[tuple[int, tuple[Tokens, ...]], list[Tree]] = OrderedDict()

    def jobs(
        self,
        rows: NDArray[np.int64],
        picture: NDArray[np.int64],
        text: NDArray[np.int64],
        tokens: Sequence[Tokens],
        limit: int,
    ) -> list[Job]:
        """Which trees are put to which pictures.

        Parameters
        ----------
        rows: numbers of the asks that are put.
        picture, text: (N,) of each ask; a picture is not asked a text twice.
        tokens: of each text.
        limit: tokens a tree.
        """
        order = rows[np.lexsort((text[rows], picture[rows]))]
        bounds = np.flatnonzero(np.diff(picture[order], prepend=-1, append=-1))
        of: list[tuple[NDArray[np.int64], tuple[int, tuple[Tokens, ...]]]] = []
        sets: dict[bytes, tuple[int, tuple[Tokens, ...]]] = {}
        for start, stop in pairwise(bounds.tolist()):
            asks = order[start:stop]
            key = text[asks].tobytes()
            if key not in sets:
                sets[key] = limit, tuple(tokens[place] for place in text[asks])
            of.append((asks, sets[key]))
        self._grow([asked for asked in sets.values() if asked not in self._trees], limit)
        found = [
            Job(int(picture[asks[0]]), tree, asks[tree.sequences])
            for asks, asked in of
            for tree in self._trees[asked]
        ]
        for asked in sets.values():
            self._trees.move_to_end(asked)
        while len(self._trees) > _KEPT:
            self._trees.popitem(last=False)
        return found

    def _grow(self, sets: Sequence[tuple[int, tuple[Tokens, ...]]], limit: int) -> None:
        counts = [len(asked) for _, asked in sets]
        begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        owner = np.repeat(np.arange(len(sets)), counts)
        for asked in sets:
            self._trees[asked] = []
        sequences = [sequence for _, asked in sets for sequence in asked]
        for tree in plant(sequences, limit, owner):
            whose = int(owner[tree.sequences[0]])
            own = replace(tree, sequences=tree.sequences - begins[whose])
            self._trees[sets[whose]].append(own)


def best_size(width: int, shared: int) -> int:
    """Tokens per tree that cost the fewest operations, between 64 and 1024.

    In units of a token's linear layers (24 width^2), a tree of L tokens adds shared / L per token,
    the beginning that every further tree repeats, and L / (6 width), attention to tokens that are
    masked; the sum is least at L = sqrt(6 width shared).

    >>> best_size(2560, 33), best_size(64, 18)
    (712, 83)
    """
    return int(np.clip(round((6 * width * shared) ** 0.5), 64, 1024))
