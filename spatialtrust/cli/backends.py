"""``spatialtrust backends``: which models can be used, where their files are, and how to get them.

spatialtrust backends
spatialtrust backends fetch clip:openai/clip-vit-base-patch32 --to models/clip
spatialtrust backends install lavis
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialtrust.cli.output import emit, say


def list_backends() -> None:
    """Print every kind of backend and every known model."""
    from spatialtrust.backends.bundles import catalogue
    from spatialtrust.backends.registry import kinds

    models = catalogue()
    for model in models:
        say(
            f"{model['reference']}  {model['role']}, {model['megabytes'] or '?'} MB, "
            f"{model['licence']}; {model['status']}"
        )
    emit({"kinds": kinds(), "models": models})


def fetch(
    reference: Annotated[str, typer.Argument(help="KIND:OWNER/NAME, optionally with @REVISION.")],
    to: Annotated[Path, typer.Option(help="Folder to write; copy it to offline machines.")],
) -> None:
    """Download a model into a folder that works without a network."""
    from spatialtrust.backends.bundles import fetch as fetch_bundle

    manifest = fetch_bundle(reference, to)
    use = f"{reference.partition(':')[0]}:{to}"
    say(f"done; use it as {use}")
    emit({"reference": use, "folder": to, **manifest})


def install(
    name: Annotated[str, typer.Argument(help="Which environment: lavis.")],
    python: Annotated[
        str | None, typer.Option(help="Python to create it with; default: a suitable one.")
    ] = None,
) -> None:
    """Create the environment of a backend that cannot be installed in this one."""
    from spatialtrust.backends.install import install as make

    emit({"environment": name, "python": make(name, python)})
