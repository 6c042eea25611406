"""What the README and docs/ show: blocks to run, options and names to look up.

Conventions of a page, which `tests/test_pages.py` enforces:

- Every block is fenced and says its language. ``python`` and ``bash`` are run, in order, in one
  folder and one namespace per page; ``json``, ``yaml`` and ``toml`` are parsed; ``text`` is output.
- A block that cannot run here says so to the reader in its first line: ``# needs: ...`` (`NEEDS`).
- Lines that install something, and ``make``, are not run: what they name is looked up.
- ``<!-- a person fills FILE -->`` stands where a reader labels a file; the test does it instead.

``python -m tests.helpers.pages`` prints how many of each there are.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import runpy
import shlex
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from unittest import mock

import yaml

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NEEDS: Final = (
    "a GPU",
    "a network",
    "a model of your own",
    "a server",
    "ROS",
    "labelled statements",
    "minutes",
)
"""What a block may say it needs beyond this repository and a minute."""
LANGUAGES: Final = {"python", "bash", "json", "yaml", "toml", "text"}

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BY_HAND = re.compile(r"<!-- a person fills (\S+) -->")
_NOT_RUN = re.compile(r"# needs: (.+)")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_FOREIGN = ("vllm", "conda", "pip", "make", "git", "ros2", "export", "pytest")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page and line, language, text, and what it needs (else None)."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def needs(self) -> str | None:
        found = _NOT_RUN.match(self.text)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class ByHand:
    """A file that a reader labels at this place."""

    file: str


def steps(page: Path) -> list[Block | ByHand]:
    """Blocks, and what is done by hand between them, in the order of the page."""
    text = page.read_text(encoding="utf-8")
    found: list[tuple[int, Block | ByHand]] = [
        (match.start(), ByHand(match[1])) for match in _BY_HAND.finditer(text)
    ]
    for match in _FENCE.finditer(text):
        if match[1].startswith("{"):  # a directive of the site, such as {toctree}
            continue
        line = text.count("\n", 0, match.start()) + 1
        found.append((match.start(), Block(page, line, match[1], match[2])))
    return [step for _, step in sorted(found, key=lambda pair: pair[0])]


def blocks(page: Path) -> list[Block]:
    return [step for step in steps(page) if isinstance(step, Block)]


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def lines(text: str) -> Iterator[list[str]]:
    """Commands of a shell block as words: continued lines joined, comments dropped."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


# Options and names that a page mentions


@dataclass(frozen=True)
class Mention:
    """An option, where it stands, and the command it is said to belong to (else None)."""

    page: Path
    option: str
    command: tuple[str, ...] | None


def mentions(page: Path) -> list[Mention]:
    """Every option that a page names, in blocks and in code between backticks."""
    found = []
    for block in blocks(page):
        if block.language == "bash":
            for words in lines(block.text):
                if words[0] not in _FOREIGN:
                    found += _of_line(page, words)
    for span in _SPAN.findall(prose(page)):
        words = span.split()
        if words[0] in ("spatialtrust", "python") and len(words) > 1:
            found += _of_line(page, words)
        elif words[0] not in _FOREIGN:
            found += [Mention(page, option, None) for option in _OPTION.findall(span)]
    return found


def _of_line(page: Path, words: list[str]) -> list[Mention]:
    options = [
        option for word in words for option in _OPTION.findall(word) if word.startswith("--")
    ]
    return [Mention(page, option, command_of(words)) for option in options]


def command_of(words: list[str]) -> tuple[str, ...]:
    """``("spatialtrust", "bag", "graph")``, ``("benchmarks.drift",)``, ``("pipelines/x.py",)``."""
    if words[0] == "spatialtrust":
        named: tuple[str, ...] = ("spatialtrust",)
        for word in words[1:]:
            if (*named, word) not in _commands():
                break
            named = (*named, word)
        return named
    if words[0] == "python":
        return (words[2],) if words[1] == "-m" else (words[1],)
    raise AssertionError(f"neither spatialtrust nor python: {words}")


