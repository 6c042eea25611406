"""Any image encoder of transformers, for images alone: DINOv2, DINOv3, ViT, ConvNeXt and others.

``encoder:facebook/dinov2-base``. TrustVLM makes its prototypes of such a second encoder. Features
are the mean over all output tokens, the class token and registers among them (as in TrustVLM's
released code), or over all positions of a convolutional map; they keep their length, since raw
features are averaged before they are scaled. Pixels are prepared by the checkpoint's own processor,
where TrustVLM's code prepares DINOv2's as CLIP's.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.batching import Budget
from spatialtrust.backends.loading import (
    Checkpoint,
    device_of,
    dtype_of,
    load_image_processor,
    load_model,
    locate,
)
from spatialtrust.backends.looking import embed
from spatialtrust.backends.preparing import Prepared, Prepares
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options

_OTHERS: Final = {"clip": "clip", "siglip": "clip", "blip-2": "blip2"}
"""Architectures with a backend of their own."""

_TOKENS: Final = 257
_ACTIVATIONS: Final = 16


class Encoder:
    """An `Embedder` without texts; weights load at first use."""

    needs_pixels = True
    logit_scale = 1.0
    """There are no logits; a number that a cache can hold."""

    def __init__(self, checkpoint: Checkpoint, reference: str, options: Options) -> None:
        self.reference, self.revision = reference, checkpoint.revision
        self._checkpoint, self._options = checkpoint, options
        self._budget = Budget(options.memory)

    @cached_property
    def _eyes(self) -> _Tower:
        device = device_of(self._options)
        dtype = dtype_of(self._options, device)
        model = load_model(self._checkpoint, "AutoModel", device, dtype)
        if getattr(model, "main_input_name", "pixel_values") != "pixel_values":
            raise BackendError(
                f"{self.reference}: {self._checkpoint.model_type} does not look at images; give an "
                "image encoder, such as encoder:facebook/dinov2-base"
            )
        return _Tower(model, load_image_processor(self._checkpoint), device, dtype)

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Float32 (N, d), of whatever length the model makes them.

        Raises
        ------
        BackendError: an image cannot be embedded.
        """
        rows = embed(images, self._eyes, self._budget, self.reference)
        return np.stack(rows) if rows else np.zeros((0, self._eyes.width), dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """There are none.

        Raises
        ------
        BackendError: always.
        """
        raise BackendError(
            f"{self.reference} reads no texts ({len(texts)} were given); embed images alone with "
            "it (--images-only), as a second encoder beside a CLIP"
        )


class _Tower(Prepares):
    """The loaded model."""

    def __init__(
        self, model: Any, processor: Any, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.model, self.processor, self.device, self.dtype = model, processor, device, dtype
        self.width = int(getattr(model.config, "hidden_size", None) or max(_widths(model.config)))

    @property
    def picture_cost(self) -> float:
        """Bytes of activations per picture."""
        return float(_TOKENS * self.width * _ACTIVATIONS * self.dtype.itemsize)

    def encode(self, prepared: Sequence[Prepared]) -> list[NDArray[np.float32]]:
        """Features (d,) per picture."""
        import torch

        with torch.inference_mode():
            found = pooled(self.model(pixel_values=self.gathered(prepared)).last_hidden_state)
        return list(found.float().cpu().numpy())


def pooled(states: torch.Tensor) -> torch.Tensor:
    """The mean over tokens (B, T, d) or positions (B, d, h, w), (B, d)."""
    return states.flatten(2).mean(dim=2) if states.ndim == 4 else states.mean(dim=1)


def open_backend(target: str, reference: str, options: Options) -> Encoder:
    """Find the files of an image encoder; see ``registry.py``."""
    checkpoint = locate(target, reference, None)
    if other := _OTHERS.get(checkpoint.model_type):
        raise BackendError(
            f"{reference}: a model of type {checkpoint.model_type} has a backend of its own; "
            f"give {other}:{target} (with --images-only for its images alone)"
        )
    if not (checkpoint.folder / "preprocessor_config.json").exists():
        raise BackendError(
            f"{reference}: {checkpoint.folder} holds no preprocessor_config.json, so how its "
            "pixels are prepared is not known; fetch the model again, or give an image encoder"
        )
    return Encoder(checkpoint, reference, options)


def _widths(config: Any) -> Sequence[int]:
    return getattr(config, "hidden_sizes", None) or (768,)
