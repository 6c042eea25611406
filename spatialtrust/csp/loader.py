"""From a checkpoint, by folder or reference, to a VLM that can be trained."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends import bundles
from spatialtrust.backends.base import Options
from spatialtrust.backends.loading import (
    Checkpoint,
    device_of,
    dtype_of,
    import_torch,
    import_transformers,
    load_image_processor,
    load_model,
    load_tokenizer,
    locate,
)
from spatialtrust.csp.joined import MODEL_TYPES, JoinedProcessor
from spatialtrust.documents import read_object
from spatialtrust.errors import BackendError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spatialtrust.csp.vlm import Vlm

NOTES: Final = "csp.json"
"""What ``csp train`` writes beside weights: scale, base, stages, settings."""

_ADAPTER: Final = "adapter"


def open_vlm(reference: str, options: Options | None = None) -> Vlm:
    """The VLM of a checkpoint, on its device.

    Parameters
    ----------
    reference: a folder that ``save_pretrained`` or ``csp train`` wrote, ``owner/name`` in the local
        cache of the hub, ``tabletop:blip2``, or any of these after ``csp:``, ``blip2:`` or another
        kind of backend.

    Raises
    ------
    InputError: the model writes no text, so no reply of it can be trained.
    BackendError: the files are not here or cannot be read.
    """
    import_torch()
    options = options or Options()
    folder = bundle_folder(reference)
    notes = read_notes(folder)
    if notes and (folder / _ADAPTER).is_dir():
        base = open_vlm(str(notes["base"]), options)
        if base.revision != notes["base_revision"]:
            raise InputError(
                f"{folder}: its adapter was trained on {notes['base']} at "
                f"{notes['base_revision']}, and that is now {base.revision}; "
                "give back the model it was trained on, or train it again"
            )
        with older_names():
            adapted = import_peft().PeftModel.from_pretrained(base.model, folder / _ADAPTER)
        base.model = adapted.merge_and_unload()
        return base
    config = _config(folder, reference)
    kind = str(config.get("model_type", ""))
    architecture = " ".join(config.get("architectures") or [])
    if "Retrieval" in architecture or not any(word in architecture for word in _WRITES):
        raise InputError(
            f"{reference}: {architecture or kind or 'the model'} has no language head that could "
            "be trained to state a confidence; give a generative VLM, such as BLIP-2 with OPT or "
            "T5, LLaVA or Qwen2-VL"
        )
    checkpoint = locate(str(folder), reference, (kind,))
    device = device_of(options)
    dtype = dtype_of(options, device, on_gpu="bfloat16")
    from spatialtrust.csp.vlm import Blip2, Chat

    if kind == "blip-2":
        model = load_model(checkpoint, "Blip2ForConditionalGeneration", device, dtype)
        tokenizer, processor = load_tokenizer(checkpoint), load_image_processor(checkpoint)
        return Blip2(model, tokenizer, processor, checkpoint.revision)
    model = load_model(checkpoint, "AutoModelForImageTextToText", device, dtype)
    processor = _processor(checkpoint)
    return Chat(model, processor.tokenizer, processor, checkpoint.revision)


_WRITES: Final = ("ForConditionalGeneration", "ForCausalLM", "ForImageTextToText")


def bundle_folder(reference: str) -> Path:
    """Where the files of a reference are.

    Raises
    ------
    BackendError: not here; with the command that fetches them.
    """
    path = Path(reference).expanduser()
    if path.is_dir():
        return path
    kind, _, rest = reference.rpartition(":")
    if kind and Path(rest).expanduser().is_dir():
        return Path(rest).expanduser()
    try:
        found = bundles.local_folder(reference if kind else f"csp:{reference}")
    except ValueError:  # a name that no model of the hub can have
        found = None
    if found is not None:
        return found
    raise BackendError(
        f"{reference}: neither a folder nor in the local cache; give a folder with config.json and "
        "*.safetensors, tabletop:blip2, or fetch one: "
        "spatialtrust backends fetch KIND:OWNER/NAME --to FOLDER"
    )


def read_notes(folder: Path) -> dict[str, Any]:
    """What ``csp train`` wrote about a folder; empty where it wrote nothing.

    Raises
    ------
    InputError: the file is there, and is not readable.
    """
    path = folder / NOTES
    if not path.is_file():
        return {}
    try:
        found = read_object(path)
        return {**found, "base": found["base"], "base_revision": found["base_revision"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is not what csp train writes ({error!r}); train again, or delete the file to "
            "use the folder as a plain checkpoint"
        ) from error


def import_peft() -> Any:
    """The peft module.

    Raises
    ------
    MissingDependencyError: it is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingDependencyError("peft", "csp", "training with LoRA") from error
    return peft


@contextmanager
def older_names() -> Iterator[None]:
    """Without the warnings of transformers about names that it will drop.

    ``peft`` goes by them, and the new ones are not in every version from 5.0 on.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)
        yield


def _config(folder: Path, reference: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_object(folder / "config.json")
        return {**found}
    except (OSError, ValueError, TypeError) as error:
        raise BackendError(
            f"{reference}: {folder} holds no readable config.json ({error}); "
            "give a folder written by save_pretrained, or by csp train"
        ) from error


def _processor(checkpoint: Checkpoint) -> Any:
    """Tokenizer and image processor of a chat VLM, on PIL."""
    if checkpoint.model_type in MODEL_TYPES:
        return JoinedProcessor(load_tokenizer(checkpoint), load_image_processor(checkpoint))
    maker: Any = import_transformers().AutoProcessor
    try:
        return maker.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except Exception as error:  # many libraries read these files, each with errors of its own
        raise BackendError(
            f"{checkpoint.folder}: its processor cannot be read: {error}; "
            "fetch the model again (spatialtrust backends fetch)"
        ) from error