def commands_named(page: Path) -> set[tuple[str, ...]]:
    """Every command that a page names in a block or between backticks."""
    said = [
        words for block in blocks(page) if block.language == "bash" for words in lines(block.text)
    ]
    said += [span.split() for span in _SPAN.findall(prose(page))]
    found = {command_of(words) for words in said if words[0] == "spatialtrust"}
    found |= {command_of(words) for words in said if words[0] == "python" and len(words) > 1}
    return {command for command in found if command != ("spatialtrust",)}


@cache
def _commands() -> frozenset[tuple[str, ...]]:
    """All commands and groups of the command line."""
    from typer.main import get_command

    from spatialtrust.cli.commands import app

    found = set()

    def walk(command: object, name: tuple[str, ...]) -> None:
        found.add(name)
        for part, below in getattr(command, "commands", {}).items():
            walk(below, (*name, part))

    walk(get_command(app), ("spatialtrust",))
    return frozenset(found)


@cache
def options_in_help(command: tuple[str, ...]) -> frozenset[str]:
    """The options that the command's ``--help`` shows."""
    if command[0] == "spatialtrust":
        from typer.testing import CliRunner

        from spatialtrust.cli.commands import app

        shown = CliRunner().invoke(app, [*command[1:], "--help"], env={"COLUMNS": "300"}).output
    else:
        shown = _help_of_script(command[0])
    return frozenset(_OPTION.findall(shown))


def _help_of_script(name: str) -> str:
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, "--help"]),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        file = name if name.endswith(".py") else f"{name.replace('.', '/')}.py"
        runpy.run_path(str(ROOT / file), run_name="__main__")
    return printed.getvalue()


def unknown_options(page: Path) -> list[str]:
    """Options of a page that no ``--help`` of the command it names shows."""
    everywhere = options_in_help(("spatialtrust",))  # --json may stand behind any command
    around = everywhere.union(
        *(options_in_help(name) for name in commands_named(page) if name[0] == "spatialtrust"),
        *(options_in_help(mention.command) for mention in mentions(page) if mention.command),
    )
    return [
        f"{mention.option} of {' '.join(mention.command or ('no command on this page',))}"
        for mention in mentions(page)
        if mention.option
        not in (options_in_help(mention.command) | everywhere if mention.command else around)
    ]


def unknown_names(page: Path) -> list[str]:
    """Dotted names, scripts and paths between backticks that lead nowhere."""
    missing = []
    for span in _SPAN.findall(prose(page)):
        if found := re.fullmatch(r"(spatialtrust(?:\.\w+)+)(?:\(.*\))?", span):
            missing += [] if _resolves(found[1]) else [span]
        elif re.fullmatch(
            r"(?:spatialtrust|tests|docs|benchmarks|pipelines|data|notebooks)/[\w./*-]*", span
        ):
            missing += [] if any(ROOT.glob(span.rstrip("/"))) else [span]
    for command in commands_named(page):
        if command[0].startswith("benchmarks."):
            missing += (
                [] if (ROOT / f"{command[0].replace('.', '/')}.py").exists() else [command[0]]
            )
        elif command[0].endswith(".py"):
            missing += [] if (ROOT / command[0]).exists() else [command[0]]
    return missing


def _resolves(name: str) -> bool:
    """Whether a dotted name is a module, or what one holds."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            return (ROOT / name.replace(".", "/")).exists()
        return True
    return False


def parse(block: Block) -> None:
    """Raises where a block of data is none."""
    if block.language == "json":
        for line in block.text.splitlines():
            json.loads(line)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)


def main() -> None:
    """Print what there is of each kind, by page."""
    total: dict[str, int] = {}
    for page in PAGES:
        counts: dict[str, int] = {}
        for block in blocks(page):
            kind = f"needs {block.needs}" if block.needs else block.language
            counts[kind] = counts.get(kind, 0) + 1
        counts["options"] = len(mentions(page))
        print(page.relative_to(ROOT), counts)
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0) + count
    different = {mention.option for page in PAGES for mention in mentions(page)}
    print("all pages", total, f"({len(different)} different options)")


if __name__ == "__main__":
    main()
