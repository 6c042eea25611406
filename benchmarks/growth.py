"""What a folder run costs as it grows: CPU of an image, and the most memory that was taken.

    python -m benchmarks.growth [--images 10000 100000]

Recorded boxes, graphs as JSON and GraphML, no overlays; the pictures are the drawn still lifes,
linked under many names. The run folder takes 50 kB an image while it lasts.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.speed import run_over


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    with tempfile.TemporaryDirectory() as folder:
        run_over(Path(folder), 8, overlays=False)  # imports count once
    for images in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            spent, _ = run_over(Path(folder), images, overlays=False)
            whole = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{images:>8,} images: {1e3 * spent / images:.1f} ms of CPU an image, {whole:,.0f} s "
            f"in all, at most {peak:,.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
