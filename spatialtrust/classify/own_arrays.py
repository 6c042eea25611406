"""Embeddings, labels and logits from files: .npy, .npz, .pt, .safetensors, Parquet.

Nothing is unpickled: a file that holds Python objects is refused, torch files load weights only.
Several arrays in one file are told apart by name, ``FILE:NAME``; without one the array that is
called like its role (``images``, ``texts``, ``labels`` ...) is taken, or the only one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.classify.image_set import OWN, EmbeddedImages, LastLayers, unit_embeddings
from spatialtrust.errors import FileError, InputError, MissingDependencyError
from spatialtrust.io.parquet import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    Arrays = Mapping[str, Any]

SPLITS: Final = ("train", "calibration", "test")
PER_IMAGE: Final = ("images", "labels", "logits", "features", "captions")
"""What every split has of its own; texts are everyone's."""

ENDINGS: Final = (".npy", ".npz", ".pt", ".pth", ".safetensors", ".parquet")
_ALIASES: Final = {
    "images": ("images", "image_features", "image_embeddings", "embeddings"),
    "texts": ("texts", "text_features", "text_embeddings", "classifier"),
    "labels": ("labels", "label", "targets", "y"),
    "logits": ("logits",),
    "features": ("features",),
    "captions": ("captions", "caption_features", "caption_embeddings"),
}


def read_array(path: str | Path, role: str) -> Any:
    """One array of a file; ``.npy`` stays memory-mapped.

    Parameters
    ----------
    path: ``FILE`` or ``FILE:NAME``.
    role: what it is for: chooses among several arrays, and names it in messages.

    Raises
    ------
    FileError: for a file that is missing, damaged, of another kind, or holds Python objects; or for
        several arrays of which none is called like the role.
    """
    file, name = _parts(path)
    if not file.exists():
        raise FileError(file, f"does not exist, and was given for {role}", "check the path")
    try:
        held = _opened(file, role)
    except FileError:
        raise
    except ImportError as error:
        raise MissingDependencyError(
            str(error.name), "hf", f"reading {file.suffix} files"
        ) from None
    except Exception as error:  # damaged files raise whatever their library likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if any(word in reason.lower() for word in ("pickle", "python objects", "weights only")):
            raise FileError(
                file,
                f"{role}: holds Python objects (or is damaged), and unpickling could run code",
                "save plain numbers, as np.save(file, np.asarray(values, dtype=float)) does",
            ) from None
        raise FileError(
            file, f"{role}: cannot be read ({reason})", "save the array again"
        ) from None
    return _chosen(held, name, role, file)


def split_from_files(files: Mapping[str, str | Path | None]) -> dict[str, Any]:
    """Read the arrays of one split by role; what is None stays out."""
    return {role: read_array(path, role) for role, path in files.items() if path is not None}


def splits_from_arrays(
    splits: Mapping[str, Arrays],
    texts: Any,
    *,
    class_names: tuple[str, ...] = (),
    logit_scale: float = 100.0,
    model: str = OWN,
    layers: Mapping[str, Arrays] | None = None,
) -> dict[str, EmbeddedImages]:
    """Embedded images of each split; one split alone is called "all".

    Parameters
    ----------
    splits: name to arrays by role (`PER_IMAGE`).
    texts: (K, d), or None with logits.
    layers: arrays of `LastLayers` of each split.

    Raises
    ------
    InputError: that names split, array and row.
    """
    parts = {}
    if texts is not None:
        texts = unit_embeddings(texts, "texts")
    for name, arrays in splits.items():
        known: Any = {} if layers is None else layers[name]
        try:
            if "labels" not in arrays:
                if "captions" not in arrays:
                    raise InputError("labels: missing; give one class index per image")
                rows = len(arrays.get("images", ()))
                arrays = {**arrays, "labels": np.full(rows, -1)}  # noqa: PLW2901
            images: Any = arrays.get("images")
            if images is not None:
                images = unit_embeddings(images, "images" if len(splits) == 1 else f"{name} images")
            parts[name] = EmbeddedImages(
                images=images,
                texts=_no_texts() if texts is None and "logits" not in arrays else texts,
                labels=arrays["labels"],
                class_names=class_names,
                model=model,
                logit_scale=logit_scale,
                captions=arrays.get("captions"),
                auxiliary=arrays.get("features"),
                auxiliary_model="own features" if "features" in arrays else None,
                given_logits=arrays.get("logits"),
                last_layers=LastLayers(**known) if known else None,
            )
        except InputError as error:
            told = str(error)
            where = f"{name} split: " if len(splits) > 1 and not told.startswith(name) else ""
            raise InputError(where + told) from None
    if len(parts) == 1:
        return {"all": next(iter(parts.values()))}
    return parts


def read_layers(path: str | Path, splits: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Arrays of `LastLayers` for each split, from one file.

    The file (.npz, .pt or .safetensors) holds ``image_projection``, ``text_projection``,
    ``text_activations``, and for each split ``image_activations``, with ``test_`` or
    ``calibration_`` in front where it is not the first.
    """
    found = {}
    for place, split in enumerate(splits):
        prefix = f"{split}_" if place else ""
        found[split] = {
            name: read_array(f"{path}:{key}", key)
            for name, key in (
                ("image_activations", f"{prefix}image_activations"),
                ("text_activations", "text_activations"),
                ("image_projection", "image_projection"),
                ("text_projection", "text_projection"),
            )
        }
    return found


def _no_texts() -> Any:
    """Pairs of image and caption have no classes."""
    return np.empty((0, 0), dtype=np.float32)


def _parts(path: str | Path) -> tuple[Path, str | None]:
    """File and name of ``FILE:NAME``; a drive letter is no name."""
    text = str(path)
    match = re.fullmatch(r"(.+\.(?:npz|pt|pth|safetensors|parquet)):([^/\\]+)", text, re.IGNORECASE)
    return (Path(match[1]), match[2]) if match else (Path(text), None)


def _opened(file: Path, role: str) -> dict[str, Any]:
    """Every array of a file by name; the only one of ``.npy`` has the role's name."""
    ending = file.suffix.lower()
    if ending == ".npy":
        return {role: np.load(file, mmap_mode="r", allow_pickle=False)}
    if ending == ".npz":
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    if ending in (".pt", ".pth"):
        import torch

        held = torch.load(file, map_location="cpu", weights_only=True)
        return dict(held) if isinstance(held, dict) else {role: held}
    if ending == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    if ending == ".parquet":
        table = read_table(file)
        columns = {name: table[name] for name in table.column_names}
        lists = [name for name, column in columns.items() if "list" in str(column.type)]
        if not lists and len(columns) > 1 and not set(columns) & set(_ALIASES[role]):
            return {role: table}  # one column a dimension
        return columns
    raise FileError(
        file, f"{role}: has the ending {ending or 'none'}", f"valid: {', '.join(ENDINGS)}"
    )


def _chosen(held: dict[str, Any], name: str | None, role: str, file: Path) -> Any:
    listed = ", ".join(sorted(map(str, held))) or "nothing"
    if name is not None:
        if name not in held:
            raise FileError(file, f'{role}: holds no "{name}"; it holds {listed}')
        return held[name]
    for known in _ALIASES.get(role, (role,)):
        if known in held:
            return held[known]
    if len(held) == 1:
        return next(iter(held.values()))
    raise FileError(
        file,
        f"{role}: holds several arrays ({listed}), and none is called {role}",
        f"say which: {file}:NAME",
    )
