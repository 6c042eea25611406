"""What computes an ONNX model: onnxruntime where it is installed, else OpenCV."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

log: Final = logging.getLogger("spatialtrust")

_NEEDS: Final = 'pip install "spatialtrust[photos]" installs onnxruntime'


class Engine(Protocol):
    """A model that can be run."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name."""
        ...


class OnnxRuntime:
    """By onnxruntime, on a GPU where its build has one and it is wished for."""

    def __init__(self, path: Path, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if threads := os.environ.get("OMP_NUM_THREADS", ""):
            options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
        gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if device.startswith("cuda") and not gpu:
            log.warning("%s: this onnxruntime has no GPU; the model runs on the CPU", path.name)
        providers = ["CUDAExecutionProvider"] if gpu and device != "cpu" else []
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:  # the library's own classes, by what is wrong with the file
            raise _unreadable(path, f"onnxruntime {onnxruntime.__version__}", error) from error
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See ``Engine.run``."""
        return dict(zip(self._names, self._session.run(None, dict(inputs)), strict=True))


class OpenCv:
    """By OpenCV, which knows fewer operators, and floating-point inputs only."""

    def __init__(self, path: Path) -> None:
        import cv2

        self._path = path
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise _unreadable(path, f"OpenCV {cv2.__version__}", error) from error
        self._names = list(self._net.getUnconnectedOutLayersNames())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See ``Engine.run``."""
        for name, value in inputs.items():
            if value.dtype != np.float32:
                raise BackendError(
                    f"{self._path}: OpenCV cannot take its input {name!r} of type {value.dtype}; "
                    f"{_NEEDS}"
                )
            self._net.setInput(value, name)
        return dict(zip(self._names, self._net.forward(self._names), strict=True))


def open_engine(path: Path, device: str) -> Engine:
    """Whatever can run a model here.

    Raises
    ------
    BackendError: it cannot be read by what is installed.
    """
    if find_spec("onnxruntime") is not None:
        return OnnxRuntime(path, device)
    log.info("%s: onnxruntime is not installed; OpenCV runs it (%s)", path.name, _NEEDS)
    return OpenCv(path)


def _unreadable(path: Path, library: str, error: Exception) -> BackendError:
    said = " ".join(str(error).split())[:300]
    more = "" if library.startswith("onnxruntime") else f"; or {_NEEDS}, which knows more operators"
    return BackendError(f"{path}: cannot be read by {library} ({said}); export it again{more}")
