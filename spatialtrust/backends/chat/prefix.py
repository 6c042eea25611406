"""A picture as a chat model has it in mind: the keys and values that all questions share.

The prompt up to its last picture token is run through the model once. What follows, the questions,
runs as prefix trees (``backends/packing.py``) behind these keys and values: each token sees the
whole picture and its own ancestors, and its position is that which it has when asked alone. Models
with positions in three dimensions (M-RoPE) go on from where the picture's positions end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.packing import Tree

SLIDING: Final = "sliding_attention"
_PER_TOKEN: Final = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")


class NotSharedError(Exception):
    """The questions about a picture cannot share what is computed of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model keeps of a picture.

    Attributes
    ----------
    layers: keys and values (1, heads, P, d) of each layer.
    length: P, tokens up to the picture's last.
    position: of the first token that follows.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    length: int
    position: int

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(key.nbytes + value.nbytes for key, value in self.layers)


def see(model: Any, inputs: Mapping[str, torch.Tensor], tail: Sequence[int]) -> Seen:
    """One pass over a picture.

    Parameters
    ----------
    model: of the library.
    inputs: a whole prompt, as the processor makes it.
    tail: the prompt's tokens behind the picture, which the pass leaves out.

    Raises
    ------
    NotSharedError: the prompt does not end in these tokens.
    """
    import torch
    from transformers import DynamicCache

    ids = inputs["input_ids"][0].tolist()
    length = len(ids) - len(tail)
    if not tail or ids[length:] != list(tail):
        raise NotSharedError("its processor puts more behind the picture than the question")
    kept = {
        name: value[:, :length] if name in _PER_TOKEN else value for name, value in inputs.items()
    }
    cache: Any = DynamicCache()
    with torch.inference_mode():
        model(**kept, past_key_values=cache, use_cache=True, logits_to_keep=1)
    layers = tuple((layer.keys, layer.values) for layer in cache.layers)
    if not layers or any(key.shape[-2] != length for key, _ in layers):
        raise NotSharedError("not all its layers keep the picture's keys and values")
    shift = getattr(model.model, "rope_deltas", None)
    position = length if shift is None else length + int(shift.reshape(-1)[0])
    return Seen(layers, length, position)


def go_on(model: Any, seen: Seen, tree: Tree, nodes: NDArray[np.int64]) -> torch.Tensor:
    """Logits (len(nodes), V) at some nodes of a tree of tokens that follows a picture."""
    import torch
    from transformers import DynamicCache

    key = seen.layers[0][0]
    ids = torch.from_numpy(tree.tokens)[None].to(key.device)
    positions = torch.from_numpy(tree.depth + seen.position)[None].to(key.device)
    with torch.inference_mode():
        logits = model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=_masks(model.config.get_text_config(), seen.length, tree, key),
            past_key_values=DynamicCache(seen.layers),
            use_cache=True,
            logits_to_keep=torch.as_tensor(nodes, device=key.device),
        ).logits
    found: torch.Tensor = logits[0]
    return found


def _masks(config: Any, length: int, tree: Tree, like: torch.Tensor) -> Any:
    """Who attends to whom: a mask (1, 1, T, P + T), or one for each kind of layer."""
    visible = np.ones((len(tree), length + len(tree)), dtype=bool)
    visible[:, length:] = tree.visible()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if window is None or (kinds and SLIDING not in kinds):
        return _additive(visible, like)
    places = np.concatenate([np.arange(length), length + tree.depth])
    near = visible & (places > places[length:, None] - window)
    if not kinds:
        return _additive(near, like)
    return {kind: _additive(near if kind == SLIDING else visible, like) for kind in kinds}


def _additive(visible: np.ndarray[Any, Any], like: torch.Tensor) -> torch.Tensor:
    import torch

    mask = torch.zeros(visible.shape, dtype=like.dtype, device=like.device)
    mask.masked_fill_(~torch.from_numpy(visible).to(like.device), torch.finfo(like.dtype).min)
    return mask[None, None]
