"""Reference strings to backends: ``KIND:TARGET``, such as ``clip:openai/clip-vit-base-patch32``.

Kinds beyond those listed here come from installed packages, through the entry-point group
``spatialtrust.backends``: an entry named like the kind (or ``kind.role``, where a kind makes
different things for different roles) that loads a function
``open_backend(target, reference, options)``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from spatialtrust.backends import bundles
from spatialtrust.backends.base import Options
from spatialtrust.errors import BackendError, InputError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spatialtrust.backends.base import Asker, Detector, Embedder

GROUP: Final = "spatialtrust.backends"

_BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "clip": "spatialtrust.backends.clip:open_backend",
        "encoder": "spatialtrust.backends.encoder:open_backend",
        "blip2": "spatialtrust.backends.blip2:open_backend",
        "csp": "spatialtrust.csp.asker:open_backend",
        "openai": "spatialtrust.backends.served:open_backend",
        "vlm": "spatialtrust.backends.chat:open_backend",
        "grounding-dino": "spatialtrust.backends.grounding_dino.hf:open_backend",
        "groundingdino-py": "spatialtrust.backends.grounding_dino.original:open_backend",
        "lavis": "spatialtrust.backends.lavis:open_backend",
        "onnx.detector": "spatialtrust.backends.fixed_vocabulary.onnx:open_backend",
        "photos.detector": "spatialtrust.backends.fixed_vocabulary.photos:open_backend",
        "recorded.asker": "spatialtrust.backends.recorded:open_asker",
        "recorded.detector": "spatialtrust.backends.recorded:open_detector",
    }
)

_DOES: Final = MappingProxyType({"asker": "ask", "detector": "detect", "embedder": "embed_images"})
"""Role to the method that makes a backend fit for it."""

_TABLETOP_DEFAULT: Final = MappingProxyType(
    {"asker": "blip2", "detector": "grounding-dino", "embedder": "clip"}
)


def open_asker(reference: str, options: Options | None = None) -> Asker:
    """Open the asker that a reference names.

    Raises
    ------
    InputError: the kind is not known, or is not an asker.
    BackendError: the model's files are missing; the message says how to fetch them.

    >>> open_asker("clpi:openai/clip-vit-base-patch32")
    Traceback (most recent call last):
        ...
    spatialtrust.errors.InputError: asker "clpi:openai/clip-vit-base-patch32": no backend is called "clpi"; did you mean "clip"? valid: blip2, clip, csp, encoder, grounding-dino, groundingdino-py, lavis, onnx, openai, photos, recorded, tabletop, vlm
    """  # noqa: E501
    return cast("Asker", _open(reference, "asker", options))


def open_detector(reference: str, options: Options | None = None) -> Detector:
    """Open the detector that a reference names; see :func:`open_asker`."""
    return cast("Detector", _open(reference, "detector", options))


def open_embedder(reference: str, options: Options | None = None) -> Embedder:
    """The embedder that a reference names; see :func:`open_asker`."""
    return cast("Embedder", _open(reference, "embedder", options))


def kinds() -> list[str]:
    """Every kind of backend that is installed."""
    names = [*_BUILT_IN, "tabletop", *(entry.name for entry in entry_points(group=GROUP))]
    return sorted({name.partition(".")[0] for name in names})


def _open(reference: str, role: str, options: Options | None) -> Any:
    kind, _, target = reference.partition(":")
    if kind == "tabletop":
        kind, target, reference = _tabletop(target, role, reference)
    elif not target and kind != "photos":
        raise InputError(
            f'{role} "{reference}" names no model; give KIND:TARGET, such as '
            "clip:openai/clip-vit-base-patch32 or recorded:answers.parquet "
            "(spatialtrust backends lists them)"
        )
    maker = _maker(kind, role, reference)
    backend = maker(target, reference, options or Options())
    if not hasattr(type(backend), _DOES[role]):
        able = [name for name, method in _DOES.items() if hasattr(type(backend), method)]
        raise InputError(
            f'"{reference}" is no {role}; it can be used as {" and ".join(able) or "nothing here"} '
            "(spatialtrust backends lists which is what)"
        )
    return backend


def _tabletop(target: str, role: str, reference: str) -> tuple[str, str, str]:
    kind = target or _TABLETOP_DEFAULT[role]
    valid = tuple(_TABLETOP_DEFAULT.values())
    if kind not in valid:
        raise InputError(
            f'{role} "{reference}" is not known; {suggest(kind, valid)}'
            f"valid: {', '.join(f'tabletop:{name}' for name in valid)}"
        )
    folder = bundles.TABLETOP / kind
    if not folder.is_dir():
        raise BackendError(
            f"{reference}: the checkpoint {kind} is not in this installation; reinstall the "
            "package, or train it with pipelines/train_tabletop.py"
        )
    return kind, str(folder), f"tabletop:{kind}"


def _maker(kind: str, role: str, reference: str) -> Any:
    for name in (f"{kind}.{role}", kind):
        if name in _BUILT_IN:
            module, _, attribute = _BUILT_IN[name].partition(":")
            return getattr(import_module(module), attribute)
        for entry in entry_points(group=GROUP, name=name):
            return entry.load()
    known = kinds()
    if kind in known:
        raise InputError(f'"{reference}" is no {role} (spatialtrust backends lists which is what)')
    raise InputError(
        f'{role} "{reference}": no backend is called "{kind}"; {suggest(kind, known)}'
        f"valid: {', '.join(known)}"
    )
