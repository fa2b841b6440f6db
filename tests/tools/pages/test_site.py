"""The whole site, built and opened in a browser as files: no other host, a page for each plug-in, search, phones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.pages import hook

pytest.importorskip("mkdocs", reason="the site's packages are not installed: make docs")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=hook.ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_plugin_has_its_page_and_none_asks_another_host(site: Path) -> None:
    written = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    assert set(hook.plugin_pages()) <= written
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]+', text) == []
        assert hook.MARK.search(text) is None


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def test_search_works_without_a_server(site: Path, browser: object) -> None:
    page = browser.new_page()  # type: ignore[attr-defined]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "metrics" / "srg.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("attention sinks", delay=20)
    page.wait_for_selector(".md-search-result__item")
    assert "Questions" in page.locator(".md-search-result__item").first.inner_text()
    assert [url for url in asked if url.startswith("http")] == []


WIDE = (
    "index", "api", "faq", "layers", "methods", "methods/integrated_gradients", "metrics", "models", "outputs",
    "results",
)  # fmt: skip


def test_pages_are_no_wider_than_a_phone(site: Path, browser: object) -> None:
    """Those with the widest tables, formulas and code."""
    page = browser.new_page(viewport={"width": 390, "height": 844})  # type: ignore[attr-defined]
    wide = []
    for name in WIDE:
        page.goto((site / f"{name}.html").as_uri())
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
    assert wide == []
