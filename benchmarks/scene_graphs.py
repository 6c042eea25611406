"""Images and claims a second of `spatialtrust graph --asker none` on recorded boxes, one process.

python -m benchmarks.scene_graphs [--images 1000]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare

SCENES = Path(__file__).resolve().parents[1] / "data" / "still_lifes"
STEPS = ("detect", "claims", "gather", "fuse", "decide")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        images, boxes = linked(Path(folder), count)
        config = RunConfig(detector=f"recorded:{boxes}", overlays=False, formats=())
        job = prepare(config, Path(folder) / "run", [images])
        claims = 0
        for step in STEPS:
            started = time.perf_counter()
            found = execute(job, (step,))
            seconds = time.perf_counter() - started
            claims = found["rows"].get("claims", 0)
            rate = f"{count / seconds:9,.0f} images/s"
            print(f"{step:32s}{rate}" + (f" {claims / seconds:11,.0f} claims/s" if claims else ""))
        for formats, overlays in (((), False), (("json", "graphml"), False), (("json",), True)):
            options = RunConfig(detector=config.detector, overlays=overlays, formats=formats)
            started = time.perf_counter()
            execute(prepare(options, Path(folder) / "run"), ("link",))
            seconds = time.perf_counter() - started
            what = f"link, files: {'+'.join(formats) or 'none'}{', pictures' if overlays else ''}"
            print(f"{what:32s}{count / seconds:9,.0f} images/s {claims / seconds:11,.0f} claims/s")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} images, {claims} claims, parts of {config.part_size} images, {memory:.0f} MB")


def linked(folder: Path, count: int) -> tuple[Path, Path]:
    """So many images, which are links to the drawn scenes, and their boxes."""
    scenes = json.loads((SCENES / "boxes.json").read_text(encoding="utf-8"))
    images = folder / "images"
    images.mkdir()
    boxes = []
    for number in range(count):
        scene = scenes[number % len(scenes)]
        name = f"{number:08d}.jpg"
        os.symlink(SCENES / scene["file_name"], images / name)
        boxes.append({**scene, "file_name": name})
    (folder / "boxes.json").write_text(json.dumps(boxes), encoding="utf-8")
    return images, folder / "boxes.json"


if __name__ == "__main__":
    main()
