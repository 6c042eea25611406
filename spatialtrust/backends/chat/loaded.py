"""A loaded chat model: whole prompts as its processor makes them, and the library's own pass."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.blip2.replies import spellings
from spatialtrust.backends.chat.processor import compose
from spatialtrust.backends.chat.wording import Wording
from spatialtrust.backends.loading import Checkpoint, load_model

if TYPE_CHECKING:
    import torch

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.chat.prefix import Inputs
    from spatialtrust.backends.chat.wording import Asked

ACTIVATIONS: Final = 16
"""Tensors of a layer's width that are alive at once while a layer runs."""
_TOKENS: Final = 1024
"""Picture tokens that are reckoned with where none have been seen."""
_PICTURE: Final = ("pixel_values", "pixel_attention_mask")
_COLOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept of a picture for questions that are asked alone.

    Attributes
    ----------
    image: for the processor.
    vision: what the vision tower made of it; None where the model cannot be given that.
    """

    image: Any
    vision: Any

    @property
    def nbytes(self) -> int:
        """Bytes of the picture and of what was made of it."""
        made = getattr(self.vision, "pooler_output", None)
        parts = made if isinstance(made, (list, tuple)) else [] if made is None else [made]
        return int(np.prod(self.image.size)) * _COLOURS + int(sum(part.nbytes for part in parts))


class Loaded:
    """A model of the library with all that goes around it.

    Attributes
    ----------
    model, processor: of the library.
    text: settings of the language model.
    wording: how it is asked.
    spellings: what counts as yes and no.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.processor = compose(checkpoint)
        self.wording = Wording(self.processor, checkpoint.folder)
        self.spellings = spellings(self.processor.tokenizer, checkpoint.folder)
        self.model: Any = load_model(checkpoint, "AutoModelForImageTextToText", device, dtype)
        self.text = self.model.config.get_text_config()

    @property
    def per_token(self) -> float:
        """Bytes of activations that a token takes."""
        return float(ACTIVATIONS * self.text.hidden_size * self.dtype.itemsize)

    @property
    def kept(self) -> float:
        """Bytes of keys and values that a token leaves."""
        text = self.text
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return float(2 * text.num_hidden_layers * heads * size * self.dtype.itemsize)

    def cost(self, inputs: Inputs | None = None) -> float:
        """Bytes that looking at a picture takes: of a prompt, or of what is reckoned with."""
        tokens = _TOKENS if inputs is None else inputs["input_ids"].shape[1]
        patches = _TOKENS if inputs is None else self._patches(inputs["pixel_values"])
        vision = self.model.config.vision_config
        width = max(getattr(vision, name, None) or 0 for name in ("hidden_size", "embed_dim"))
        seen = patches * ACTIVATIONS * width * self.dtype.itemsize
        return float(tokens * (self.per_token + self.kept) + seen)

    def _patches(self, values: torch.Tensor) -> float:
        vision = self.model.config.vision_config
        side = np.atleast_1d(getattr(vision, "patch_size", None) or 14)
        deep = getattr(vision, "temporal_patch_size", None) or 1
        return values.numel() / (_COLOURS * float(side[0]) * float(side[-1]) * deep)

    def inputs(self, image: Any, asked: Asked) -> Inputs:
        """A whole prompt, on the CPU; pinned, for a GPU."""
        batch = self.processor(
            text=[self.wording.prompt(asked)], images=[image], return_tensors="pt"
        )
        batch.pop("labels", None)
        pinned = self.device.type == "cuda"
        return {name: value.pin_memory() if pinned else value for name, value in batch.items()}

    def sent(self, inputs: Inputs) -> Inputs:
        """A prompt on the model's device, in its type."""
        return {
            name: value.to(
                self.device, self.dtype if value.is_floating_point() else None, non_blocking=True
            )
            for name, value in inputs.items()
        }

    def forward(self, inputs: Inputs, keep: int, vision: Any = None) -> torch.Tensor:
        """The library's own pass over a whole prompt: logits (keep, V) of its last tokens."""
        import torch

        given: dict[str, Any] = dict(inputs)
        if vision is not None:
            given = {name: value for name, value in given.items() if name not in _PICTURE}
            given["mm_encoder_outputs"] = {"image": vision}
        with torch.inference_mode():
            logits: torch.Tensor = self.model(**given, use_cache=False).logits[0, -keep:]
        return logits

    def picture(self, image: Any, inputs: Inputs) -> Picture:
        """What the vision tower makes of a prompt's picture."""
        import torch

        inner = self.model.model
        if "mm_encoder_outputs" not in inspect.signature(inner.forward).parameters:
            return Picture(image, None)
        wanted = inspect.signature(inner.get_image_features).parameters
        given = {name: value for name, value in inputs.items() if name in wanted}
        with torch.inference_mode():
            return Picture(image, inner.get_image_features(**given, return_dict=True))


def image_of(pixels: Pixels) -> Any:
    """Pixels as the processors take them."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels))
