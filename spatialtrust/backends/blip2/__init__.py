"""BLIP-2 as an asker: with an OPT or T5 language model, or as an image-text matcher.

>>> from spatialtrust.backends.base import Options
>>> open_backend("Salesforce/no-such-model", "blip2:Salesforce/no-such-model", Options())
Traceback (most recent call last):
    ...
spatialtrust.errors.BackendError: blip2:Salesforce/no-such-model: neither a folder nor in the ...
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from spatialtrust.backends import asking
from spatialtrust.backends.loading import Checkpoint, device_of, dtype_of, locate

if TYPE_CHECKING:
    from spatialtrust.backends.base import Options


class Blip2(asking.ReadingAsker):
    """An ``Asker``; weights load at the first question.

    ``p_yes`` is P(yes) / (P(yes) + P(no)) of the reply's first token (OPT, T5), or the match
    probability of the claim's caption (image-text matching).
    """

    def __init__(self, checkpoint: Checkpoint, reference: str, options: Options) -> None:
        super().__init__(reference, options)
        self.revision = checkpoint.revision
        self._checkpoint = checkpoint

    @cached_property
    def reader(self) -> asking.Reader:
        """The loaded model."""
        device = device_of(self._options)
        dtype = dtype_of(self._options, device, on_gpu="bfloat16")
        text = self._checkpoint.config.get("text_config", {})
        architectures = self._checkpoint.config.get("architectures") or []
        if "Blip2ForImageTextRetrieval" in architectures:
            from spatialtrust.backends.blip2.itm import MatchReader

            return MatchReader(self._checkpoint, device, dtype, self._budget)
        if text.get("model_type") == "t5":
            from spatialtrust.backends.blip2.t5 import T5Reader

            return T5Reader(self._checkpoint, device, dtype, self._budget)
        from spatialtrust.backends.blip2.opt import OptReader

        return OptReader(self._checkpoint, device, dtype, self._budget)


def open_backend(target: str, reference: str, options: Options) -> Blip2:
    """Find the files of a BLIP-2; see ``registry.py``."""
    return Blip2(locate(target, reference, ("blip-2",)), reference, options)
