"""Trees of several pictures as one batch: tokens, positions, and a mask made on the device.

Nothing here is done per token or per question in Python: each tree brings its vectors
(``packing.py``), and the mask is one comparison of two of them.

>>> import torch
>>> from spatialtrust.backends.packing import plant
>>> rows = lay(plant([[7, 8], [7, 9]], 9), torch.device("cpu"), prefix=[2])
>>> rows.tokens.tolist(), rows.positions.tolist()
([[7, 8, 9]], [[2, 3, 3]])
>>> rows.visible.int().tolist()
[[[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.packing import Tree


@dataclass(frozen=True, slots=True)
class Rows:
    """Trees as one batch, each behind its prefix: what all its tokens attend to.

    Shorter trees are padded in front: rows end together.

    Attributes
    ----------
    tokens: int64 (B, T), 0 where padded.
    positions: int64 (B, T), counted from the first token of the prefix.
    places: int64 (B, T), where in a row each node of its tree stands; -1 past its last.
    visible: bool (B, T, P + T), who attends to whom; a padded place to itself and the prefix.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    places: NDArray[np.int64]
    visible: torch.Tensor


def lay(
    trees: Sequence[Tree],
    device: torch.device,
    *,
    prefix: Sequence[int] | None = None,
    last: Sequence[NDArray[np.int64]] | None = None,
) -> Rows:
    """Trees as rows of one batch.

    Parameters
    ----------
    prefix: (B,) tokens before each tree. Where one has fewer than the longest they come first, and
        padding follows them. None: there are none.
    last: nodes of each tree that end its row, in this order, so that a model need compute logits
        at a few last places only. None: nodes stand in their own order.
    """
    import torch

    width = max(len(tree) for tree in trees)
    tokens = np.zeros((len(trees), width), dtype=np.int64)
    depth = np.zeros_like(tokens)
    # Padding has numbers below those of all nodes, and nothing below itself.
    number = np.tile(np.arange(-width, 0), (len(trees), 1))
    end = number + 1
    places = np.full_like(tokens, -1)
    for row, tree in enumerate(trees):
        order = np.arange(len(tree))
        if last is not None:
            order = np.concatenate([np.delete(order, last[row]), last[row]])
        start = width - len(tree)
        tokens[row, start:] = tree.tokens[order]
        depth[row, start:] = tree.depth[order]
        number[row, start:] = order
        end[row, start:] = tree.end[order]
        places[row, order] = np.arange(start, width)
    before = np.zeros(len(trees), dtype=np.int64) if prefix is None else np.array(prefix)
    sent = torch.from_numpy(np.stack([tokens, depth + before[:, None], number, end])).to(device)
    node = sent[2][:, :, None]
    visible = (node >= sent[2][:, None]) & (node < sent[3][:, None])
    longest = int(before.max())
    if longest:
        inside = torch.arange(longest, device=device) < torch.from_numpy(before).to(device)[:, None]
        visible = torch.cat([inside[:, None].expand(-1, width, -1), visible], dim=2)
    return Rows(sent[0], sent[1], places, visible)


def additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Who attends to whom (B, T, K) as it is added to scores: (B, 1, T, K), 0 or the least number.

    >>> import torch
    >>> additive(torch.tensor([[[True, False]]]), torch.float16).tolist()
    [[[[0.0, -65504.0]]]]
    """
    import torch

    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]


def behind(
    shown: torch.Tensor, trees: Sequence[Tree], embed: torch.nn.Module
) -> tuple[Rows, dict[str, torch.Tensor]]:
    """Trees behind states (B, P, d) that stand for their pictures, for one pass over both.

    Parameters
    ----------
    embed: from tokens to states of the language model.

    Returns
    -------
    The rows, and the inputs of a causal language model; the trees' states come after P others.
    """
    import torch

    count, prefix = shown.shape[:2]
    rows = lay(trees, shown.device, prefix=[prefix] * count)
    embedded = embed(rows.tokens)
    causal = torch.ones((prefix, rows.visible.shape[2]), device=shown.device).tril().bool()
    visible = torch.cat([causal.expand(count, -1, -1), rows.visible], dim=1)
    first = torch.arange(prefix, device=shown.device).expand(count, -1)
    return rows, {
        "inputs_embeds": torch.cat([shown.to(embedded.dtype), embedded], dim=1),
        "attention_mask": additive(visible, embedded.dtype),
        "position_ids": torch.cat([first, rows.positions], dim=1),
    }
