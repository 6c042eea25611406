"""Pictures as a chat model has them in mind: the keys and values that all questions share.

The prompts up to their last picture token are run through the model once, several pictures in one
pass. What follows, the questions, runs as prefix trees (``backends/packing.py``) behind these keys
and values, again those of several pictures in one pass: each token sees its whole picture and its
own ancestors, and its position is that which it has when asked alone. Models with positions in
three dimensions (M-RoPE) go on from where the picture's positions end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.layout import Rows, additive, lay

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.packing import Tree

SLIDING: Final = "sliding_attention"
_PER_TOKEN: Final = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")

Inputs = dict[str, "torch.Tensor"]
"""A whole prompt, as the processor makes it."""


class NotSharedError(Exception):
    """The questions about a picture cannot share what is computed of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model keeps of a picture.

    Attributes
    ----------
    layers: keys and values (heads, P, d) of each layer.
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


def before(inputs: Inputs, tail: Sequence[int]) -> Inputs:
    """A prompt up to its picture's last token.

    Parameters
    ----------
    tail: the prompt's tokens behind the picture.

    Raises
    ------
    NotSharedError: the prompt does not end in these tokens.
    """
    ids = inputs["input_ids"][0].tolist()
    length = len(ids) - len(tail)
    if not tail or ids[length:] != list(tail):
        raise NotSharedError("its processor puts more behind the picture than the question")
    return {
        name: value[:, :length] if name in _PER_TOKEN else value for name, value in inputs.items()
    }


def kind(inputs: Inputs) -> tuple[Any, ...]:
    """Equal for prompts that can go through one pass: pictures of one shape, texts of any length.

    How pictures of different shapes are padded is each architecture's own affair.
    """
    return tuple(
        (name, *value.shape[1:]) for name, value in sorted(inputs.items()) if name not in _PER_TOKEN
    )


def see(model: Any, prompts: Sequence[Inputs]) -> list[Seen]:
    """One pass over pictures.

    Parameters
    ----------
    model: of the library.
    prompts: of one kind, up to their pictures' last tokens, on the model's device.

    Raises
    ------
    NotSharedError: the model does not keep what it has seen.
    """
    import torch
    from transformers import DynamicCache

    lengths = [prompt["input_ids"].shape[1] for prompt in prompts]
    longest = max(lengths)
    cache: Any = DynamicCache()
    with torch.inference_mode():
        given = {
            name: torch.cat([_padded(p[name], longest, 1, name in _PER_TOKEN) for p in prompts])
            for name in prompts[0]
        }
        model(**given, past_key_values=cache, use_cache=True, logits_to_keep=1)
    if not cache.layers or any(layer.keys.shape[-2] != longest for layer in cache.layers):
        raise NotSharedError("not all its layers keep the picture's keys and values")
    shift = getattr(model.model, "rope_deltas", None)
    shifts = [0] * len(prompts) if shift is None else shift.reshape(-1).tolist()
    # Copies: a view of a padded batch would keep all of it.
    return [
        Seen(
            tuple(
                (layer.keys[row, :, :length].clone(), layer.values[row, :, :length].clone())
                for layer in cache.layers
            ),
            length,
            length + int(shifts[row]),
        )
        for row, length in enumerate(lengths)
    ]


def go_on(
    model: Any,
    seen: Sequence[Seen],
    trees: Sequence[Tree],
    nodes: Sequence[NDArray[np.int64]],
) -> list[torch.Tensor]:
    """Logits (len(nodes), V) at some nodes of each tree of tokens, each behind its picture."""
    import torch
    from transformers import DynamicCache

    key = seen[0].layers[0][0]
    rows = lay(trees, key.device, prefix=[picture.length for picture in seen], last=nodes)
    longest = max(picture.length for picture in seen)
    shift = [picture.position - picture.length for picture in seen]
    kept = max(1, *(len(wanted) for wanted in nodes))
    with torch.inference_mode():
        layers = [
            tuple(
                torch.stack([_padded(half, longest, 1, True) for half in halves])
                for halves in zip(*(picture.layers[place] for picture in seen), strict=True)
            )
            for place in range(len(seen[0].layers))
        ]
        logits = model(
            input_ids=rows.tokens,
            position_ids=rows.positions + torch.tensor(shift, device=key.device)[:, None],
            attention_mask=_masks(model.config.get_text_config(), rows, longest, key.dtype),
            past_key_values=DynamicCache(layers),
            use_cache=True,
            logits_to_keep=kept,
        ).logits
    return [row[kept - len(wanted) :] for row, wanted in zip(logits, nodes, strict=True)]


def _padded(values: torch.Tensor, length: int, axis: int, padded: bool) -> torch.Tensor:
    """Values with zeros behind them, up to a length."""
    missing = length - values.shape[axis] if padded else 0
    if not missing:
        return values
    import torch

    shape = [*values.shape[:axis], missing, *values.shape[axis + 1 :]]
    return torch.cat([values, values.new_zeros(shape)], dim=axis)


def _masks(config: Any, rows: Rows, prefix: int, dtype: torch.dtype) -> Any:
    """Who attends to whom: a mask (B, 1, T, P + T), or one for each kind of layer."""
    import torch

    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if window is None or (kinds and SLIDING not in kinds):
        return additive(rows.visible, dtype)
    first = torch.arange(prefix, device=rows.positions.device).expand(len(rows.positions), -1)
    at = torch.cat([first, rows.positions], dim=1)
    near = rows.visible & (at[:, None] > rows.positions[:, :, None] - window)
    if not kinds:
        return additive(near, dtype)
    masks = {SLIDING: additive(near, dtype)}
    return {kind: masks.get(kind, additive(rows.visible, dtype)) for kind in kinds}
