"""Table values as JSON: NaN becomes null, numbers are rounded to six significant digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

DIGITS = 6  # significant digits: more would only make the page larger


def number(value: Any) -> float | None:
    """Finite number rounded to DIGITS significant digits; None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):  # pd.NA, None
        return None
    return float(f"{found:.{DIGITS}g}") if math.isfinite(found) else None


def text(value: Any) -> str:
    """Text of a cell; empty for a missing value."""
    return "" if value is None or value is pd.NA or value != value else str(value)


def records(table: pd.DataFrame, texts: Sequence[str], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as mappings of these columns; a column that the table lacks is filled with "" (texts) or None (numbers)."""
    given: list[Iterable[Any]] = [
        *([text(value) for value in _column(table, name)] for name in texts),
        *([number(value) for value in _column(table, name)] for name in numbers),
    ]
    return [dict(zip([*texts, *numbers], row, strict=True)) for row in zip(*given, strict=True)]


def _column(table: pd.DataFrame, name: str) -> Iterable[Any]:
    return table[name].tolist() if name in table else [None] * len(table)
