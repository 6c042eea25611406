"""Step 3 of 7: ask a VLM about every claim (leave out to judge by boxes alone).

python pipelines/03_ask.py RUN [--config run.toml]

Writes answers. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

from spatialtrust.cli.step import run_step

if __name__ == "__main__":
    run_step("ask", __doc__)
