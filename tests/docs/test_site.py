"""What the pages point at is there, the reference leaves nothing public out, and the site is built from them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, links

import limbeck

READ = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("studies/*/README.md"))]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{link}: a file that is not there, or a folder, which the site cannot show"
        if anchor:
            assert anchor in anchors(target), link


def test_every_public_name_is_in_the_reference() -> None:
    rooms = set(re.findall(r"automodule:: (limbeck[\w.]*)\n```", REFERENCE))
    documented = set(re.findall(r"auto(?:function|class|exception):: (\w+)", REFERENCE))
    for name in limbeck.__all__:
        thing = getattr(limbeck, name)
        if isinstance(thing, type(limbeck)):
            assert thing.__name__ in rooms, name
        else:
            assert name in documented or f"`limbeck.{name}` is" in REFERENCE, name
    for room in re.findall(r"automodule:: (limbeck[\w.]*)", REFERENCE):
        assert importlib.import_module(room).__doc__, room


def test_every_page_is_in_the_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (*PAGES, ROOT / "docs" / "lab3.ipynb"):
        listed = re.search(rf"^(\.\./)?{page.stem}$", index, re.MULTILINE)
        assert listed or page.stem == "index" or page.stem[0] not in "aeil", page


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", "docs", ".", str(tmp_path / "site")]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    made = (tmp_path / "site" / "docs" / "api" / "limbeck.html").read_text(encoding="utf-8")
    assert "limbeck.distil" in made
