"""What commands print: tables for people, JSON for programs on stdout; progress on stderr.

Who reads is told by stdout: a terminal gets tables, anything else JSON, as ``--json`` does.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

from spatialtrust.errors import InputError, SpatialTrustError, by_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from spatialtrust.errors import RowError


class Commands(TyperGroup):
    """The commands, each of which takes ``--json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--json`` out, wherever it stands among the options of a command."""
        end = args.index("--") if "--" in args else len(args)
        _JSON.set("--json" in args[:end])
        kept = [word for word in args[:end] if word != "--json"]
        return super().parse_args(ctx, [*kept, *args[end:]])


_JSON: Final[ContextVar[bool]] = ContextVar("json", default=False)
"""Whether JSON was asked for."""


def for_people() -> bool:
    """Whether somebody reads stdout on a terminal and did not ask for JSON."""
    return _is_terminal() and not _JSON.get()


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def emit(result: Any, people: str | None = None) -> None:
    """Print a result: as tables on a terminal, else as JSON in which NaN is null.

    Parameters
    ----------
    people: what a terminal shows instead of the tables made of the result.
    """
    if not for_people():
        typer.echo(json.dumps(plain(result), indent=2, ensure_ascii=False, allow_nan=False))
    elif people is not None:
        typer.echo(people)
    else:
        from rich.console import Console

        from spatialtrust.cli.tables import rendered

        Console().print(rendered(plain(result)))


def say_faults(faults: Sequence[RowError], most: int = 3) -> None:
    """Problems of rows on stderr, counted by kind, each with its first few rows."""
    for line in by_kind(faults, most):
        say(line)


def say(text: str) -> None:
    """Print a line for people on stderr; what is no text in a name is a question mark."""
    typer.echo(harmless(text), err=True)


def harmless(text: str) -> str:
    r"""A text without what a terminal obeys: control and direction characters are written out.

    >>> harmless("mug\x1b[31m\u202e")
    'mug\\x1b[31m\\u202e'
    """
    clean = text.encode(errors="replace").decode()
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), clean)


_OBEYED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of this package become one line on stderr: exit code 2 for bad input, else 1."""
    try:
        yield
    except SpatialTrustError as error:
        typer.secho(harmless(f"error: {error}"), err=True, fg="red")
        sys.exit(2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:
        sys.exit(1)


@contextmanager
def progress(noun: str) -> Iterator[Callable[[int, int], None]]:
    """A counter on stderr: things seen, and things newly done."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(noun)

        def update(seen: int, done: int) -> None:
            shown.update(task, description=f"{seen} {noun} seen, {done} new")

        yield update


@contextmanager
def images_done(total: int | None) -> Iterator[Callable[[int, str], None]]:
    """A bar of images on stderr, with the package's warnings above it.

    Parameters
    ----------
    total: images to do; None where that is not known.

    Yields
    ------
    A function to call with how many more are done, and what is being done.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    handler = _Above(console)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
    log = logging.getLogger("spatialtrust")
    log.addHandler(handler)
    try:
        with Progress(*columns, *times, console=console, transient=True) as bar:
            task = bar.add_task("images", total=total)

            def advance(count: int, doing: str) -> None:
                bar.update(task, advance=count, description=doing)

            yield advance
    finally:
        log.removeHandler(handler)


class _Above(logging.Handler):
    """Warnings above a bar, each on one line however long: people search for their words."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        text = harmless(f"{record.levelname.lower()}: {record.getMessage()}")
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def plain(value: Any) -> Any:
    """JSON-ready data: NaN and infinity are null, paths and keys are text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
