"""Reader of HTML pages for tests."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class Tags(HTMLParser):
    """Names of the tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note the tag."""
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += data
