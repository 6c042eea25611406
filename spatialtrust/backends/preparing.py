"""Pictures as a model takes them, as its checkpoint's own image processor makes them.

Rescaling and normalising, a processor's last steps, are one product and one sum a channel; it
spends up to three times as long on them as on all others. They are left to the device where the
picture goes, as bytes. A GPU resizes too, where it gets the processor's own result to the bit
(``resizing.py``): a core takes longer to resize a picture than a GPU to look at it.
"""

from __future__ import annotations

import logging
from functools import cached_property, lru_cache, partial
from itertools import groupby
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.backends.ahead import ahead
from spatialtrust.backends.loading import import_torch
from spatialtrust.backends.resizing import Resizing, learned, resized
from spatialtrust.files import first_line
from spatialtrust.fusion.model import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from spatialtrust.arrays import Pixels

log = logging.getLogger(__name__)

_CLOSE: Final = 1e-5
"""How far a value may be off the processor's own; a step of one in 255 is some 0.015."""
_LARGEST: Final = 1 << 22
"""Pixels above which a picture is resized before it goes anywhere."""
_SIZES: Final = 16
"""Sizes that a device resizes: the weights of each lie in its memory."""


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

    def prepare(self, pixels: Pixels) -> Prepared:
        """A picture, as far as it is prepared on the CPU; pinned, for a GPU. On threads."""
        on_gpu = self.device.type == "cuda"
        how = _resizings(self.processor, self.device).of(pixels) if on_gpu else None
        if how is not None:
            values = import_torch().from_numpy(np.require(pixels, requirements=["C", "W"]))
            return Prepared(values.pin_memory(), how.crop, how)
        values = _made(self.processor, pixels, last=self._last is None)
        if on_gpu:
            values = values.pin_memory()
        return Prepared(values, (values.shape[1], values.shape[2]), None)

    def gathered(self, prepared: Sequence[Prepared]) -> torch.Tensor:
        """Prepared pictures as the model's input (B, 3, h, w); from pinned memory none waits."""
        library = import_torch()
        planes = []
        for how, together in groupby(prepared, key=lambda one: one.how):
            sent = [one.values.to(self.device, non_blocking=True) for one in together]
            batch = library.stack(sent)
            planes.append(batch if how is None else resized(batch, how))
        whole: torch.Tensor = library.cat(planes)
        if self._last is not None:
            factor, summand = self._last
            whole = library.addcmul(summand, whole.float(), factor)
        return whole.to(self.dtype)

    @cached_property
    def _last(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """What the processor's last steps multiply a channel by and add; None: it does them."""
        found = last_steps(self.processor)
        return None if found is None else (found[0].to(self.device), found[1].to(self.device))


class Prepared(NamedTuple):
    """A picture on its way to the device.

    Attributes
    ----------
    values: uint8 or float (3, h, w), or uint8 (H, W, 3), which the device resizes.
    size: h and w.
    how: how the device resizes it; None: it is resized.
    """

    values: torch.Tensor
    size: tuple[int, int]
    how: Resizing | None


class _Resizings:
    """How pictures are resized, by their size; learned when a size comes a second time."""

    def __init__(self, processor: Any, device: torch.device, *, trusted: bool) -> None:
        self._processor, self._device, self._trusted = processor, device, trusted
        self._found: dict[tuple[int, int], Resizing | None] = {}
        self._met: set[tuple[int, int]] = set()
        self._lock = Lock()

    def of(self, pixels: Pixels) -> Resizing | None:
        """How, if the device can."""
        size = pixels.shape[:2]
        usual = pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
        if not self._trusted or not usual or size[0] * size[1] > _LARGEST:
            return None
        with self._lock:
            if size not in self._met:
                self._met.add(size)
                return None
            if size not in self._found and len(self._found) < _SIZES:
                self._found[size] = self._learned(size)
            return self._found.get(size)

    def _learned(self, size: tuple[int, int]) -> Resizing | None:
        why = "the result is another"
        try:
            found = learned(self._processor, size, self._device, partial(_made, last=False))
        except Exception as error:  # the processor's, or no memory: it is only a shorter way
            found, why = None, first_line(error)
        if found is None:
            log.info("pictures of %d x %d are resized on the CPU: %s", size[1], size[0], why)
        return found


@lru_cache(maxsize=16)
def _resizings(processor: Any, device: torch.device) -> _Resizings:
    """Whoever prepares pictures with a processor shares what was learned of it."""
    return _Resizings(processor, device, trusted=last_steps(processor) is not None)


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
