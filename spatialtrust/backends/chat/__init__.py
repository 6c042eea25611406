"""Any chat model of transformers as an asker: ``vlm:Qwen/Qwen2.5-VL-3B-Instruct``.

LLaVA, Qwen2-VL to Qwen3-VL, SmolVLM, Idefics3, InternVL, Gemma 3, PaliGemma and what else
``AutoModelForImageTextToText`` loads and a chat template asks.

>>> from spatialtrust.backends.base import Options
>>> open_backend("nobody/no-such-model", "vlm:nobody/no-such-model", Options())
Traceback (most recent call last):
    ...
spatialtrust.errors.BackendError: vlm:nobody/no-such-model: neither a folder nor in the ...
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from spatialtrust.backends import asking
from spatialtrust.backends.loading import Checkpoint, device_of, dtype_of, locate
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from spatialtrust.backends.base import Options

_IMAGE_TOKEN: Final = ("image_token_id", "image_token_index", "boi_token_index", "boi_token_id")


class ChatVlm(asking.ReadingAsker):
    """An ``Asker``; weights load at the first question.

    ``p_yes`` is P(yes) / (P(yes) + P(no)) of the first token of the assistant's reply.
    """

    def __init__(self, checkpoint: Checkpoint, reference: str, options: Options) -> None:
        super().__init__(reference, options)
        self.revision = checkpoint.revision
        self._checkpoint = checkpoint

    @cached_property
    def reader(self) -> asking.Reader:
        """The loaded model."""
        from spatialtrust.backends.chat.reader import ChatReader

        device = device_of(self._options)
        dtype = dtype_of(self._options, device, on_gpu="bfloat16")
        return ChatReader(self._checkpoint, device, dtype, self._budget)


def open_backend(target: str, reference: str, options: Options) -> ChatVlm:
    """Find the files of a chat model; see ``registry.py``.

    Raises
    ------
    BackendError: the files are not here, or are of a model that is given no pictures.
    """
    checkpoint = locate(target, reference)
    config = checkpoint.config
    if checkpoint.model_type == "blip-2":
        raise BackendError(f"{reference}: is a BLIP-2, which is no chat model; use blip2:{target}")
    if not any(config.get(name) is not None for name in _IMAGE_TOKEN):
        raise BackendError(
            f"{reference}: its config.json (model_type {checkpoint.model_type!r}) names no image "
            "token, so it is given no pictures: a language model alone, or an architecture that "
            "transformers does not ask in chats; serve the latter and use openai:MODEL@URL"
        )
    return ChatVlm(checkpoint, reference, options)
