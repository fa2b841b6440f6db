"""Numbers of a finished run for figures, notebook and report; each is a row of the run's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.roles import Roles, RowKind
from attrib.benchmarks.tables.generality import LEAST_PARTNERS, middle_chance
from attrib.benchmarks.tables.matrix import Column, columns_of, scored
from attrib.benchmarks.tables.tally import Tally, tally
from attrib.errors import InputError

KINDS: tuple[RowKind, ...] = get_args(RowKind)
ALIGNMENT = ("object_auc", "shuffled_auc", "segment_shuffled_auc")  # primary metrics; the first with values leads
MOST_COLUMNS = 4


class Share(NamedTuple):
    """A share of a task's videos: its column in tasks.csv, its chance level, and its meaning in words."""

    column: str
    chance: float
    words: str


@dataclass(frozen=True, eq=False)
class Numbers:
    """Tables of a finished run for export. Selects and sorts rows, and computes no new results."""

    run: FinishedRun

    @property
    def roles(self) -> Roles:
        """Roles of the methods: method, control or upper bound."""
        return self.run.roles

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Texts from the data and the settings that figures draw: tasks and methods."""
        return (*self.run.results["task"].fillna("").astype(str).unique(), *self.run.settings.methods)

    @cached_property
    def tally(self) -> Tally:
        """Counts of samples and of correct answers."""
        return tally(self.run.results)

    @cached_property
    def videos(self) -> int:
        """Number of videos in the results."""
        return int(self.run.results["video"].nunique())

    @cached_property
    def tasks(self) -> int:
        """Number of tasks in the results."""
        return int(self.run.results["task"].nunique())

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """Rows of the leaderboard over all questions. Raises InputError if columns are missing."""
        table = self.run.table("leaderboard")
        wanted = {"subset", "method", "metric", "imputer", "mean", "low", "high", "chance", "videos", "control",
                  "control_mean", "difference", "difference_low", "difference_high"}  # fmt: skip
        missing = sorted(wanted.difference(() if table is None else table.columns))
        if table is None or missing:
            raise InputError(f"{self.run.directory}: leaderboard.csv lacks the columns {', '.join(missing)}")
        return table[table["subset"] == "all"]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Primary metrics with values, under the first imputer; without any, the first MOST_COLUMNS metrics."""
        known = self.leaderboard.dropna(subset="mean")
        names = list(dict.fromkeys(known["metric"]))
        chosen = [name for name in self.run.metrics.primary if name in names] or names[:MOST_COLUMNS]
        return tuple(self._column(columns_of(known[known["metric"] == name])) for name in chosen)

    def _column(self, columns: list[Column]) -> Column:
        """Column of the imputer that the run's settings name first."""
        imputers = self.run.settings.imputers
        return next((one for name in imputers for one in columns if one.imputer == name), columns[0])

    @cached_property
    def alignment(self) -> Column | None:
        """First primary alignment metric with values, by which examples are selected."""
        found = {column.metric: column for column in self.columns}
        return next((found[name] for name in ALIGNMENT if name in found), None)

    @cached_property
    def faithfulness(self) -> Column | None:
        """Column of `srg`; None if it has no values."""
        return next((column for column in self.columns if column.metric == "srg"), None)

    def kind(self, method: str) -> RowKind:
        """Kind of a row: method, control or bound."""
        return self.roles.kind(method)

    @cached_property
    def places(self) -> dict[str, int]:
        """Index of each method within its kind, in the order of the settings; it determines the colour."""
        counts = dict.fromkeys(KINDS, 0)
        found = {}
        for method in self.run.settings.methods:
            kind = self.kind(method)
            found[method] = counts[kind]
            counts[kind] += 1
        return found

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Methods, then controls, then bounds, each sorted by mean rank over the columns, best first."""
        ranks = []
        for column in self.columns:
            means = self.of(column)["mean"]
            ranks.append(means.rank(ascending=column.direction == "low", na_option="bottom"))
        mean = pd.concat(ranks, axis=1).mean(axis=1) if ranks else pd.Series(dtype=np.float64)
        methods = list(self.run.settings.methods)
        return tuple(sorted(methods, key=lambda name: (KINDS.index(self.kind(name)), mean.get(name, np.inf))))

    def of(self, column: Column) -> pd.DataFrame:
        """Leaderboard rows of one column, indexed by method."""
        return column.of(self.leaderboard).set_index("method")

    def leading(self, column: Column | None, count: int = 1) -> list[str]:
        """Methods (no controls or bounds) with the best means of a column."""
        if column is None:
            return [name for name in self.order if self.kind(name) == "method"][:count]
        rows = self.of(column).dropna(subset="mean")
        rows = rows[[self.kind(str(name)) == "method" for name in rows.index]]
        return list(rows.sort_values("mean", ascending=column.direction == "low", kind="stable").index[:count])

    def best_control(self, column: Column | None) -> str | None:
        """Control with the best mean of a column; None without one."""
        rows = self.of(column).dropna(subset="control") if column else pd.DataFrame()
        return None if rows.empty else str(rows["control"].iloc[0])

    @cached_property
    def task_rows(self) -> pd.DataFrame | None:
        """Rows of tasks.csv, with missing texts as ""; None if the run has no such table."""
        table = self.run.table("tasks")
        shares = {f"{name}{end}" for name in ("beats", "above") for end in ("", "_low", "_high")}
        wanted = {"kind", "group", "split", "method", "metric", "imputer", "null", "partners", "beats_chance", "videos",
                  "mean", "low", "high", "chance", "control", "control_mean", "difference", "difference_low",
                  "difference_high", *shares}  # fmt: skip
        if table is None or not wanted.issubset(table.columns):
            return None
        texts = {name: _text(table[name]) for name in ("kind", "group", "split", "null")}
        return table.assign(**texts)

    def generality(self, column: Column, kind: str = "task") -> pd.DataFrame:
        """Rows of tasks.csv of one metric and all answers, tested against other videos' annotation; may be empty."""
        rows = self.task_rows
        if rows is None:
            return pd.DataFrame()
        part = rows[(rows["kind"] == kind) & (rows["split"] == "all") & (rows["metric"] == column.metric)]
        return part[part["null"].isin(["pairing", ""]) & part["above"].notna()].reset_index(drop=True)

    def share(self, rows: pd.DataFrame) -> Share:
        """`beats` if the maps have enough partner videos for a significance test; else `above`."""
        if len(rows) and rows["partners"].median() >= LEAST_PARTNERS:
            return Share("beats", float(rows["beats_chance"].mean()), "p ≤ .05 within the video")
        chance = float(middle_chance(rows["partners"].to_numpy(np.float64)).mean()) if len(rows) else 0.5
        return Share("above", chance, "above the median of its null")

    @cached_property
    def chosen(self) -> tuple[Column, ...]:
        """Columns with generality rows: first ALIGNMENT, then the others."""
        there = [column for column in self.columns if not self.generality(column).empty]
        return tuple(sorted(there, key=lambda column: [*ALIGNMENT, column.metric].index(column.metric)))

    def values(self, column: Column, methods: Sequence[str]) -> pd.DataFrame:
        """Defined results of a column for these methods: sample, video, task, method, value."""
        rows = column.of(scored(self.run.results))
        return rows[rows["method"].isin(methods) & rows["value"].notna()]

    @cached_property
    def seconds(self) -> pd.Series:
        """Median seconds to compute a map, by method."""
        return self.run.results.groupby("method")["seconds"].median()


def _text(column: pd.Series) -> pd.Series:
    """Column as text, with "" for missing values."""
    return column.astype("object").fillna("").astype(str)
