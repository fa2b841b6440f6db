"""Which videos are shown, by rule: of each task the best, the median or the worst, and one exception."""

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
    """One sample that is shown: why, of how many of its task, and the value of `method` that it was chosen by."""

    sample: str
    video: str
    task: str
    why: Why
    value: float
    of: int


class Choice(NamedTuple):
    """What examples are chosen by."""

    column: Column
    method: str


def choice(numbers: Numbers) -> Choice | None:
    """The leading alignment metric and the method with its best mean; without one, the first column that there is."""
    column = numbers.alignment or next(iter(numbers.columns), None)
    methods = numbers.leading(column, 1) if column else []
    return Choice(column, methods[0]) if column and methods else None


def examples(numbers: Numbers, whys: Sequence[Why]) -> list[Example]:
    """Of each task, those with most videos first; with `exception` one more, of all tasks, which is not shown yet."""
    by = choice(numbers)
    if by is None:
        return []
    rows = numbers.values(by.column, [by.method]).sort_values(["value", "sample"], kind="stable")
    rows = rows if by.column.direction != "low" else rows[::-1]  # the worst first
    parts = sorted((part for _, part in rows.groupby("task", sort=True)), key=lambda part: -part["video"].nunique())
    found = [example for part in parts for example in _of_task(part, whys)]
    shown = {example.sample for example in found}
    rest = rows[~rows["sample"].isin(shown)]
    return [*found, _example(rest, 0, "exception")] if "exception" in whys and len(rest) else found


def _of_task(part: pd.DataFrame, whys: Sequence[Why]) -> list[Example]:
    """Each sample once: of a task with a single one it is the median."""
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


def told(example: Example, by: Choice) -> str:
    """Why it is shown, in a line: `median of 3: object_auc of relevance .83`."""
    why = f"{example.why} of {example.of}" if example.why != "exception" else "exception"
    return f"{why}: {by.column.title} of {by.method} {short(example.value)}"


def shown_methods(numbers: Numbers) -> list[str]:
    """What is drawn of each example: the best in alignment, the best in faithfulness (or the second), a control."""
    by = choice(numbers)
    if by is None:
        return []
    faithful = numbers.leading(numbers.faithfulness, 1)
    methods = list(dict.fromkeys([by.method, *faithful, *numbers.leading(by.column, 2)]))[:2]
    control = numbers.best_control(by.column)
    return [*methods, *([control] if control else [])]


def short(value: float) -> str:
    """`.83`, `1.00`, `7.78`, with a true minus sign below zero; `undefined` for NaN."""
    if not np.isfinite(value):
        return "undefined"
    size = f"{abs(value):.2f}"
    sign = MINUS if value < 0 and float(size) else ""
    return sign + size.removeprefix("0")
