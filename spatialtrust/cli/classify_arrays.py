"""What ``spatialtrust classify compare`` takes besides a cache: own arrays, options of methods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialtrust.cli.output import say
from spatialtrust.documents import loads
from spatialtrust.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.classify.image_set import EmbeddedImages

_KINDS = ".npy .npz .pt .safetensors .parquet, or FILE:NAME"
_PANEL = "Own arrays"

Images = Annotated[
    Path | None,
    typer.Option(help=f"Image embeddings (N, d): {_KINDS}.", rich_help_panel=_PANEL),
]
Texts = Annotated[
    Path | None,
    typer.Option(help="Text embeddings (K, d), one per class.", rich_help_panel=_PANEL),
]
Labels = Annotated[Path | None, typer.Option(help="Class indices (N,).", rich_help_panel=_PANEL)]
Logits = Annotated[
    Path | None,
    typer.Option(help="Logits (N, K), scale included, instead of texts.", rich_help_panel=_PANEL),
]
Features = Annotated[
    Path | None,
    typer.Option(
        help="Features of a second image encoder (N, e), not normalised.", rich_help_panel=_PANEL
    ),
]
Captions = Annotated[
    Path | None, typer.Option(help="Caption embeddings (N, d).", rich_help_panel=_PANEL)
]
LastLayersFile = Annotated[
    Path | None,
    typer.Option(
        help="For BayesVLM: image_activations, text_activations, image_projection and "
        "text_projection in one file.",
        rich_help_panel=_PANEL,
    ),
]
ClassFile = Annotated[
    Path | None,
    typer.Option(help="Class names, one per line, in the texts' order.", rich_help_panel=_PANEL),
]
LogitScale = Annotated[
    float | None,
    typer.Option(
        help="Logit scale of the model; default: CLIP's 100 (logged).", rich_help_panel=_PANEL
    ),
]

_ROLES = ("images", "labels", "logits", "features", "captions")


@dataclass(frozen=True)
class ArrayFiles:
    """Files by split, in the order images, labels, logits, features, captions."""

    splits: Mapping[str, tuple[Path | None, ...]]
    texts: Path | None
    last_layers: Path | None
    classes: Path | None
    logit_scale: float | None

    @property
    def given(self) -> bool:
        """Whether there is any array."""
        files = [file for row in self.splits.values() for file in row]
        return any(file is not None for file in (*files, self.texts, self.last_layers))


def read_splits(files: ArrayFiles) -> dict[str, EmbeddedImages]:
    """Embedded images of each split that has files.

    Raises
    ------
    InputError: naming the option, the file, the array and the row.
    """
    from spatialtrust.classify.own_arrays import (
        read_array,
        read_layers,
        split_from_files,
        splits_from_arrays,
    )
    from spatialtrust.io.text import read_lines

    named = {
        split: dict(zip(_ROLES, row, strict=True))
        for split, row in files.splits.items()
        if any(file is not None for file in row)
    }
    for split, roles in named.items():
        prefix = "--" if split == "train" else f"--{split}-"
        if roles["images"] is None and roles["logits"] is None:
            raise InputError(f"{prefix}images: missing; give embeddings, or {prefix}logits")
        if roles["labels"] is None and roles["captions"] is None:
            raise InputError(f"{prefix}labels: missing; give one class index per image")
    if "train" not in named:
        raise InputError("--images: missing; give embeddings to learn from, or --logits")
    if "calibration" in named and "test" not in named:
        raise InputError("--test-images: missing; a calibration split alone is no test")
    lone = all(row["logits"] is None and row["captions"] is None for row in named.values())
    if files.texts is None and lone:
        raise InputError("--texts: missing; give one text embedding per class, or --logits")
    if files.logit_scale is None and files.texts is not None:
        say("assuming CLIP's logit scale of 100; set another with --logit-scale")
    return splits_from_arrays(
        {split: split_from_files(roles) for split, roles in named.items()},
        None if files.texts is None else read_array(files.texts, "texts"),
        class_names=() if files.classes is None else tuple(read_lines(files.classes)),
        logit_scale=100.0 if files.logit_scale is None else files.logit_scale,
        layers=None if files.last_layers is None else read_layers(files.last_layers, tuple(named)),
    )


def method_options(given: list[str], method: str) -> dict[str, Any]:
    """``epochs=50`` or ``vilu.epochs=50`` as a keyword of one method.

    Raises
    ------
    InputError: for what is no NAME=VALUE, or names another method.
    """
    options: dict[str, Any] = {}
    for text in given:
        key, value = _pair(text, "NAME=VALUE, such as epochs=50")
        owner, dot, name = key.rpartition(".")
        if dot and owner != method:
            raise InputError(f'--option "{text}" is of {owner}, and this is {method}')
        options[name] = value
    return options


def grouped_options(given: list[str]) -> dict[str, dict[str, Any]]:
    """``trustvlm.shots=4`` as options by method.

    Raises
    ------
    InputError: for what is no METHOD.OPTION=VALUE.
    """
    valid = "METHOD.OPTION=VALUE, such as trustvlm.shots=4 (OPTION=VALUE is for --study)"
    options: dict[str, dict[str, Any]] = {}
    for text in given:
        key, value = _pair(text, valid)
        method, dot, name = key.rpartition(".")
        if not (dot and method and name):
            raise InputError(f'--option "{text}" is no {valid}')
        options.setdefault(method, {})[name] = value
    return options


def _pair(text: str, valid: str) -> tuple[str, Any]:
    """Name and value; values are JSON where they read as such, else text."""
    key, sign, value = text.partition("=")
    if not sign:
        raise InputError(f'--option "{text}" is no {valid}')
    try:
        return key, loads(value)
    except ValueError:
        return key, value
