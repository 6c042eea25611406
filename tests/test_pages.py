"""Every page is true: its blocks run, the options it names are in ``--help``, its names exist.

What a page may say, and how a block says that it cannot run here: `tests/helpers/pages.py`.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT
from tests.helpers import page_inputs, pages
from tests.helpers.replay_server import replaying

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = pages.PAGES
RUN = [page for page in PAGES if any(b.language in ("bash", "python") for b in pages.blocks(page))]
MOST_THAT_NEED_MORE = 16
"""Blocks that are not run, in all pages together: a page that needs another one has to say why."""


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_says_its_language_and_what_it_needs(page: Path) -> None:
    for block in pages.blocks(page):
        assert block.language in pages.LANGUAGES, f"{block}: {block.language!r}"
        assert block.needs is None or block.needs in pages.NEEDS, f"{block}: {block.needs!r}"
        pages.parse(block)
    indented = re.findall(r"(?:\A|\n)\n {4}\S.*", pages.prose(page))
    assert indented == [], "indented blocks have no language: fence them"


def test_few_blocks_need_more_than_the_repository() -> None:
    left_out = [str(block) for page in PAGES for block in pages.blocks(page) if block.needs]
    assert len(left_out) <= MOST_THAT_NEED_MORE, left_out


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_option_is_in_the_help_of_its_command(page: Path) -> None:
    assert pages.unknown_options(page) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_name_and_path_exists(page: Path) -> None:
    assert pages.unknown_names(page) == []


def test_the_page_on_graphs_names_the_default_relations() -> None:
    from spatialtrust.claims.enumeration import DEFAULT_RELATIONS

    *first, last = (f"`{relation}`" for relation in DEFAULT_RELATIONS)
    text = (ROOT / "docs" / "graphs.md").read_text(encoding="utf-8")
    assert f"By default {', '.join(first)} and {last}" in " ".join(text.split())


@pytest.mark.parametrize("page", RUN, ids=_name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "home"))
    text = "".join(block.text for block in pages.blocks(page) if block.needs is None)
    for folder in ("data", "pipelines"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for name, make in page_inputs.INPUTS.items():
        if re.search(rf"(?<![\w./-]){re.escape(name)}\b", text):
            make(tmp_path / name)
    namespace: dict[str, Any] = {"__name__": "page"}
    served = replaying(page_inputs.unsure) if page_inputs.SERVER in text else nullcontext()
    with served as server:
        for step in pages.steps(page):
            if isinstance(step, pages.ByHand):
                page_inputs.judge_by_hand(tmp_path / step.file)
            elif step.needs is None and step.language in ("python", "bash"):
                code = step.text
                for there, here in page_inputs.STAND_INS.items():
                    code = code.replace(there, here)
                code = code.replace(page_inputs.SERVER, getattr(server, "url", ""))
                if step.language == "python":
                    exec(compile("\n" * step.line + code, str(page), "exec"), namespace)
                else:
                    for words in pages.lines(code):
                        _run(words, str(step))


def _run(words: list[str], where: str) -> None:
    """Run the package's own command; of any other line, look up the names."""
    from spatialtrust.cli.commands import app

    if words[0] == "spatialtrust":
        arguments = words[1 : words.index(">")] if ">" in words else words[1:]
        assert not app(arguments, standalone_mode=False), where
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), where
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extra in _extras(" ".join(words)):
            assert extra in extras["optional-dependencies"], where
    elif words[0] == "conda":
        assert all((ROOT / word).exists() for word in words if word.endswith(".yml")), where
    elif words[0] == "python":
        assert words[1] == "-m" or (ROOT / words[1]).exists(), where
    else:
        assert words[0] in ("export", "git"), f"{where}: {words[0]} is not run by this test"


def _extras(line: str) -> Iterator[str]:
    for listed in re.findall(r"\[([a-z,]+)\]", line):
        yield from listed.split(",")
