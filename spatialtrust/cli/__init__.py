"""The command line."""

from spatialtrust.cli.commands import app, main

__all__ = ["app", "main"]
