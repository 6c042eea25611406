"""Pictures as a model takes them, through its checkpoint's own image processor.

The processor resizes and crops. Rescaling and normalising, its last steps, are one product and one
sum a channel; a processor spends up to three times as long on them as on all others, so they are
left to the device where the picture goes, as bytes.
"""

from __future__ import annotations

import logging
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.ahead import ahead
from spatialtrust.backends.loading import import_torch
from spatialtrust.fusion.model import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from spatialtrust.arrays import Pixels

log = logging.getLogger(__name__)

_CLOSE: Final = 1e-5
"""How far a value may be off the processor's own; a step of one in 255 is some 0.015."""


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
        """An image (H, W, 3) as (3, h, w), on the CPU; pinned, for a GPU. See ``Eyes.prepare``."""
        values = _made(self.processor, pixels, last=self._last is None)
        return values.pin_memory() if self.device.type == "cuda" else values

    def gathered(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """Prepared pictures as the model's input (B, 3, h, w); from pinned memory none waits."""
        library = import_torch()
        batch: torch.Tensor = library.stack(
            [values.to(self.device, non_blocking=True) for values in prepared]
        )
        if self._last is not None:
            factor, summand = self._last
            batch = library.addcmul(summand, batch.float(), factor)
        return batch.to(self.dtype)

    @cached_property
    def _last(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """What the processor's last steps multiply a channel by and add; None: it does them."""
        found = last_steps(self.processor)
        return None if found is None else (found[0].to(self.device), found[1].to(self.device))


class Preparer(Prepares):
    """Prepares pictures for whoever has a processor and a model apart."""

    def __init__(self, processor: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.processor, self.device, self.dtype = processor, device, dtype

    def batch(self, pixels: Sequence[Pixels]) -> torch.Tensor:
        """Images (H, W, 3) as the model's input (B, 3, h, w), prepared on threads."""
        count = self.preparers if len(pixels) > 1 else 0
        return self.gathered(list(ahead(self.prepare, pixels, count)))


def preparers(device: torch.device) -> int:
    """Threads that prepare pictures while a model runs on a device.

    One core takes longer to prepare a picture than a GPU to look at it, and waits for the GPU
    anyway. Where all that may be used is one core there are none.
    """
    count = threads()
    return 0 if device.type == "cpu" and count == 1 else count


@lru_cache(maxsize=16)
def last_steps(processor: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What a processor's rescaling and normalising come to: a factor and a summand (3, 1, 1).

    They are read off a black and a white picture and held against what the processor makes of a
    third. None: they are something else, or come before other steps.
    """
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    try:
        bytes_, whole = (_made(processor, picture, last=last) for last in (False, True))
        black, white = (
            _made(processor, np.full_like(picture, value), last=True)[:, :1, :1]
            for value in (0, 255)
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        log.info("%s does all steps by itself: %s", type(processor).__name__, error)
        return None
    if bytes_.dtype != import_torch().uint8 or bytes_.shape != whole.shape:
        return None
    factor = (white - black) / 255
    off = float((bytes_.float() * factor + black - whole).abs().max())
    return (factor, black) if off < _CLOSE else None


def _made(processor: Any, pixels: Pixels, *, last: bool) -> torch.Tensor:
    """An image as the processor makes it (3, h, w), with its last steps or without."""
    how = {} if last else {"do_rescale": False, "do_normalize": False}
    made = processor(images=[pixels], return_tensors="pt", input_data_format="channels_last", **how)
    values: torch.Tensor = made["pixel_values"][0]
    return values
