"""A LAVIS worker without LAVIS: the real protocol loop around a model that is arithmetic.

The picture's mean brightness and the text's length make up the answer; some subjects make trouble.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

WORKER = Path(__file__).resolve().parents[2] / "spatialtrust/backends/lavis/worker.py"
MARKS = Path.cwd()  # the folder of the YAML file: what outlives a worker is written there


class FakeModel:
    def __init__(self, request: dict[str, Any]) -> None:
        text = Path(request["config"]).read_text()
        (MARKS / "pids").open("a").write(f"{os.getpid()}\n")
        print("a library talks on stdout while it loads")
        os.write(1, b"and so does its compiled part\n")
        _trouble(text)
        asks = "captions" if "captions" in text else "questions"
        costs = {"picture_bytes": 1000.0, "row_bytes": 1000.0}
        self.facts = {"asks": asks, "revision": "sha256:fake", **costs}

    def encode(self, pixels: list[Any]) -> Any:
        (MARKS / "encoded").open("a").write(f"{len(pixels)}\n")
        return np.array([[array.mean(), *array.shape[:2]] for array in pixels], np.float32)

    def score(
        self, features: Any, pictures: list[int], texts: list[str], reply: bool
    ) -> list[dict[str, Any]]:
        for text in texts:
            _trouble(text)
        results: list[dict[str, Any]] = []
        for picture, text in zip(pictures, texts, strict=True):
            if "endless" in text:
                results.append({"status": "text_too_long"})
            elif reply:
                margin = float(features[picture][0]) + len(text) / 100
                mass = 0.01 if "mumbling" in text else 0.9
                results.append({"margin": margin, "mass": mass, "entropy": float("nan")})
            else:
                results.append({"loglik_per_token": -float(len(text))})
        return results


def _trouble(text: str) -> None:
    if "out of memory" in text:
        raise RuntimeError("CUDA out of memory")
    if "broken" in text:
        raise ValueError("this text is broken")
    if "crash once" in text and not (MARKS / "crashed").exists():
        (MARKS / "crashed").touch()
        _die()
    if "crash always" in text:
        _die()
    if "killed" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "sleepy" in text:
        child = subprocess.Popen(["sleep", "600"])
        (MARKS / "child").write_text(str(child.pid))
        time.sleep(600)
    if "garbled" in text:
        for descriptor in range(3, 20):
            try:
                if os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe"):
                    os.write(descriptor, b"not a reply\n")
            except OSError:
                continue


def _die() -> None:
    print("line of the fault on stderr", file=sys.stderr, flush=True)
    os._exit(3)


if __name__ == "__main__":
    worker = runpy.run_path(str(WORKER))
    worker["serve"](Path(sys.argv[1]), FakeModel)
