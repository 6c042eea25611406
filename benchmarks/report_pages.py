"""How large a page of a run is, how fast it opens, and what memory it takes, in headless Chromium.

python -m benchmarks.report_pages [PHOTOS] [--images 100 10000]

The run is of the images in PHOTOS (default: the drawn still lifes that ship), by recorded boxes in
annotations.json or boxes.json there, and its images are repeated until there are enough. Opened:
from the call to the browser until the page is drawn; the image: until the first picture is drawn
after the view is chosen; last: the same of the last image in the list. Memory: proportional set
size of the process that holds the page, after all that. Needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from spatialtrust.io.parquet import read_table, write_table
from spatialtrust.report import write_report
from spatialtrust.run.config import RunConfig
from spatialtrust.run.folder import RunFolder
from spatialtrust.run.plan import execute, prepare
from tests.helpers.browser import open_page, opened, until, why_not

ROOT = Path(__file__).resolve().parents[1]
PART = 128
DRAWN = "return document.querySelectorAll('#picture rect').length"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", default=ROOT / "data" / "still_lifes")
    parser.add_argument("--images", type=int, nargs="+", default=[100, 10_000])
    given = parser.parse_args()
    if why := why_not():
        print(f"left out: {why}")
        return
    listed = [given.photos / name for name in ("annotations.json", "boxes.json")]
    boxes = next(file for file in listed if file.is_file())
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        config = RunConfig(detector=f"recorded:{boxes}", overlays=False, formats=())
        execute(prepare(config, run, [given.photos]))
        print("images  edges    page MB  made s  opened s  image s  last s  memory MB  (empty tab)")
        for count in given.images:
            many = Path(folder) / str(count)
            repeat(run, many, count)
            started = time.perf_counter()
            written = write_report(many)
            made = time.perf_counter() - started
            size = written.path.stat().st_size / 1e6
            found = measure(written.path, Path(folder) / f"browser-{count}")
            print(
                f"{count:6d} {written.counts['candidates']:8d} {size:8.1f} {made:7.1f} "
                f"{found['opened']:9.2f} {found['image']:8.2f} {found['last']:7.2f} "
                f"{found['memory']:10.0f}  ({found['empty']:.0f})"
            )


def repeat(run: Path, out: Path, count: int) -> None:
    """A run folder with the images and graphs of another, over and over under other names."""
    with RunFolder(run) as source:
        facts = dict(source.manifest)
    images = read_table(run / "images").to_pylist()
    scenes = {row["image_id"]: row for row in read_table(run / "scenes").to_pylist()}
    kinds = {name: read_table(run / name).schema for name in ("images", "scenes")}
    with RunFolder(out) as target:
        tables = facts.pop("tables")
        target.record(tables, settings=facts["settings"])
    for start in range(0, count, PART):
        rows: dict[str, list[dict[str, Any]]] = {"images": [], "scenes": []}
        for number in range(start, min(start + PART, count)):
            image = images[number % len(images)]
            name, old = f"{number:06d}-{image['image_id']}", image["image_id"]
            scene = scenes[old]
            text = scene["graph"].replace(json.dumps(old)[1:-1], json.dumps(name)[1:-1])
            rows["images"].append(image | {"image_id": name})
            rows["scenes"].append(scene | {"image_id": name, "graph": text})
        for table, listed in rows.items():
            part = pa.Table.from_pylist(listed, schema=kinds[table])
            write_table(part, out / table / f"{start // PART:08d}.parquet")


def measure(page: Path, folder: Path) -> dict[str, float]:
    """Seconds until things are drawn, and megabytes."""
    with opened(folder) as driver:
        driver.get("about:blank")
        empty = memory(folder)
        started = time.perf_counter()
        open_page(driver, page)
        ready = time.perf_counter() - started
        started = time.perf_counter()
        driver.execute_script("document.getElementById('to-images').click()")
        until(lambda: driver.execute_script(DRAWN))
        image = time.perf_counter() - started
        script = "const l = document.getElementById('list'); l.scrollTop = l.scrollHeight"
        driver.execute_script(script)
        time.sleep(0.3)
        script = "[...document.querySelectorAll('#list-rows button')].at(-1).click()"
        name = "return document.getElementById('image-name').textContent"
        before = driver.execute_script(name)
        started = time.perf_counter()
        driver.execute_script(script)
        until(lambda: driver.execute_script(name) != before and driver.execute_script(DRAWN))
        last = time.perf_counter() - started
        return {"opened": ready, "image": image, "last": last, "memory": memory(folder),
                "empty": empty}  # fmt: skip


def memory(folder: Path) -> float:
    """Megabytes of the largest renderer of a browser that uses a folder as its profile."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if "--type=renderer" in command and str(folder) in command:
                lines = (process / "smaps_rollup").read_text().splitlines()
                found += [int(line.split()[1]) / 1e3 for line in lines if line.startswith("Pss:")]
        except OSError:
            continue
    return max(found, default=float("nan"))


if __name__ == "__main__":
    main()
