"""Rule that selects the example videos: best, median or worst of each task, and one exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.tables.matrix import Column

MINUS = "\N{MINUS SIGN}"
Why = Literal["best", "median", "worst", "exception"]


class Example(NamedTuple):
    """A sample selected as example: the reason, its value under the selecting metric, and the size `of` its task."""

    sample: str
    video: str
    task: str
    why: Why
    value: float
    of: int


class Criterion(NamedTuple):
    """Metric and method by whose values examples are selected."""

    column: Column
    method: str


def choice(numbers: Numbers) -> Criterion | None:
    """Leading alignment metric (else the first column) and the method with the best mean; None without any value."""
    column = numbers.alignment or next(iter(numbers.columns), None)
    methods = numbers.leading(column, 1) if column else []
    return Criterion(column, methods[0]) if column and methods else None


def examples(numbers: Numbers, whys: Sequence[Why]) -> list[Example]:
    """Examples of each task, largest task first; `exception` adds the worst sample of all tasks not selected yet."""
    by = choice(numbers)
    if by is None:
        return []
    rows = numbers.values(by.column, [by.method]).sort_values(["value", "sample"], kind="stable")
    rows = rows if by.column.direction != "low" else rows[::-1]  # worst first
    parts = sorted((part for _, part in rows.groupby("task", sort=True)), key=lambda part: -part["video"].nunique())
    found = [example for part in parts for example in _of_task(part, whys)]
    shown = {example.sample for example in found}
    rest = rows[~rows["sample"].isin(shown)]
    return [*found, _example(rest, 0, "exception")] if "exception" in whys and len(rest) else found


def _of_task(part: pd.DataFrame, whys: Sequence[Why]) -> list[Example]:
    """Examples of one task, each sample at most once; the only sample of a task is its median."""
    places = {"median": (len(part) - 1) // 2, "best": len(part) - 1, "worst": 0}
    taken: dict[int, Why] = {}
    for why in ("median", "best", "worst"):
        if why in whys and places[why] not in taken:
            taken[places[why]] = why
    order = {why: place for place, why in enumerate(whys)}
    return [_example(part, place, why) for place, why in sorted(taken.items(), key=lambda item: order[item[1]])]


def _example(part: pd.DataFrame, place: int, why: Why) -> Example:
    row = part.iloc[place]
    of = int((part["task"] == row["task"]).sum())
    return Example(str(row["sample"]), str(row["video"]), str(row["task"]), why, float(row["value"]), of)


def told(example: Example, by: Criterion) -> str:
    """One line with the reason of the selection: `median of 3: object_auc of relevance .83`."""
    why = f"{example.why} of {example.of}" if example.why != "exception" else "exception"
    return f"{why}: {by.column.title} of {by.method} {short(example.value)}"


def shown_methods(numbers: Numbers) -> list[str]:
    """Methods drawn for each example: best in alignment, best in faithfulness (or second best), best control."""
    by = choice(numbers)
    if by is None:
        return []
    faithful = numbers.leading(numbers.faithfulness, 1)
    methods = list(dict.fromkeys([by.method, *faithful, *numbers.leading(by.column, 2)]))[:2]
    control = numbers.best_control(by.column)
    return [*methods, *([control] if control else [])]


def short(value: float) -> str:
    """Number as text: `.83`, `1.00`, `7.78`, with a typographic minus sign; `undefined` for NaN."""
    if not np.isfinite(value):
        return "undefined"
    size = f"{abs(value):.2f}"
    sign = MINUS if value < 0 and float(size) else ""
    return sign + size.removeprefix("0")
