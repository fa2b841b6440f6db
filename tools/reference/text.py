"""Markdown of the page: numbers, names, tables, and paragraphs broken at 128 characters."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from attrib.benchmarks.tables.matrix import Column

WIDTH = 128


def number(value: float) -> str:
    """Two decimals, without a sign of zero; `undefined` for NaN."""
    return "undefined" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def interval(mean: float, low: float, high: float) -> str:
    """Number and its interval, if it has one."""
    return number(mean) if math.isnan(mean) or math.isnan(low) else f"{number(mean)} [{number(low)}, {number(high)}]"


def gain(row: pd.Series | Mapping[str, float]) -> str:
    """Difference to the best control of a row of the leaderboard, with its interval."""
    return interval(*(float(row[name]) for name in ("difference", "difference_low", "difference_high")))


def heading(column: Column) -> str:
    """Name of the metric in code letters, with its imputer in brackets."""
    return f"`{column.metric}`" + f" ({column.imputer})" * bool(column.imputer)


def listed(names: Iterable[object], none: str = "none") -> str:
    """Names in code letters, with commas."""
    return ", ".join(f"`{name}`" for name in names) or none


def counted(count: int, noun: str) -> str:
    """Number and noun, such as `1 method` or `2 methods`."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> list[str]:
    """Lines of a table and an empty one; the first `texts` columns are aligned left, the others right."""
    aligned = ["---"] * texts + ["---:"] * (len(head) - texts)
    return [*(f"| {' | '.join(cells)} |" for cells in (head, aligned, *rows)), ""]


def paragraph(text: str) -> list[str]:
    """Lines of a paragraph and an empty one."""
    return [*_wrapped(text, ""), ""]


def bullets(texts: Iterable[str]) -> list[str]:
    """Lines of a list and an empty one; none without a text."""
    lines = [line for text in texts for line in _wrapped(f"- {text}", "  ")]
    return [*lines, ""] if lines else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip
