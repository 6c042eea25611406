"""Trust models as files: one JSON, readable, without pickle."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust import schema
from spatialtrust.decision.certifying_rows import Certificate
from spatialtrust.errors import FileError, SchemaVersionError
from spatialtrust.evidence.columns import FULL
from spatialtrust.files import write_text
from spatialtrust.fusion.answer_weights import Answering
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.calibration import from_dict as calibrator
from spatialtrust.fusion.model import TrustModel
from spatialtrust.fusion.multilevel import KINDS_READ, MultilevelLogistic
from spatialtrust.relations import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT: Final = "spatialtrust.trust_model"
_FOLDER: Final = Path(__file__).parent / "models"
_REMEDY: Final = "fit it again with this version (spatialtrust fit), or install the other version"


def columns_hash() -> str:
    """Hash of everything a model's numbers refer to by place: columns, relations, kinds."""
    listed = json.dumps([FULL, NAMES, KINDS_READ])
    return sha256(listed.encode()).hexdigest()[:16]


def load(model: str | Path) -> TrustModel:
    """See :meth:`spatialtrust.fusion.model.TrustModel.load`."""
    path = _FOLDER / f"{model}.json" if model in shipped() else Path(model)
    try:
        content = path.read_bytes()
        values = json.loads(content)
    except OSError as error:
        raise FileError(
            path,
            f"cannot be read ({error.strerror})",
            f"give a model file, or one that ships: {', '.join(shipped())}",
        ) from error
    except ValueError as error:
        raise FileError(path, f"is not JSON ({error})", "give a file that `fit` wrote") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise FileError(path, "is not a trust model", "give a file that `fit` wrote")
    for field, valid in (("schema", schema.VERSION), ("columns", columns_hash())):
        if values.get(field) != valid:
            raise SchemaVersionError(path, values.get(field), valid, _REMEDY)
    try:
        return _from_dict(values, sha256(content).hexdigest())
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(path, f"is damaged ({error!r})", "fit the model again") from error


@cache
def shipped() -> tuple[str, ...]:
    """Names of the models that come with the package.

    >>> "vsr-boxes" in shipped()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def save(model: TrustModel, path: str | Path) -> None:
    """See :meth:`spatialtrust.fusion.model.TrustModel.save`."""
    write_json(_to_dict(model), path)


def write_json(values: Mapping[str, Any], path: str | Path) -> None:
    """Write a fitted model's values, whole or not at all; equal values give equal bytes.

    Raises
    ------
    FileError: the path cannot be written.
    """
    write_text(json.dumps(values, separators=(",", ":"), sort_keys=True) + "\n", path)


def _to_dict(model: TrustModel) -> dict[str, Any]:
    parts = {name: getattr(model, name) for name in _PARTS}
    return {
        "format": FORMAT,
        "schema": schema.VERSION,
        "columns": columns_hash(),
        "name": model.name,
        "calibrated_on": model.calibrated_on,
        "images": sorted(model.images),
        "asker": model.asker,
        "for_pairs": model.for_pairs,
        **{name: None if part is None else part.to_dict() for name, part in parts.items()},
    }


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "relations": MultilevelLogistic.from_dict,
    "boxes": Boosted.from_dict,
    "calibrator": calibrator,
    "answering": Answering.from_dict,
    "full": Boosted.from_dict,
    "full_calibrator": calibrator,
    "certificate": Certificate.from_dict,
}
_OPTIONAL: Final = ("answering", "full", "full_calibrator", "certificate")


def _from_dict(values: Mapping[str, Any], digest: str) -> TrustModel:
    parts: dict[str, Any] = {
        name: None if name in _OPTIONAL and values[name] is None else read(values[name])
        for name, read in _PARTS.items()
    }
    return TrustModel(
        name=values["name"],
        calibrated_on=values["calibrated_on"],
        images=frozenset(values["images"]),
        asker=values["asker"],
        for_pairs=values["for_pairs"],
        sha256=digest,
        **parts,
    )
