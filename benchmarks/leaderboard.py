"""Means with intervals: the long table of results as one row for each method and metric, and as tables to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rich.table import Table
from rich.text import Text

from attrib.benchmarks.statistics import clustered_interval
from attrib.config import Entry

KEYS = ["method", "metric", "imputer"]
ARROWS = {"high": "↑", "low": "↓"}


def build(results: pd.DataFrame, metrics: Sequence[Entry], resamples: int, seed: int) -> pd.DataFrame:
    """Columns subset, method, metric, imputer, direction, mean, low, high, chance, videos, undefined.

    low and high bound the 95 % interval of a bootstrap over videos. `subset` is `all`, `correct` (samples that the
    model answers correctly), `gated` (samples whose evidence is ground truth for it) or a task; `undefined` counts rows
    without a value.
    """
    directions = {entry.label: entry.item.direction for entry in metrics}
    scored = results[results["metric"] != ""]
    rows = [
        {"subset": subset, **row}
        for subset, part in _subsets(scored)
        for row in _rows(part, directions, resamples, seed)
    ]
    columns = ["subset", *KEYS, "direction", "mean", "low", "high", "chance", "videos", "undefined"]
    return pd.DataFrame(rows, columns=columns)


def _subsets(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", results
    for column in ("correct", "gated"):
        yield column, results[results[column].fillna(False).astype(bool)]
    for task, part in results.groupby("task", sort=True):
        yield f"task: {task}", part


def _rows(results: pd.DataFrame, directions: dict[str, str], resamples: int, seed: int) -> Iterator[dict[str, Any]]:
    for keys, part in results.groupby(KEYS, sort=False, dropna=False):
        interval = clustered_interval(part["value"].to_numpy(), part["video"].tolist(), 0.95, resamples, seed)
        yield {
            **dict(zip(KEYS, keys, strict=True)), "direction": directions.get(keys[1], ""),
            "mean": interval.mean, "low": interval.low, "high": interval.high,
            "chance": part["chance"].mean(), "videos": interval.videos, "undefined": int(part["value"].isna().sum()),
        }  # fmt: skip


class Tally(NamedTuple):
    """How many samples there are, how many the model answers correctly, how many were held to its gate and passed."""

    samples: int
    correct: int
    tested: int
    passed: int


def tally(results: pd.DataFrame) -> Tally:
    """Counted over samples; what a failed item does not know another item of the sample does."""
    known = results.groupby("sample")[["correct", "gated"]].first()
    return Tally(len(known), int(known["correct"].sum()), int(known["gated"].notna().sum()), int(known["gated"].sum()))


def tables(board: pd.DataFrame, subset: str, width: int) -> list[Table]:
    """Tables of one subset for a terminal of `width` characters: methods down, metrics across, as many as fit.

    Of the `gated` subset only the metrics without an imputer: what removes parts of the video asks the model alone,
    the others take the evidence for the truth.
    """
    part = board[board["subset"] == subset]
    part = part[part["imputer"].isna()] if subset == "gated" else part
    columns = list(dict.fromkeys(zip(part["metric"], part["imputer"].fillna(""), strict=True)))
    methods = list(dict.fromkeys(part["method"]))
    room = width - max((len(method) for method in methods), default=6)
    widths = {column: _wide(column, _column(part, column), methods) for column in columns}
    return [_table(part, methods, group) for group in _fitting(widths, room)]


def _wide(column: tuple[str, str], rows: pd.DataFrame, methods: Sequence[str]) -> int:
    """Characters of the widest cell, header included, and the gap before it."""
    return 2 + max(len(column[0]) + 2, len("see random"), *(len(_cell(rows, method)) for method in methods))


def _fitting(widths: Mapping[tuple[str, str], int], room: int) -> list[list[tuple[str, str]]]:
    """The columns in groups that are at most `room` characters wide, or hold a single column."""
    groups: list[list[tuple[str, str]]] = []
    left = 0
    for column, wide in widths.items():
        if not groups or wide > left:
            groups.append([])
            left = room
        groups[-1].append(column)
        left -= wide
    return groups


def _table(part: pd.DataFrame, methods: Sequence[str], columns: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    cells = {column: _column(part, column) for column in columns}
    for metric, imputer in columns:
        arrow = ARROWS.get(str(cells[metric, imputer]["direction"].iloc[0]), "")
        table.add_column(f"{metric} {arrow}\n{imputer or ' '}", justify="right", no_wrap=True)
    for method in methods:
        table.add_row(method, *(_cell(cells[column], method) for column in columns))
    table.add_section()
    table.add_row(Text("chance", style="dim"), *(_chance(cells[column]) for column in columns))
    return table


def _column(part: pd.DataFrame, column: tuple[str, str]) -> pd.DataFrame:
    metric, imputer = column
    return part[(part["metric"] == metric) & (part["imputer"].fillna("") == imputer)].set_index("method")


def _cell(column: pd.DataFrame, method: str) -> Text:
    if method not in column.index or pd.isna(column.loc[method, "mean"]):
        return Text("undefined", style="dim")
    row = column.loc[method]
    best = column["mean"].max() if row["direction"] == "high" else column["mean"].min()
    interval = "" if pd.isna(row["low"]) else f" [{_short(row['low'])}, {_short(row['high'])}]"
    return Text.assemble((_short(row["mean"]), "bold" if row["mean"] == best else ""), (interval, "dim"))


def _chance(column: pd.DataFrame) -> Text:
    level = column["chance"].mean()
    return Text("see random" if pd.isna(level) else f"{level:.2f}", style="dim")


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-0.", "-.").removeprefix("0") if abs(value) < 1 else f"{value:.2f}"
