"""Trust models as files: one JSON, readable, without pickle.

A file says what it was fitted with: columns, relations and kinds by name, and a hash of how these
were read then. The vocabulary and the columns may grow without it; where something it knows is
gone or is read otherwise today, it is refused.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.decision.certifying_rows import CertifyingRows
from spatialtrust.documents import loads
from spatialtrust.errors import FileError, SchemaVersionError
from spatialtrust.evidence.columns import FULL
from spatialtrust.evidence.poses import KINDS, READINGS
from spatialtrust.files import write_text
from spatialtrust.fusion.answer_weights import AnswerWeights
from spatialtrust.fusion.boosting import Boosted
from spatialtrust.fusion.family_calibration import FamilyCalibration
from spatialtrust.fusion.layers import Layers
from spatialtrust.fusion.multilevel import MultilevelLogistic
from spatialtrust.relations import NAMES, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FORMAT: Final = "spatialtrust.trust_model"
VERSION: Final = 3
"""Of the file's layout."""

_FOLDER: Final = Path(__file__).parent / "models"
_REMEDY: Final = "fit it again with this version (spatialtrust fit), or install the other version"

_LAYERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "regressions": MultilevelLogistic.from_dict,
    "box_trees": Boosted.from_dict,
    "box_calibration": FamilyCalibration.from_dict,
    "answer_weights": AnswerWeights.from_dict,
    "answer_trees": Boosted.from_dict,
    "answer_calibration": FamilyCalibration.from_dict,
}
_OPTIONAL: Final = ("answer_weights", "answer_trees", "answer_calibration")
_PLAIN: Final = ("name", "calibrated_on", "asker", "for_pairs")
_LATER: Final = {"pairs_as": ""}
"""What files of before do not have, and what it is then."""


def vocabulary_hash(relations: Iterable[str]) -> str:
    """Hash of how relations are read: their axes, poses and kinds.

    >>> vocabulary_hash(["left of"]) == vocabulary_hash(["right of"])
    False
    """
    order = list(KINDS)
    read = [
        [name, RELATIONS[name].axis, RELATIONS[name].sign, RELATIONS[name].smaller_first,
         *READINGS[NAMES.index(name)], order.index(RELATIONS[name].kind)]
        for name in relations
    ]  # fmt: skip
    return sha256(json.dumps(read).encode()).hexdigest()[:16]


def read(model: str | Path) -> dict[str, Any]:
    """The fields of a :class:`~spatialtrust.fusion.model.TrustModel`.

    Raises
    ------
    FileError: there is no such model or file, or it is not JSON.
    SchemaVersionError: another version of the package wrote it.
    """
    return dict(_shipped(str(model)) if model in shipped() else _read(Path(model)))


@cache
def _shipped(name: str) -> dict[str, Any]:
    return _read(_FOLDER / f"{name}.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        values = loads(content)
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
    version = values.get("version", 1)  # the first layout did not say
    if version != VERSION:
        raise SchemaVersionError(path, version, VERSION, _REMEDY)
    try:
        strange = _strange(values)
        fields = {} if strange else _fields(values)
        if not strange:
            _check(fields)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise FileError(path, f"is damaged ({told})", "fit the model again") from error
    if strange:
        raise FileError(path, f"was fitted with {strange}", _REMEDY)
    return {**fields, "sha256": sha256(content).hexdigest()}


@cache
def shipped() -> tuple[str, ...]:
    """Names of the models that come with the package.

    >>> "vsr-boxes" in shipped()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def write(fields: Mapping[str, Any], path: str | Path) -> None:
    """Write what :func:`read` reads.

    Raises
    ------
    FileError: the path cannot be written.
    """
    layers, rows = fields["layers"], fields["certifying"]
    parts = {name: getattr(layers, name) for name in _LAYERS}
    values = {
        "format": FORMAT,
        "version": VERSION,
        "vocabulary": vocabulary_hash(layers.regressions.relations),
        **{name: fields[name] for name in (*_PLAIN, *_LATER)},
        "images": sorted(fields["images"]),
        "layers": {name: None if part is None else part.to_dict() for name, part in parts.items()},
        "certifying": None if rows is None else rows.to_dict(),
    }
    write_json(values, path)


def write_json(values: Mapping[str, Any], path: str | Path) -> None:
    """Write a fitted model's values, whole or not at all; equal values give equal bytes.

    Raises
    ------
    FileError: the path cannot be written.
    """
    write_text(json.dumps(values, separators=(",", ":"), sort_keys=True) + "\n", path)


def _strange(values: Mapping[str, Any]) -> str:
    """What a file was fitted with and is not there today, or is read otherwise; empty: nothing."""
    layers = values["layers"]
    regressions = layers["regressions"]
    trees = [layers[name]["features"] for name in ("box_trees", "answer_trees") if layers[name]]
    columns = [*regressions["features"], *regressions["things"], *chain.from_iterable(trees)]
    for what, named, known in (
        ("column", columns, FULL),
        ("relation", regressions["relations"], NAMES),
    ):
        for name in named:
            if name not in known:
                return f'the {what} "{name}", which this version does not have'
    if values["vocabulary"] != vocabulary_hash(regressions["relations"]):
        return "relations that this version reads otherwise"
    return ""


def _check(fields: Mapping[str, Any]) -> None:
    """Whether what was read fits together; ValueError where it does not.

    What the layers do not check themselves: that their numbers are finite, and as many as needed.
    """
    for name in ("name", "calibrated_on", "pairs_as"):
        if not isinstance(fields[name], str):
            raise TypeError(f"{name} is no text")
    if not isinstance(fields["asker"], str | None) or not isinstance(fields["for_pairs"], bool):
        raise TypeError("asker is no text, or for_pairs not true or false")
    if not all(isinstance(image, str) for image in fields["images"]):
        raise TypeError("images are no texts")
    layers = fields["layers"]
    for calibration in (layers.box_calibration, layers.answer_calibration):
        if calibration is not None:
            _finite(calibration.slope, calibration.intercept)
            _finite(calibration.own_slope, calibration.own_intercept)
    if (weights := layers.answer_weights) is not None:
        _finite(weights.boxes, weights.weight, weights.constant)
        _finite(weights.alone.slope, weights.alone.intercept)
    if (layers.answer_trees is None) != (layers.answer_calibration is None):
        raise ValueError("answer_trees and answer_calibration stand together")


def _finite(*values: Any) -> None:
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number or isinstance(value, np.ndarray)):
            raise TypeError(f"{value!r:.40} is no number")
        if not np.isfinite(value).all():
            raise ValueError("a number is not finite")


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    given = values["layers"]
    parts: dict[str, Any] = {
        name: None if name in _OPTIONAL and given[name] is None else made(given[name])
        for name, made in _LAYERS.items()
    }
    rows = values["certifying"]
    return {
        **{name: values[name] for name in _PLAIN},
        **{name: values.get(name, before) for name, before in _LATER.items()},
        "images": frozenset(values["images"]),
        "layers": Layers(**parts),
        "certifying": None if rows is None else CertifyingRows.from_dict(rows),
    }
