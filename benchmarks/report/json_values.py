"""Numbers of tables as JSON can hold them: NaN becomes null, and six digits are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

DIGITS = 6  # significant ones: no reader sees more, and the page stays small


def number(value: Any) -> float | None:
    """A finite number with DIGITS digits; None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):  # pd.NA, None
        return None
    return float(f"{found:.{DIGITS}g}") if math.isfinite(found) else None


def text(value: Any) -> str:
    """The text of a cell; empty where it is missing."""
    return "" if value is None or value is pd.NA or value != value else str(value)


def records(table: pd.DataFrame, texts: Sequence[str], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """The rows as mappings of these columns; a column that the table lacks is empty, or null."""
    given: list[Iterable[Any]] = [
        *([text(value) for value in _column(table, name)] for name in texts),
        *([number(value) for value in _column(table, name)] for name in numbers),
    ]
    return [dict(zip([*texts, *numbers], row, strict=True)) for row in zip(*given, strict=True)]


def _column(table: pd.DataFrame, name: str) -> Iterable[Any]:
    return table[name].tolist() if name in table else [None] * len(table)
