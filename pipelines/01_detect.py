"""Step 1 of 7: find objects in images.

python pipelines/01_detect.py RUN IMAGES ... [--config run.toml]

Writes images and detections. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("detect", __doc__)
