"""The page in a real browser: nothing is fetched, nothing fails, everything is there at every width."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'limbeck[test]'")
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]
_SECTIONS = [
    *("verdict", "replace", "learning", "cost", "calibration", "classes"),
    *("shift", "lost", "softened", "repeat", "notes"),
]
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_BROWSER, args=_FLAGS)
        yield opened
        opened.close()


class Opened:
    """A page that was opened, and what went wrong while it was."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str = "light", **context: Any) -> None:
        self.faults: list[str] = []
        self.page = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", **context
        ).new_page()
        self.page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        address = (path / "report.html").resolve().as_uri()
        self.page.on("request", lambda request: self._asked(request.url, address))
        self.page.goto(address)

    def _asked(self, url: str, own: str) -> None:
        if url != own and not url.startswith("data:"):
            self.faults.append(f"request: {url}")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (390, "dark"), (1440, "light"), (1440, "dark")])
def test_everything_is_there_and_fits(browser: Any, whole_run: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, whole_run, width, scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for section in _SECTIONS:
        box = page.locator(f"#{section}").bounding_box()
        assert box, section
        assert box["height"] > 60, section
    panels = page.evaluate(_PANELS)
    assert len(panels) >= 14
    assert all(w > 200 and h > 100 and gw > 100 and gh > 80 and drawn > 5 for w, h, gw, gh, drawn in panels), panels
    assert page.evaluate(_BEYOND, width) == []
    pictures = page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.alt])")
    assert len(pictures) >= 24
    assert [each for each in pictures if not (each[0] and each[1] == 32 and each[2])] == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")
    ink = page.evaluate("getComputedStyle(document.querySelector('.panel svg text[style*=ink]')).fill")
    assert ink == ("rgb(230, 233, 236)" if dark else "rgb(27, 31, 36)")
    assert opened.faults == []


_PANELS = """[...document.querySelectorAll('.panel svg')].map(svg => {
    const seen = svg.getBoundingClientRect(), drawn = svg.getBBox();
    return [seen.width, seen.height, drawn.width, drawn.height, svg.querySelectorAll('path, use').length];
})"""
_BEYOND = """width => [...document.querySelectorAll('main *:not(svg *)')]
    .filter(e => !e.closest('.scroll, .unseen, pre') && e.getBoundingClientRect().right > width)
    .map(e => e.outerHTML)"""


def test_the_slider_softens_and_a_picture_is_chosen(browser: Any, whole_run: Path) -> None:
    opened = Opened(browser, whole_run, 1440)
    page = opened.page
    right = page.locator(".answer-1 .live li.right .share")

    def share() -> float:
        return float(right.inner_text().removesuffix(" %"))

    cold = share()
    page.locator("#temperature").fill("35")
    assert page.locator(".slider output").inner_text() == "35"
    small = page.locator(".answer-1 .multiples > div").nth(4).locator("li.right .share").inner_text()
    assert share() == pytest.approx(float(small.removesuffix(" %")), abs=0.11)
    assert share() < cold
    assert page.locator(".answer:visible").count() == 1
    page.locator("label[for=picked-2]").click()
    assert page.locator(".answer-2").is_visible()
    assert not page.locator(".answer-1").is_visible()
    assert opened.faults == []


def test_the_data_of_a_figure_and_the_recipe_can_be_saved(browser: Any, whole_run: Path) -> None:
    opened = Opened(browser, whole_run, 1440)
    for link, name, file in (
        ("#figure-classes .sheet", "made-up-classes.csv", "report/classes.csv"),
        ("a[download='recipe.json']", "recipe.json", "recipe.json"),
    ):
        with opened.page.expect_download() as saved:
            opened.page.locator(link).click()
        assert saved.value.suggested_filename == name
        assert Path(saved.value.path()).read_text().strip() == (whole_run / file).read_text().strip()


def test_it_works_without_scripts_and_prints(browser: Any, whole_run: Path) -> None:
    opened = Opened(browser, whole_run, 1440, java_script_enabled=False)
    assert not opened.page.locator(".slider").is_visible()
    assert opened.page.locator(".answer-1 .multiples > div:visible").count() == 5
    opened.page.locator("label[for=picked-3]").click()
    assert opened.page.locator(".answer-3").is_visible()
    printed = opened.page.pdf(format="A4")
    assert 3 <= printed.count(b"/Type /Page\n") <= 20
    assert opened.faults == []


def test_a_poor_run_with_hostile_names(browser: Any, poor_run: Path) -> None:
    opened = Opened(browser, poor_run, 390)
    opened.page.on("dialog", lambda dialog: opened.faults.append(f"dialog: {dialog.message}"))
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.page.locator(".missing").count() >= 5
    assert "<script>alert(1)</script>" in opened.page.locator("#classes").inner_text()
    assert opened.faults == []
