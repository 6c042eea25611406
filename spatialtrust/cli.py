"""The command line: JSON to stdout, progress and logs to stderr, exit code 2 for bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from spatialtrust import __version__
from spatialtrust.errors import InputError, SpatialTrustError

app = typer.Typer(
    name="spatialtrust",
    help="When can a vision-language model's spatial claim be trusted?\n\n"
    "Check claims against boxes (verify), build scene graphs whose edges can be trusted (graph), "
    "fit the check to your own robot (label, fit), and measure it (eval).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: package errors become one line on stderr."""
    try:
        app()
    except InputError as error:
        _fail(error, 2)
    except SpatialTrustError as error:
        _fail(error, 1)
    except BrokenPipeError:
        sys.exit(1)


def _fail(error: Exception, code: int) -> None:
    typer.secho(f"error: {error}", err=True, fg="red")
    sys.exit(code)


def emit(result: Any) -> None:
    """Print a result as JSON; NaN is null."""
    typer.echo(json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and value != value:
        return None
    return value


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command()
def doctor() -> None:
    """Check the installation and say what is missing for what."""
    from spatialtrust.doctor import examine, summary

    checks = examine()
    for check in checks:
        mark = {True: "ok     ", False: "BROKEN ", None: "absent "}[check.ok]
        remedy = f"  ->  {check.remedy}" if check.remedy else ""
        typer.echo(f"{mark}{check.name}: {check.found}{remedy}", err=True)
    result = summary(checks)
    emit(result)
    if not result["ok"]:
        raise typer.Exit(1)
