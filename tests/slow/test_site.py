"""The site builds offline without a warning: no dead link, no docstring that Sphinx cannot read."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="needs the extra docs")
    out = tmp_path / "out" / "site"
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    for page in ("index", "graphs", "api", "reference/spatialtrust.verify", "notebooks/bags"):
        assert (out / f"{page}.html").exists(), page
