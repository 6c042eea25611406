"""Step 4 of 7: gather the evidence of every claim.

python pipelines/04_gather.py RUN [--config run.toml]

Writes evidence. What is there already is kept; a step that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json

from spatialtrust.run.config import RunConfig
from spatialtrust.run.plan import execute, prepare, settings_of


def main() -> None:
    """Run the step on a run folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder")
    parser.add_argument("--config", help="TOML; spatialtrust graph --write-config prints one")
    arguments = parser.parse_args()
    if arguments.config:
        config = RunConfig.load(arguments.config)
    else:
        config = RunConfig.from_dict(settings_of(arguments.run))
    print(json.dumps(execute(prepare(config, arguments.run), ["gather"]), indent=2))


if __name__ == "__main__":
    main()
