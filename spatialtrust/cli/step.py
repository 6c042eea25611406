"""The shell that the scripts in ``pipelines/`` share: one step of a run, from its arguments."""

from __future__ import annotations

import argparse

from spatialtrust.cli.output import emit, plain_errors


def run_step(name: str, about: str | None) -> None:
    """Run one step on the run folder that the command line names, and print what came out.

    Errors of this package are one line on stderr, with exit code 2 for bad input.

    Parameters
    ----------
    name: one of ``plan.STAGES``; ``detect`` takes images too.
    about: the script's docstring, shown by ``--help``.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder")
    if name == "detect":
        parser.add_argument("images", nargs="+", help="image files, and folders")
    parser.add_argument("--config", help="TOML; spatialtrust graph --write-config prints one")
    given = parser.parse_args()

    from spatialtrust.run.config import RunConfig
    from spatialtrust.run.plan import execute, prepare, settings_of

    with plain_errors():
        earlier = settings_of(given.run)
        if given.config:
            config = RunConfig.load(given.config, earlier)
        else:
            config = RunConfig.from_dict(earlier)
        emit(execute(prepare(config, given.run, getattr(given, "images", None)), [name]))
