"""Step 4 of 7: gather the evidence of every claim.

python pipelines/04_gather.py RUN [--config run.toml]

Writes evidence. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("gather", __doc__)
