"""The page of a comparison in a real browser: nothing is fetched, everything is there and fits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from limbeck.comparison import compare
from limbeck.report.page import write_comparison

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'limbeck[test]'")
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="there is no Chromium here: apt-get install chromium")


def test_everything_is_there_and_fits(runs: tuple[Path, Path]) -> None:
    names = ["one"]
    for number in range(6):
        names.append(f"other{number}")
        shutil.copytree("other", names[-1])
    address = write_comparison(compare(names).results, Path("compare.html")).resolve().as_uri()
    faults = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox", "--disable-gpu"])
        for width, scheme in ((390, "dark"), (1440, "light")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("console", lambda message: faults.append(message.text))
            page.on("request", lambda asked: faults.append(asked.url) if asked.url != address else None)
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for section in ("verdict", "differ", "set-0", "cost", "notes"):
                assert page.locator(f"#{section}").bounding_box()["height"] > 60, section
            drawn = page.locator("figure svg").all()
            assert len(drawn) == 4  # accuracy and gain, distilled and alone
            assert all(svg.bounding_box()["width"] > 250 for svg in drawn)
            said = [figure.get_attribute("aria-label") for figure in page.locator("figure [role=img]").all()]
            assert all("other0" not in text and "G: " in text and "points" in text for text in said)
        browser.close()
    assert [fault for fault in faults if not fault.startswith("data:")] == []
