"""Pictures as a model takes them, through its checkpoint's own image processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialtrust.backends.ahead import ahead
from spatialtrust.backends.loading import import_torch
from spatialtrust.fusion.model import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from spatialtrust.arrays import Pixels


class Prepares:
    """What readers share whose pictures are of one size: preparing them, ahead of their pass.

    Attributes
    ----------
    processor: the library's.
    device, dtype: of the model.
    """

    processor: Any
    device: torch.device
    dtype: torch.dtype

    @property
    def preparers(self) -> int:
        """See ``Eyes.preparers``."""
        return preparers(self.device)

    def prepare(self, pixels: Pixels) -> torch.Tensor:
        """See ``Eyes.prepare``."""
        return prepare(self.processor, pixels, self.device)

    def gathered(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """Prepared pictures as one batch (B, 3, h, w) on the device."""
        return gathered(prepared, self.device, self.dtype)


def preparers(device: torch.device) -> int:
    """Threads that prepare pictures while a model runs on a device.

    One core takes longer to prepare a picture than a GPU to look at it, and waits for the GPU
    anyway. Where all that may be used is one core there are none.
    """
    count = threads()
    return 0 if device.type == "cpu" and count == 1 else count


def prepare(processor: Any, pixels: Pixels, device: torch.device) -> torch.Tensor:
    """An image (H, W, 3) as the model's input (3, h, w), on the CPU; pinned, for a GPU."""
    made = processor(images=[pixels], return_tensors="pt", input_data_format="channels_last")
    values: torch.Tensor = made["pixel_values"][0]
    return values.pin_memory() if device.type == "cuda" else values


def gathered(
    prepared: Sequence[torch.Tensor], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Prepared images as one batch (B, 3, h, w) on the device; from pinned memory none waits."""
    sent = [values.to(device, non_blocking=True) for values in prepared]
    batch: torch.Tensor = import_torch().stack(sent).to(dtype)
    return batch


def preprocess(
    processor: Any, pixels: Sequence[Pixels], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Images (H, W, 3) as the model's input (B, 3, h, w), prepared on threads."""
    count = preparers(device) if len(pixels) > 1 else 0
    made = ahead(lambda one: prepare(processor, one, device), pixels, count)
    return gathered(list(made), device, dtype)
