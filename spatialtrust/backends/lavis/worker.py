"""The LAVIS worker: encodes pictures and scores texts, in the environment where LAVIS lives.

Standard library, torch and LAVIS only (``models.py`` too): nothing of spatialtrust is installed
there. Requests are JSON lines on stdin, replies JSON lines on what was stdout at the start;
whatever libraries print goes to stderr. It keeps nothing between requests but the model, so that
after a crash another worker takes over in the middle of a run. It leaves when stdin ends or its
parent is gone, even in mid-computation.

Requests, and what they are answered with::

    {"id": 1, "op": "load", "architecture": "blip2_opt", "type": "pretrain_opt2.7b", "config": null,
     "device": "auto", "yes": ["yes", ...], "no": ["no", ...]}
    {"id": 1, "asks": "questions", "revision": ..., "picture_bytes": ..., "row_bytes": ...}

    {"id": 2, "op": "encode", "images": ["0.npy", ...], "to": "features.npy"}
    {"id": 2}

    {"id": 3, "op": "score", "features": "features.npy", "rows": [[0, "Is ...", true], ...]}
    {"id": 3, "margin": [...], "mass": [...], ...}

A row is a picture, a text, and whether the text asks for a reply (else its likelihood is wanted).

Files lie in the scratch folder: images as uint8 (H, W, 3), features as float32 (pictures, ...).
The reply to ``score`` has a list per column of ``COLUMNS``, in the order of ``rows``; null means
unknown. A request that fails is answered with ``{"id": ..., "error": "..."}``.
"""

from __future__ import annotations

import json
import math
import os
import queue
import runpy
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

COLUMNS = ("margin", "mass", "entropy", "loglik_per_token", "similarity", "status")


def serve(scratch: Path, load: Callable[[dict[str, Any]], Any]) -> None:
    """Answer requests until stdin ends; ``load`` makes a :class:`Model` from its request."""
    requests, replies = _take_over_streams()
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(requests, lines, scratch), daemon=True).start()
    threading.Thread(target=_watch, args=(os.getppid(), scratch), daemon=True).start()
    model: Any = None
    while True:
        request = json.loads(lines.get())
        try:
            if request["op"] == "load":
                model = load(request)
                reply = model.facts
            elif request["op"] == "encode":
                reply = _encode(model, scratch, request)
            else:
                reply = _score(model, scratch, request)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": request["id"], **reply}), file=replies, flush=True)


def _take_over_streams() -> tuple[TextIO, TextIO]:
    """The protocol's streams; for everybody else fd 0 becomes empty and fd 1 becomes stderr."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def _read(requests: TextIO, lines: queue.Queue[str], scratch: Path) -> None:
    for line in requests:
        lines.put(line)
    _leave(scratch)


def _watch(parent: int, scratch: Path) -> None:
    """A copy of stdin in another child of the parent's can outlive the parent itself."""
    while os.getppid() == parent:
        time.sleep(1)
    _leave(scratch)


def _leave(scratch: Path) -> None:
    """End at once, with everything this process started."""
    shutil.rmtree(scratch, ignore_errors=True)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _encode(model: Any, scratch: Path, request: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    pixels = [np.load(scratch / name, allow_pickle=False) for name in request["images"]]
    np.save(scratch / request["to"], model.encode(pixels), allow_pickle=False)
    return {}


def _score(model: Any, scratch: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Score questions and statements apart, and put the results into columns in the rows' order."""
    import numpy as np

    features = np.load(scratch / request["features"], allow_pickle=False)
    rows = request["rows"]
    results: list[dict[str, Any]] = [{} for _ in rows]
    for wanted in (True, False):
        places = [place for place, (_, _, reply) in enumerate(rows) if reply == wanted]
        if places:
            texts = [rows[place][1] for place in places]
            found = model.score(features, [rows[place][0] for place in places], texts, wanted)
            for place, result in zip(places, found, strict=True):
                results[place] = result
    return {name: [_plain(result.get(name)) for result in results] for name in COLUMNS}


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    models = runpy.run_path(str(Path(__file__).with_name("models.py")))
    serve(Path(sys.argv[1]), models["load"])
