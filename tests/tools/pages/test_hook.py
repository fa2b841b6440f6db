"""Marked places of the written pages, links of the texts at the root, and the list of pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tools.pages import hook

DOCS = hook.ROOT / "docs"


def test_every_mark_is_filled_and_each_kind_has_a_place() -> None:
    marks = [mark for page in sorted(DOCS.glob("*.md")) for mark in hook.MARK.findall(page.read_text("utf-8"))]
    assert sorted(marks) == sorted(hook.GENERATED)
    assert hook.filled("a\n<!-- generated: imputers -->\nb").count("](imputers/") == 6
    with pytest.raises(KeyError):
        hook.filled("<!-- generated: nothing -->")


def test_links_of_the_readme_lead_to_the_same_pages_from_docs() -> None:
    text = "[a](docs/models.md#x) [b](CONTRIBUTING.md) ![c](docs/images/d.png) [e](https://f/docs/g) [h](CITATION.cff)"
    assert hook.moved(text) == (
        "[a](models.md#x) [b](contributing.md) ![c](images/d.png) [e](https://f/docs/g) [h](CITATION.cff)"
    )


def test_every_written_page_has_a_place_in_the_navigation() -> None:
    """mkdocs only warns of one without; pages of the root are added under their names."""
    listed = re.findall(r"[\w]+\.md", yaml.dump(yaml.safe_load((hook.ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert sorted(listed) == sorted([*(page.name for page in DOCS.glob("*.md")), *hook.ELSEWHERE])
    assert not {Path(page).name for page in hook.ELSEWHERE} & {page.name for page in DOCS.glob("*.md")}
