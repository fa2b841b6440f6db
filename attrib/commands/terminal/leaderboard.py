"""Leaderboard for a terminal: methods down, metrics across, chance and the best control under each column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from rich.table import Table
from rich.text import Text

from attrib.benchmarks.jobs.roles import corrected_label
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.tables.matrix import Column, columns_of

ARROWS = {"high": "↑", "low": "↓"}
MOST_TABLES = 4  # stacked; further columns are in leaderboard.csv only
HEADER = 15  # most characters in a line of a column's name
MARK = f"* beats every control: sign flips of whole videos, Holm over the primary metrics, p < {ALPHA:.2g}."


def tables(board: pd.DataFrame, subset: str, primary: Sequence[str], width: int) -> list[Table]:
    """Return tables of one subset for a terminal of `width` characters, the primary metrics first, four tables at most.

    The caption of the last one explains the marks and names the metrics that are not shown. The `gated` subset has only
    metrics without an imputer: the gate asks whether the evidence is ground truth for the model, which metrics that
    remove parts of the video do not assume.
    """
    rows = board[board["subset"] == subset]
    rows = rows[rows["imputer"].isna()] if subset == "gated" else rows
    beside = [name for label in primary for name in (label, corrected_label(label))]
    order = {name: index for index, name in enumerate(beside)}
    names = sorted(dict.fromkeys(columns_of(rows)), key=lambda column: order.get(column.metric, len(order)))
    columns = [_Cells.of(rows, column) for column in names]
    methods = list(dict.fromkeys(rows["method"]))
    groups = _fitting(columns, methods, width - max((len(method) for method in [*methods, "best control"]), default=0))
    shown = [_table(methods, group) for group in groups[:MOST_TABLES]]
    if shown:
        shown[-1].caption = _caption(rows, [column for group in groups[MOST_TABLES:] for column in group])
        shown[-1].caption_justify = "left"
    return shown


class _Cells(NamedTuple):
    """A column of the leaderboard with its rows by method."""

    column: Column
    rows: pd.DataFrame

    @staticmethod
    def of(rows: pd.DataFrame, column: Column) -> _Cells:
        return _Cells(column, column.of(rows).set_index("method"))

    @property
    def header(self) -> list[str]:
        """The metric's name in lines, broken after underscores, with its direction; then the imputer."""
        lines = [""]
        for piece in re.findall("[^_]*_?", self.column.metric):
            if lines[-1] and len(lines[-1] + piece) > HEADER:
                lines.append("")
            lines[-1] += piece
        arrow = ARROWS.get(self.column.direction, "")
        return [*lines[:-1], f"{lines[-1]} {arrow}".strip(), *([self.column.imputer] if self.column.imputer else [])]

    def cells(self, methods: Sequence[str]) -> list[Text]:
        """Cells of the column, from the first method to the best control."""
        return [*(self._cell(method) for method in methods), self._chance(), self._control()]

    def width(self, methods: Sequence[str]) -> int:
        """Width in characters of the widest cell, header included, plus the gap before it."""
        return 2 + max(*(len(line) for line in self.header), *(len(cell) for cell in self.cells(methods)))

    def _cell(self, method: str) -> Text:
        if method not in self.rows.index or pd.isna(self.rows.loc[method, "mean"]):
            return Text("undefined", style="dim")
        row = self.rows.loc[method]
        best = self.rows["mean"].max() if row["direction"] == "high" else self.rows["mean"].min()
        interval = "" if pd.isna(row["low"]) else f" [{_short(row['low'])}, {_short(row['high'])}]"
        mark = "*" if row["p_holm"] < ALPHA else " "
        return Text.assemble((_short(row["mean"]), "bold" if row["mean"] == best else ""), (interval, "dim"), mark)

    def _chance(self) -> Text:
        level = self.rows["chance"].mean()
        return Text("see random " if pd.isna(level) else f"{_short(level)} ", style="dim")

    def _control(self) -> Text:
        known = self.rows.dropna(subset="control")
        if known.empty:
            return Text("")
        return Text(f"{_short(known['control_mean'].iloc[0])} {known['control'].iloc[0]} ", style="dim")


def _fitting(columns: Sequence[_Cells], methods: Sequence[str], room: int) -> list[list[_Cells]]:
    """Group the columns so that groups are at most `room` characters wide, or hold a single column."""
    groups: list[list[_Cells]] = []
    left = 0
    for column in columns:
        wide = column.width(methods)
        if not groups or wide > left:
            groups.append([])
            left = room
        groups[-1].append(column)
        left -= wide
    return groups


def _table(methods: Sequence[str], columns: Sequence[_Cells]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    for column in columns:
        table.add_column("\n".join(line + " " for line in column.header), justify="right", no_wrap=True)
    names = [*(Text(method) for method in methods), Text("chance", style="dim"), Text("best control", style="dim")]
    for index, row in enumerate(zip(names, *(column.cells(methods) for column in columns), strict=True)):
        table.add_row(*row, end_section=index == len(methods) - 1)
    return table


def _caption(rows: pd.DataFrame, hidden: Sequence[_Cells]) -> Text:
    lines = [MARK] if rows["p_holm"].notna().any() else []
    if hidden:
        lines.append(
            f"Not shown, in leaderboard.csv: {', '.join(dict.fromkeys(cells.column.metric for cells in hidden))}."
        )
    return Text("\n".join(lines), style="dim")


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-0.", "-.").removeprefix("0") if abs(value) < 1 else f"{value:.2f}"
