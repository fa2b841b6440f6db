"""Events of MkDocs: add the pages that are made from the code, and fill the marked places of the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import registry
from tools.pages import outputs, plugins, settings
from tools.pages.equations import drawn

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent.parent
MARK = re.compile(r"<!-- generated: ([\w ]+) -->")
GENERATED: dict[str, Callable[[], str]] = {
    "methods": lambda: plugins.overview("methods"),
    "controls": lambda: plugins.overview("methods", controls=True),
    "metrics": plugins.metrics_by_axis,
    "imputers": lambda: plugins.overview("imputers"),
    "models": lambda: plugins.overview("models"),
    "datasets": lambda: plugins.overview("datasets"),
    "settings": settings.settings,
    "files": outputs.files,
    "columns": outputs.columns,
}
ELSEWHERE = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the page of each plug-in under its kind."""
    for title in config.nav or []:
        for pages in title.values():
            if isinstance(pages, list) and pages and str(pages[0]).removesuffix(".md") in registry.KINDS:
                kind = str(pages[0]).removesuffix(".md")
                pages += [page for page in plugin_pages() if page.startswith(f"{kind}/")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of each plug-in, and the texts of the root."""
    from mkdocs.structure.files import File

    for name, content in {**plugin_pages(), **dict(_texts())}.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the marked places and draw the equations."""
    return drawn(filled(markdown))


def plugin_pages() -> dict[str, str]:
    """Return the pages of all plug-ins by their paths."""
    return {f"{kind}/{name}.md": plugins.page(kind, name) for kind in registry.KINDS for name in registry.names(kind)}


def filled(markdown: str) -> str:
    """Replace each mark `<!-- generated: NAME -->` by what is made from the code. Raises KeyError for another name."""
    return MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)


def _texts() -> Iterator[tuple[str, str]]:
    for page, name in ELSEWHERE.items():
        yield page, moved((ROOT / name).read_text(encoding="utf-8"))


def moved(text: str) -> str:
    """Return a text of the root whose links lead to the same pages from docs/."""
    pages = {name: page for page, name in ELSEWHERE.items()}
    text = re.sub(r"(\]\(|src=\")docs/", r"\1", text)
    return re.sub(r"\]\(([A-Z]+\.md)", lambda link: f"]({pages.get(link[1], link[1])}", text)
