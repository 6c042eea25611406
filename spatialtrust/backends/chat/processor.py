"""A chat model's processor without torchvision: its tokenizer and image processor, no video.

``AutoProcessor`` builds a video processor for Qwen-VL, SmolVLM and InternVL, which needs
torchvision, and SmolVLM's own needs num2words for captions of videos. Pictures need neither: the
processor's class is found as the library finds it, and made of the parts that pictures need.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.loading import (
    Checkpoint,
    import_transformers,
    load_image_processor,
    load_tokenizer,
)
from spatialtrust.documents import read_object
from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: Final = "processor_config.json"
_SAME_FOR_PICTURES: Final = {"SmolVLMProcessor": "Idefics3Processor"}
"""A class that needs a package for videos only, to one that treats pictures alike."""


def compose(checkpoint: Checkpoint) -> Any:
    """The processor of a checkpoint.

    Raises
    ------
    BackendError: the library knows no processor for this architecture, or it cannot be made of a
        tokenizer and an image processor.
    """
    settings = _settings(checkpoint.folder)
    name = _class_name(checkpoint, settings)
    maker = getattr(import_transformers(), _SAME_FOR_PICTURES.get(name, name), None)
    if maker is None:
        raise BackendError(
            f'{checkpoint.folder}: the installed transformers has no processor "{name}" for models '
            f'of type "{checkpoint.model_type}"; pip install -U transformers, or serve the model '
            "and use openai:MODEL@URL"
        )
    tokenizer = load_tokenizer(checkpoint)
    accepted = set(inspect.signature(maker.__init__).parameters)
    given = {key: value for key, value in settings.items() if key in accepted}
    given |= {
        "tokenizer": tokenizer,
        "image_processor": load_image_processor(checkpoint),
        "chat_template": settings.get("chat_template") or _template(checkpoint.folder, tokenizer),
    }
    try:
        return _for_pictures(maker)(**given)
    except Exception as error:  # the library's processors raise errors of many kinds
        raise BackendError(
            f"{checkpoint.folder}: {name} cannot be made of a tokenizer and an image processor "
            f"({type(error).__name__}: {error}); serve the model and use openai:MODEL@URL"
        ) from error


def _for_pictures(maker: Any) -> Any:
    """A processor's class without its part for videos, whose class cannot even be looked up."""
    attributes = [name for name in maker.get_attributes() if name != "video_processor"]
    without = {"get_attributes": classmethod(lambda _: attributes), "video_processor": None}
    return type(maker.__name__, (maker,), without)


def _settings(folder: Path) -> dict[str, Any]:
    """What the processor was saved with, its parts left out; they are read from their own files."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = read_object(path)
        return {key: value for key, value in found.items() if not isinstance(value, dict)}
    except (OSError, ValueError, AttributeError) as error:
        raise BackendError(
            f"{path}: cannot be read ({error}); fetch the model again (spatialtrust backends fetch)"
        ) from error


def _class_name(checkpoint: Checkpoint, settings: dict[str, Any]) -> str:
    from transformers.models.auto import modeling_auto, processing_auto

    listed: Any = processing_auto
    asked = modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if checkpoint.model_type not in asked:
        raise BackendError(
            f"{checkpoint.folder}: the installed transformers asks no models of type "
            f'"{checkpoint.model_type}" about pictures; pip install -U transformers, or serve the '
            "model and use openai:MODEL@URL"
        )
    said = settings.get("processor_class")
    known = listed.PROCESSOR_MAPPING_NAMES.get(checkpoint.model_type)
    return str(known or said or f"{checkpoint.model_type} (none is listed)")


def _template(folder: Path, tokenizer: Any) -> str | None:
    """The chat template, wherever this version of the library or an earlier one wrote it."""
    plain, wrapped = folder / "chat_template.jinja", folder / "chat_template.json"
    if plain.is_file():
        return plain.read_text("utf-8")
    if wrapped.is_file():
        try:
            return str(read_object(wrapped)["chat_template"])
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(f"{wrapped}: cannot be read ({error}); fetch the model again") from (
                error
            )
    found = getattr(tokenizer, "chat_template", None)
    return found.get("default") if isinstance(found, dict) else found
