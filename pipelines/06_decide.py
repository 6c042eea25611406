"""Step 6 of 7: accept, correct or abstain.

python pipelines/06_decide.py RUN [--config run.toml]

Writes verdicts. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("decide", __doc__)
