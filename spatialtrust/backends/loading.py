"""Where a model's files are, and how they become a model.

Files come from a folder or from the local cache of the hub, never from the network: that is what
``spatialtrust backends fetch`` is for. Weights are safetensors, code is the installed library's.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialtrust.backends.bundles import cached_snapshot, revision_of
from spatialtrust.documents import read_object
from spatialtrust.errors import BackendError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from spatialtrust.backends.base import Options


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's files on this machine.

    Attributes
    ----------
    folder: holds ``config.json`` and ``*.safetensors``.
    revision: commit on the hub, or ``sha256:`` of the files.
    config: ``config.json``.
    """

    folder: Path
    revision: str
    config: dict[str, Any]

    @property
    def model_type(self) -> str:
        """The architecture, in the library's words."""
        return str(self.config.get("model_type", ""))


def locate(target: str, reference: str, model_types: Sequence[str] | None = None) -> Checkpoint:
    """Find a model's files without importing anything heavy.

    Parameters
    ----------
    target: a folder, or ``owner/name`` or ``owner/name@revision`` on the hub.
    reference: the whole reference string, for messages.
    model_types: architectures that the caller can run; None: it looks for itself.

    Raises
    ------
    BackendError: the files are not here (with the command that fetches them), hold another
        architecture, or no safetensors.
    """
    folder, revision = _folder(target, reference)
    try:
        config = read_object(folder / "config.json")
    except (OSError, ValueError) as error:
        raise BackendError(
            f"{reference}: {folder} holds no readable config.json ({error}); "
            "give a folder written by save_pretrained or by spatialtrust backends fetch"
        ) from error
    found = config.get("model_type")
    if model_types is not None and found not in model_types:
        raise BackendError(
            f"{reference}: {folder} holds a model of type {found!r}; "
            f"valid here: {', '.join(model_types)} (spatialtrust backends lists all)"
        )
    if not any(folder.glob("*.safetensors")):
        raise BackendError(
            f"{reference}: {folder} holds no *.safetensors, and other formats can run code when "
            "they are read; convert the weights with save_pretrained, or fetch a revision that has "
            "them (owner/name@revision)"
        )
    return Checkpoint(folder, revision or revision_of(folder), config)


def _folder(target: str, reference: str) -> tuple[Path, str | None]:
    path = Path(target).expanduser()
    if path.is_dir():
        return path, None
    name, _, revision = target.partition("@")
    if cached := cached_snapshot(name, revision or None):
        return cached, cached.name
    kind = reference.partition(":")[0]
    place = f"models/{Path(name).name}"
    raise BackendError(
        f"{reference}: neither a folder nor in the local cache. Fetch it with\n"
        f"  spatialtrust backends fetch {reference} --to {place}\n"
        f"and use {kind}:{place}, or copy that folder to a machine without a network"
    )


def device_of(options: Options) -> torch.device:
    """The device that an ``Options.device`` means here.

    Raises
    ------
    BackendError: it is not to be had.
    """
    library = import_torch()
    name = options.device
    if name == "auto":
        name = "cuda" if library.cuda.is_available() else "cpu"
    try:
        device: torch.device = library.device(name)
        library.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BackendError(
            f'device "{options.device}" cannot be used here ({error}); valid: auto, cpu, cuda, '
            "cuda:N where there is a GPU"
        ) from error
    return device


def memory_of(options: Options, device: torch.device) -> float:
    """Bytes that activations may take: as given, else on a GPU half of what is free.

    A full-size detector takes a gigabyte an image: at the CPU's default a GPU would see one at a
    time.
    """
    if device.type != "cuda" or options.memory != type(options)().memory:
        return float(options.memory)
    free, _ = import_torch().cuda.mem_get_info(device)
    return max(float(options.memory), float(free) / 2)


def dtype_of(options: Options, device: torch.device, on_gpu: str = "float32") -> torch.dtype:
    """The dtype that an ``Options.dtype`` means; ``auto`` is ``on_gpu`` off the CPU.

    ``tf32`` is float32 whose factors a GPU rounds to ten bits. That is a setting of the process:
    the last model that says ``tf32`` or ``float32`` decides; ``auto`` leaves it as it is.
    """
    library = import_torch()
    valid = ("float32", "tf32", "bfloat16", "float16")
    name = options.dtype
    if name in ("tf32", "float32"):
        library.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        library.backends.cudnn.allow_tf32 = name == "tf32"
        name = "float32"
    if name == "auto":
        name = "float32" if device.type == "cpu" else on_gpu
    if name not in valid:
        raise BackendError(f'dtype "{name}" is not known; valid: auto, {", ".join(valid)}')
    dtype: torch.dtype = getattr(library, name)
    return dtype


def load_model(
    checkpoint: Checkpoint, class_name: str, device: torch.device, dtype: torch.dtype
) -> Any:
    """A model of the library, in evaluation mode, on the device."""
    model = _load(checkpoint, class_name, dtype=dtype, use_safetensors=True)
    return model.to(device).eval()


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokenizer beside a model."""
    return _load(checkpoint, "AutoTokenizer")


def load_image_processor(checkpoint: Checkpoint) -> Any:
    """The image processor beside a model, on PIL: the same pixels with or without torchvision."""
    return _load(checkpoint, "AutoImageProcessor", backend="pil")


def _load(checkpoint: Checkpoint, class_name: str, **how: Any) -> Any:
    maker = getattr(import_transformers(), class_name)
    try:
        with _without_bars():
            return maker.from_pretrained(
                checkpoint.folder, local_files_only=True, trust_remote_code=False, **how
            )
    except Exception as error:  # many libraries read these files, each with errors of its own
        raise BackendError(
            f"{checkpoint.folder}: {class_name} cannot be read: {error}; "
            "fetch the model again (spatialtrust backends fetch)"
        ) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """The library's own bars would be drawn across ours."""
    from transformers.utils import logging as told

    logging: Any = told
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def import_torch() -> Any:
    """The torch module.

    Raises
    ------
    MissingDependencyError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "hf", "a live model") from error
    return torch


def import_transformers() -> Any:
    """The transformers module.

    Raises
    ------
    MissingDependencyError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError("transformers", "hf", "a live model") from error
    return transformers
