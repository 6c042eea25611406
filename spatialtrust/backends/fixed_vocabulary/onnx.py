"""``onnx:PATH``: any local ONNX detector of a known family, run by onnxruntime or OpenCV.

``onnx:PATH,NAMES`` names its classes: a file with one name a line, a ``config.json`` with
``id2label``, or ``coco`` (80 classes) or ``coco91`` (by category id). Without NAMES they are those
of the model's metadata, or of a ``config.json`` or a class list beside it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spatialtrust.backends.fixed_vocabulary import heads
from spatialtrust.backends.fixed_vocabulary.detector import FixedVocabularyDetector, Seen
from spatialtrust.backends.fixed_vocabulary.engines import Engine, open_engine
from spatialtrust.backends.fixed_vocabulary.onnx_header import (
    FLOAT,
    HALF,
    UINT8,
    Header,
    Input,
    read_header,
)
from spatialtrust.backends.fixed_vocabulary.pictures import Placed, fit, stretch
from spatialtrust.backends.fixed_vocabulary.words import COCO, COCO_91
from spatialtrust.documents import loads_yaml
from spatialtrust.errors import BackendError
from spatialtrust.io.detections.class_names import LISTS, read_names
from spatialtrust.io.text import parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options

log: Final = logging.getLogger("spatialtrust")

_LISTS: Final = {"coco": COCO, "coco91": COCO_91}
_SIZE: Final = 640
"""Edge of an input whose size is free, where nothing says what it was trained with."""
_LARGEST: Final = 4096
"""Edge of a picture that a model may take."""
_DIGITS: Final = re.compile("[0-9]{1,9}")
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_TYPES: Final = {FLOAT: np.float32, HALF: np.float16, UINT8: np.uint8}
_SIZES: Final = "orig_target_sizes"
_MASK: Final = "pixel_mask"
_CONFIG: Final = "config.json"
_PROCESSOR: Final = "preprocessor_config.json"


class OnnxDetector:
    """A model, and how pictures go in and boxes come out of it.

    Parameters
    ----------
    path, header: the file, and what it says of itself.
    classes: names by number.
    device: see ``Options``.
    """

    def __init__(self, path: Path, header: Header, classes: tuple[str, ...], device: str) -> None:
        self._path, self._header, self.classes = path, header, classes
        self._picture = _picture_of(path, header)
        self._size = _size_of(path, header, self._picture)
        self._engine: Engine = open_engine(path, device)

    def look(self, pixels: Pixels) -> Seen:
        """See ``Model.look``."""
        head = self._head
        placed = self._place(pixels, head)
        height, width = pixels.shape[:2]
        outputs = self._run(self._values(placed.pixels, head), (width, height))
        try:
            found = heads.decode(head, outputs, len(self.classes), self._size, str(self._path))
        except (ValueError, IndexError, KeyError, StopIteration) as error:
            raise BackendError(
                f"{self._path}: its outputs have another shape than for a grey picture ({error})"
            ) from error
        if head.family == "labels":  # the model was told the picture's own size
            return found
        if head.fitted:
            return Seen(found.scores, placed.back(found.boxes))
        edges = np.array([width, height, width, height], np.float32)
        return Seen(found.scores, found.boxes * edges)

    @cached_property
    def _head(self) -> heads.Head:
        """Told from what the model makes of a grey picture."""
        grey = np.full((*self._size, 3), 114, np.uint8)
        values = self._values(grey, heads.Head("yolo8"))
        try:
            outputs = self._run(values, (self._size[1], self._size[0]))
        except BackendError:
            raise
        except Exception as error:  # the library's own classes
            said = " ".join(str(error).split())[:300]
            raise BackendError(
                f"{self._path}: does not run on a picture of {self._size[1]} x {self._size[0]} "
                f"({said}); export it again, with inputs of one fixed size"
            ) from error
        return heads.recognise(outputs, len(self.classes), self._size, str(self._path))

    def _place(self, pixels: Pixels, head: heads.Head) -> Placed:
        if head.fitted:
            return fit(pixels, self._size, centred=head.family != "yolox")
        return stretch(pixels, self._size)

    def _values(self, pixels: NDArray[np.uint8], head: heads.Head) -> NDArray[Any]:
        """(1, 3, h, w) as the family was trained."""
        kind = _TYPES[self._picture.kind]
        ordered = pixels[..., ::-1] if head.family == "yolox" else pixels
        values = np.ascontiguousarray(ordered.transpose(2, 0, 1))[None]
        if kind == np.uint8:
            return values
        scaled = values.astype(np.float32)
        if head.family != "yolox":
            scaled /= 255
        if head.family == "logits" and (statistics := self._statistics(head)):
            mean, deviation = (np.array(v, np.float32).reshape(3, 1, 1) for v in statistics)
            scaled = (scaled - mean) / deviation
        return scaled.astype(kind)

    def _statistics(self, head: heads.Head) -> tuple[Any, Any] | None:
        """Mean and deviation of the colours, of the file beside the model, else as is usual."""
        told = _json_beside(self._path, _PROCESSOR)
        if told is None:
            return _IMAGENET if head.empty_class else None
        if not told.get("do_normalize", True):
            return None
        mean, deviation = told.get("image_mean", _IMAGENET[0]), told.get("image_std", _IMAGENET[1])
        if not (_is_colour(mean) and _is_colour(deviation) and all(deviation)):
            raise BackendError(
                f"{self._path}: {_PROCESSOR} beside it has image_mean {mean!r:.60} and image_std "
                f"{deviation!r:.60}; valid: three numbers each, the latter not 0"
            )
        return mean, deviation

    def _run(self, values: NDArray[Any], size: tuple[int, int]) -> dict[str, NDArray[Any]]:
        inputs = {self._picture.name: values}
        for each in self._header.inputs:
            if each.name == _SIZES:
                kind = np.float32 if each.kind == FLOAT else np.int64
                inputs[each.name] = np.array([size], kind)
            elif each.name == _MASK:
                sides = [
                    side or edge for side, edge in zip(each.shape[1:], self._size, strict=True)
                ]
                inputs[each.name] = np.ones((1, *sides), np.int64)
        return self._engine.run(inputs)


def open_backend(target: str, reference: str, options: Options) -> FixedVocabularyDetector:
    """Read what a model says of itself; see ``registry.py``.

    Raises
    ------
    FileError: the model or the file of names cannot be read.
    BackendError: it is no ONNX model, or nothing names its classes.
    """
    # A path may hold a comma itself.
    file, names = (target, "") if Path(target).is_file() else target.partition(",")[::2]
    path = Path(file.strip()).expanduser()
    header = read_header(path)
    _picture_of(path, header)
    classes = _classes(path, names.strip(), header.metadata)
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256")
    digest.update("\n".join(classes).encode())
    revision = f"sha256:{digest.hexdigest()}"
    return FixedVocabularyDetector(
        lambda: OnnxDetector(path, header, classes, options.device), reference, revision, options
    )


def _picture_of(path: Path, header: Header) -> Input:
    """The input that takes the picture; others have to be known."""
    pictures = [
        each
        for each in header.inputs
        if each.kind in _TYPES and len(each.shape) == 4 and each.shape[1] in {3, None}
    ]
    others = {each.name for each in header.inputs} - {each.name for each in pictures[:1]}
    if len(pictures) != 1 or others - {_SIZES, _MASK}:
        told = ", ".join(f"{each.name} {list(each.shape)}" for each in header.inputs)
        raise BackendError(
            f"{path}: its inputs ({told}) are not those of a detector; valid: one picture "
            f"(1, 3, height, width), and {_SIZES} or {_MASK} beside it"
        )
    return pictures[0]


def _size_of(path: Path, header: Header, picture: Input) -> tuple[int, int]:
    """Height and width of the input."""
    height, width = picture.shape[2:]
    stated = [height, width] if height and width else _numbers(header.metadata.get("imgsz", ""))
    if not stated and (told := _json_beside(path, _PROCESSOR)) is not None:
        sizes = told.get("size")
        if isinstance(sizes, dict):
            stated = _numbers(f"[{sizes.get('height')}, {sizes.get('width')}]")
    found = (stated[0], stated[-1]) if stated else (_SIZE, _SIZE)
    if max(found) > _LARGEST:
        raise BackendError(
            f"{path}: takes pictures of {found[1]} x {found[0]}; at most {_LARGEST} x {_LARGEST}"
        )
    if not stated:
        log.warning("%s: takes pictures of any size; %d x %d is used", path.name, *found)
    return found


def _numbers(text: str) -> list[int]:
    found = _loaded(text)
    listed = found if isinstance(found, list) else [found]
    sizes = [int(each) for each in listed if isinstance(each, str) and _DIGITS.fullmatch(each)]
    return [size for size in sizes if size >= 32]


def _classes(path: Path, names: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Names by number; an empty one is no class."""
    if names in _LISTS:
        return _LISTS[names]
    if names:
        return _in_order(_names_in(Path(names).expanduser()), names)
    if found := _by_number(_loaded(metadata.get("names", ""))):
        return _in_order(found, f"{path}: its metadata")
    config = _json_beside(path, _CONFIG)
    if config is not None and (found := _by_number(config.get("id2label"))):
        return _in_order(found, _CONFIG)
    for name in LISTS:
        if (path.parent / name).is_file():
            log.info("%s: classes are named by %s beside it", path.name, name)
            return _in_order(_names_in(path.parent / name), name)
    raise BackendError(
        f"{path}: nothing names its classes; give a file with one name a line: onnx:PATH,NAMES "
        f"(or onnx:PATH,coco for the 80 classes of COCO). Metadata holds: "
        f"{', '.join(sorted(metadata)) or 'nothing'}"
    )


