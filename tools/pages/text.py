"""Text and tables in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence


def paragraph(text: str) -> str:
    """Return the text in one line, without equations between dollar signs."""
    return " ".join(re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL).split())


def escaped(text: str) -> str:
    """Return text whose `<`, `*` and `_` are no markup outside of code spans; blank lines stay."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", text.replace("<", "&lt;"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell stays a bar."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def words_between(low: float, high: float) -> str:
    """Return bounds in words: `0 to 1`, `0 or more`, `any number`."""
    if math.isinf(low):
        return "any number" if math.isinf(high) else f"at most {high:g}"
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
