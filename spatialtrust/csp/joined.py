"""The preparation of a Qwen2-VL's inputs from tokenizer and image processor alone.

The library's own needs a video processor, and that needs torchvision; pictures need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spatialtrust.arrays import Pixels

MODEL_TYPES: Final = ("qwen2_vl", "qwen2_5_vl")
"""Architectures whose pictures stand in the text as one mark a patch, merged in squares."""

_MARK: Final = "<|image_pad|>"


class JoinedProcessor:
    """Called like a processor of the library.

    Attributes
    ----------
    tokenizer, image_processor: of the library.
    """

    def __init__(self, tokenizer: Any, image_processor: Any) -> None:
        self.tokenizer, self.image_processor = tokenizer, image_processor

    @property
    def chat_template(self) -> str | None:
        """The tokenizer's."""
        found: str | None = self.tokenizer.chat_template
        return found

    def apply_chat_template(self, turns: Any, *, add_generation_prompt: bool) -> str:
        """The text of a conversation."""
        text: str = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return text

    def __call__(
        self,
        *,
        images: Sequence[Pixels],
        text: Sequence[str],
        return_tensors: str,
        padding: bool,
        input_data_format: str,
    ) -> dict[str, Any]:
        """Tokens and pictures of rows that show one picture each."""
        seen = self.image_processor(
            images=list(images), return_tensors=return_tensors, input_data_format=input_data_format
        )
        side = self.image_processor.merge_size
        counts = (seen["image_grid_thw"].prod(dim=1) // side**2).tolist()
        spelled = [
            row.replace(_MARK, _MARK * count, 1) for row, count in zip(text, counts, strict=True)
        ]
        put = self.tokenizer(spelled, return_tensors=return_tensors, padding=padding)
        mark = self.tokenizer.convert_tokens_to_ids(_MARK)
        kinds = (put["input_ids"] == mark).to(put["input_ids"].dtype)
        return {**put, **seen, "mm_token_type_ids": kinds}

    def save_pretrained(self, folder: Path) -> None:
        """Write both parts."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
