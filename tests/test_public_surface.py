"""What the package promises by name is there, and nothing else is promised."""

from __future__ import annotations

import re
from pathlib import Path

import spatialtrust


def test_every_public_name_can_be_had_and_has_a_docstring() -> None:
    for name in spatialtrust.__all__:
        assert getattr(spatialtrust, name).__doc__, name
    assert set(spatialtrust.__all__) == {*spatialtrust._HOMES, *spatialtrust._MODULES}


def test_dir_shows_what_is_public_and_only_that() -> None:
    import spatialtrust.jobs.verification  # a room that was loaded is still not public

    assert set(dir(spatialtrust)) == {*spatialtrust.__all__, "__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(spatialtrust, "trust_everything")


def test_docstrings_are_of_one_dialect() -> None:
    """Sections of numpydoc, with a line below the title; no ``Raises: ...`` on one line."""
    package = Path(spatialtrust.__file__).parent
    titles = r"(Args|Arguments|Parameters|Returns|Yields|Raises|Attributes|Example|Examples|Note):"
    found = [
        f"{path.relative_to(package)}:{number}"
        for path in sorted(package.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(rf"\s+{titles}(\s|$)", line)
    ]
    assert found == []
