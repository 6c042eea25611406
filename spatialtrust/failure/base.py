"""What fitted failure predictors share: parameters, fitted state, one file, declared labels."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from spatialtrust.documents import loads
from spatialtrust.errors import FileError, InputError, MissingDependencyError, NotFittedError
from spatialtrust.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[Any]]

FORMAT = 1
"""Version of the file layout; files of another version are refused."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledData:
    """The labels a fitted method has seen, so that comparisons can be read fairly.

    >>> str(LabelledData("calibration", 300))
    '300 labelled images (calibration)'
    >>> str(LabelledData("none", 0))
    'no labels'
    """

    split: str
    rows: int

    def __str__(self) -> str:
        if not self.rows:
            return "no labels"
        return f"{self.rows} labelled images ({self.split})"


@dataclass
class FailurePredictor:
    """A method with parameters (its dataclass fields), fitted tensors and fitted facts.

    Fitted state is of two kinds, ``tensors_`` (arrays) and ``facts_`` (numbers and strings); both
    travel in one safetensors file whose header carries the parameters and facts as JSON. Nothing
    is pickled, so a file from a stranger can be loaded.
    """

    labelled_split: ClassVar[str]
    """Which split its labels come from: none, calibration, few-shot, train or pairs."""

    kinds: ClassVar[dict[str, type[FailurePredictor]]] = {}
    """Methods of this package by name, as far as they are imported."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.startswith(f"{__package__}."):
            FailurePredictor.kinds[cls.__name__] = cls

    def __post_init__(self) -> None:
        self.tensors_: Tensors = {}
        self.facts_: dict[str, Any] = {}

    @property
    def labelled_data(self) -> LabelledData:
        """The labelled images `fit` has used."""
        return LabelledData(self.labelled_split, int(self._fitted()["labelled_rows"]))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, as scikit-learn asks for them (``deep`` has nothing to add)."""
        return {name: getattr(self, name) for name in self.parameters()}

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(field.name for field in fields(cls))

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters; what was fitted before stays until `fit` is called again.

        Raises
        ------
        InputError: for a name that is no parameter.
        """
        known = self.parameters()
        if unknown := set(parameters) - set(known):
            raise InputError(
                f'{type(self).__name__} has no option "{min(unknown)}"; valid: {", ".join(known)}'
            )
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def check(self) -> None:
        """Refuse parameters out of range; `fit` calls it, whoever only plans to fit may.

        Raises
        ------
        InputError: naming the parameter and what is valid.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its scores should know about how `fit` ended; mostly nothing."""
        return tuple(self._fitted().get("notes", ()))

    def save(self, path: str | Path) -> Path:
        """Write parameters and fitted state to one ``.safetensors`` file, atomically.

        Raises
        ------
        NotFittedError: before `fit`.
        FileError: the file cannot be written.
        """
        facts = self._fitted()
        header = {
            "format": FORMAT,
            "method": type(self).__name__,
            "parameters": asdict(self),
            "facts": facts,
        }
        path = Path(path)
        numpy_io = _safetensors()
        tensors = {name: np.ascontiguousarray(array) for name, array in self.tensors_.items()}
        data = numpy_io.save(tensors, metadata={"spatialtrust": json.dumps(header)})
        write_bytes(data, path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; `FailurePredictor.load` reads any method's file.

        Raises
        ------
        FileError: for a file that is missing, truncated, foreign, of another format version, or of
            another method.
        """
        header, tensors = _read(Path(path))
        kind = _kind(header["method"])
        if kind is None or not issubclass(kind, cls):
            raise FileError(path, f"holds {header['method']}, not {cls.__name__}")
        parameters = header["parameters"].items()
        try:
            # JSON knows no tuples.
            given = {name: tuple(v) if isinstance(v, list) else v for name, v in parameters}
            predictor = kind(**given)
            predictor.check()
        except (TypeError, ValueError) as error:
            raise FileError(path, f"has other parameters ({error})", "fit again") from error
        predictor.tensors_, predictor.facts_ = _Held(tensors), _Held(header["facts"])
        return predictor

    def bind(self, embedding_model: str) -> Self:
        """Remember which model's embeddings this was fitted on; `expect_model` then insists."""
        self._fitted()["embedding_model"] = embedding_model
        return self

    def expect_model(self, embedding_model: str) -> None:
        """Refuse embeddings of another model than the one given to `bind`.

        Raises
        ------
        InputError: naming both models.
        """
        known = self._fitted().get("embedding_model")
        if known is not None and known != embedding_model:
            raise InputError(
                f"{type(self).__name__} was fitted on embeddings of {known}, and these are of "
                f"{embedding_model}; embed with the former, or fit again"
            )

    def _fitted(self) -> dict[str, Any]:
        if not self.facts_:
            name = type(self).__name__
            raise NotFittedError(f"{name} is not fitted yet; call fit(...) or {name}.load(path)")
        return self.facts_

    def _store(self, tensors: Mapping[str, NDArray[Any]], **facts: Any) -> Self:
        self.tensors_, self.facts_ = dict(tensors), facts
        for note in self.notes:
            _LOG.warning("%s: %s", type(self).__name__, note)
        return self


LEARNED: Final[Mapping[str, str]] = MappingProxyType(
    {"ConfidNet": "confidnet", "LVU": "vilu", "ViLU": "vilu"}
)
"""Methods that need torch, and their modules: imported when first asked for."""


def learned(name: str) -> type[FailurePredictor]:
    """One of ``LEARNED``.

    Raises
    ------
    MissingDependencyError: torch is not installed.
    """
    try:
        module = import_module(f"{__package__}.{LEARNED[name]}")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), "hf", name) from error
    kind: type[FailurePredictor] = getattr(module, name)
    return kind


def _kind(name: str) -> type[FailurePredictor] | None:
    """The published method of that name; nothing else is ever constructed from a file."""
    return learned(name) if name in LEARNED else FailurePredictor.kinds.get(name)


class _Held(dict[str, Any]):
    """What a file holds; what it lacks is an error of the file."""

    def __missing__(self, name: str) -> Any:
        raise InputError(f'the saved predictor lacks "{name}"; fit again')


def _safetensors() -> Any:
    try:
        import safetensors.numpy as numpy_io
    except ImportError as error:
        raise MissingDependencyError("safetensors", "hf", "saving failure predictors") from error
    return numpy_io


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Header and tensors of a file, checked before anything is made of them."""
    _safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise FileError(path, f"cannot be read ({error})", "give a saved predictor") from error
    try:
        header = loads(metadata["spatialtrust"])
        version = header["format"]
        kinds = {"method": str, "parameters": dict, "facts": dict}
        if version == FORMAT and not all(isinstance(header[k], kinds[k]) for k in kinds):
            raise TypeError("a part of the header is of another type")
        if version == FORMAT and type(header["facts"]["labelled_rows"]) is not int:
            raise TypeError("labelled_rows is no whole number")
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(path, "is no saved predictor", "give what save() wrote") from error
    if version != FORMAT:
        raise FileError(path, f"has format {version}; this package reads {FORMAT}", "fit again")
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise FileError(path, f'holds numbers that are not finite ("{name}")', "fit again")
    return header, tensors