def _names_in(file: Path) -> dict[int, str]:
    """Of a list of names, a configuration of transformers, or a data set of Ultralytics."""
    if file.suffix in {".json", ".yaml", ".yml"}:
        text = read_text(file)[0]
        told = parse_json(text, file) if file.suffix == ".json" else _loaded(text)
        keys = ("id2label", "names") if isinstance(told, dict) else ()
        if found := _by_number(next((told[key] for key in keys if key in told), told)):
            return found
        raise BackendError(
            f"{file}: names no classes (id2label, or names); give a file with one name a line"
        )
    return {int(number): name for number, name in read_names(file).items()}


def _in_order(names: Mapping[int, str], where: str) -> tuple[str, ...]:
    most = max(names)
    if most > 100_000:
        raise BackendError(f"{where}: numbers a class {most}; number them from 0")
    return tuple(
        "" if names.get(number, "").strip().upper() in {"", "N/A"} else names[number].strip()
        for number in range(most + 1)
    )


def _loaded(text: str) -> Any:
    """Metadata of Ultralytics is a Python dictionary, which reads as YAML; None: is neither."""
    try:
        return loads_yaml(text, strings_only=True)
    except ValueError:
        return None


def _is_colour(value: Any) -> bool:
    numbers = isinstance(value, list) and all(isinstance(each, int | float) for each in value)
    return numbers and len(value) == 3 and bool(np.isfinite(value).all())


def _by_number(listed: Any) -> dict[int, str]:
    """Number to name of a list or a mapping; empty where it is neither."""
    pairs: list[tuple[Any, Any]] = list(enumerate(listed)) if isinstance(listed, list) else []
    pairs = list(listed.items()) if isinstance(listed, dict) else pairs
    found = [(str(number), name) for number, name in pairs]
    if not all(_DIGITS.fullmatch(number) and isinstance(name, str) for number, name in found):
        return {}
    return {int(number): name for number, name in found}


def _json_beside(path: Path, name: str) -> dict[str, Any] | None:
    """A JSON object in the folder of a model or in the one above; None where there is none."""
    for folder in (path.parent, path.absolute().parent.parent):
        if (folder / name).is_file():
            found = parse_json(read_text(folder / name)[0], folder / name)
            return found if isinstance(found, dict) else None
    return None
