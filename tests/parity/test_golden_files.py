"""The shipped reference numbers are numbers: nothing in them can run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FILES = sorted((Path(__file__).parents[1] / "golden").glob("*.npz"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_reference_numbers_are_plain_arrays(file: Path) -> None:
    with np.load(file, allow_pickle=False) as stored:
        assert stored.files
        assert {stored[name].dtype.kind for name in stored.files} <= {"b", "f", "i"}


def test_every_file_has_a_line_in_the_readme() -> None:
    text = (FILES[0].parent / "README.md").read_text(encoding="utf-8")
    assert [file.name for file in FILES if f"`{file.name}`" not in text] == []
