"""Step 5 of 7: turn evidence into P(the claim is true).

python pipelines/05_fuse.py RUN [--config run.toml]

Writes scores. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("fuse", __doc__)
