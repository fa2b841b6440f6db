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
from attrib.commands.terminal.stacking import StackedColumn, shortened, stacked

ARROWS = {"high": "↑", "low": "↓"}
MOST_TABLES = 4  # stacked; further columns are in leaderboard.csv only
HEADER = 15  # most characters in a line of a column's name
RULED = 2  # rows set apart: chance, best control
MARK = f"* beats every control: sign flips of whole videos, Holm over the primary metrics, p < {ALPHA:.2g}."


class Board(NamedTuple):
    """Tables of one subset, none where it has no row, and notes that explain their marks and name what is left out."""

    tables: list[Table]
    notes: list[str]


def board_of(rows: pd.DataFrame, subset: str, primary: Sequence[str], width: int) -> Board:
    """Return tables of one subset for a terminal of `width` characters, the primary metrics first, four tables at most.

    `rows` are those of leaderboard.csv. The `gated` subset has only metrics without an imputer: the gate asks whether
    the evidence is ground truth for the model, which metrics that remove parts of the video do not assume.
    """
    rows = rows[rows["subset"] == subset]
    rows = rows[rows["imputer"].isna()] if subset == "gated" else rows
    beside = [name for label in primary for name in (label, corrected_label(label))]
    order = {name: index for index, name in enumerate(beside)}
    names = sorted(dict.fromkeys(columns_of(rows)), key=lambda column: order.get(column.metric, len(order)))
    methods = list(dict.fromkeys(rows["method"]))
    stack = stacked("method", _names(methods), [_Cells.of(rows, name).column(methods) for name in names], width, RULED)
    shown = stack[:MOST_TABLES]
    hidden = names[sum(len(table.columns) - 1 for table in shown) :]
    return Board(shown, _notes(rows, hidden))


def _names(methods: Sequence[str]) -> list[Text]:
    return [*(Text(method) for method in methods), Text("chance", style="dim"), Text("best control", style="dim")]


class _Cells(NamedTuple):
    """A column of the leaderboard with its rows by method."""

    name: Column
    rows: pd.DataFrame

    @staticmethod
    def of(rows: pd.DataFrame, name: Column) -> _Cells:
        return _Cells(name, name.of(rows).set_index("method"))

    @property
    def header(self) -> list[str]:
        """The metric's name in lines, broken after underscores, with its direction; then the imputer."""
        lines = [""]
        for piece in re.findall("[^_]*_?", self.name.metric):
            if lines[-1] and len(lines[-1] + piece) > HEADER:
                lines.append("")
            lines[-1] += piece
        arrow = ARROWS.get(self.name.direction, "")
        lines = [*lines[:-1], f"{lines[-1]} {arrow}".strip(), *([self.name.imputer] if self.name.imputer else [])]
        return [line + " " for line in lines]  # over the numbers, which a mark may follow

    def column(self, methods: Sequence[str]) -> StackedColumn:
        """Column for a terminal: a cell for each method, then chance and the best control, as wide as the numbers."""
        header, cells = self.header, [*(self._cell(method) for method in methods), self._chance()]
        room = max(HEADER, *map(len, header), *map(len, cells))
        return StackedColumn(header, [*cells, self._control(room)], gap=1)  # a cell ends with a mark or a blank

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

    def _control(self, room: int) -> Text:
        known = self.rows.dropna(subset="control")
        if known.empty:
            return Text("")
        number = _short(known["control_mean"].iloc[0])
        return Text(f"{number} {shortened(known['control'].iloc[0], room - len(number) - 2)} ", style="dim")


def _notes(rows: pd.DataFrame, hidden: Sequence[Column]) -> list[str]:
    notes = [MARK] if (rows["p_holm"] < ALPHA).any() else []
    if hidden:
        notes.append(f"Not shown, in leaderboard.csv: {', '.join(dict.fromkeys(name.metric for name in hidden))}.")
    return notes


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-0.", "-.").removeprefix("0") if abs(value) < 1 else f"{value:.2f}"
