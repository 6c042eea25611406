"""How Sphinx builds the site: `make docs`. No network is used, and no notebook is run."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import spatialtrust  # noqa: E402

project = "spatialtrust"
author = "the spatialtrust authors"
project_copyright = "the spatialtrust authors; Apache-2.0"
version = release = spatialtrust.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["site", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"spatialtrust {release}"
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00563b", "color-brand-content": "#00563b"},
    "dark_css_variables": {"color-brand-primary": "#56b48c", "color-brand-content": "#56b48c"},
}

_TITLED = {"Parameters", "Attributes", "Raises", "Returns", "Yields"}


def _numpydoc(app: object, what: str, name: str, thing: Any, options: Any, lines: Any) -> None:
    """Docstrings write ``name: meaning`` on one line; numpydoc wants the meaning below the name."""
    title, indent = "", ""
    written: list[str] = []
    for place, line in enumerate(lines):
        below = lines[place + 1] if place + 1 < len(lines) else ""
        if line.strip() and re.fullmatch(r"\s*-{3,}\s*", below):
            title, indent = line.strip(), line[: len(line) - len(line.lstrip())]
        entry = re.match(rf"{indent}([A-Za-z_*][\w.,* ]*): +(\S.*)", line)
        if title in {"Parameters", "Attributes", "Raises"} and entry:
            written += [f"{indent}{entry[1]}", f"{indent}    {entry[2]}"]
        else:
            written.append(line)
        if title and not line.strip() and not below.startswith(f"{indent} "):
            title = title if _follows(lines, place, indent) else ""
    lines[:] = written


def _follows(lines: list[str], place: int, indent: str) -> bool:
    """Whether the section's list goes on after an empty line: no, if a sentence follows."""
    rest = next((line for line in lines[place + 1 :] if line.strip()), "")
    return bool(re.match(rf"{indent}[a-z_]\w*: ", rest))


def _notebooks(app: object) -> None:
    """Notebooks live in a folder of their own; the site shows copies of them."""
    target = HERE / "notebooks"
    target.mkdir(exist_ok=True)
    for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):
        shutil.copyfile(notebook, target / notebook.name)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", _notebooks, priority=100)
    app.connect("autodoc-process-docstring", _numpydoc, priority=100)
