"""Step 2 of 7: say what to claim of each image.

python pipelines/02_claims.py RUN [--config run.toml]

Writes claims. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("claims", __doc__)
