"""The documentation site: every Markdown page of the repository, the notebook, and the reference from the docstrings.

    sphinx-build -W -q -c docs . build/site

The repository's root is the source, so that a link from page to page is the same file here, on a disk and in a forge.
Nothing is fetched while it is built, or from the network when it is read.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "limbeck"
html_title = "limbeck"
root_doc = "docs/index"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "descriptions",
    "notebooks",
    "showcase",
]

include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**",
    "studies/**.md",
    "benchmarks/**.md",
    "weights/README.md",
]
exclude_patterns = ["build", "dist", "**/runs", "sweeps", ".*"]

suppress_warnings = ["toc.not_included"]  # tables of results, which pages link to; the tests look for the others
myst_heading_anchors = 3
default_role = "py:obj"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_rtype = False
viewcode_line_numbers = True

highlight_language = "none"

html_theme = "furo"
html_static_path = ["site/style.css"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"light_css_variables": {"color-brand-primary": "#0b5a8a", "color-brand-content": "#0b5a8a"}}
