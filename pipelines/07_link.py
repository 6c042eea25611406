"""Step 7 of 7: make scene graphs and pictures.

python pipelines/07_link.py RUN [--config run.toml]

Writes scenes, graphs/ and overlays/. What is there already is kept; a stopped step goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("link", __doc__)
