"""Finished run of the reference benchmark: its rows over all questions, and which methods beat every control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.tables.compare import require_alike
from attrib.benchmarks.tables.matrix import ALL, Column, columns_of
from attrib.errors import InputError

REQUIRED = {
    "leaderboard": ["subset", "method", "imputer", "mean", "low", "high", "chance", "videos", "control", "difference",
                    "difference_low", "difference_high", "p_holm"],
    "differences": ["subset", "metric", "imputer", "method", "control", "sd", "videos"],
    "ranks": ["metric", "imputer", "method", "mean_rank"],
    "agreement": ["kind", "metric", "one", "two", "statistic"],
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReferenceRun:
    """Finished run whose tables have what the page states."""

    run: FinishedRun

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.run.settings.model.name

    @cached_property
    def board(self) -> pd.DataFrame:
        """Rows of leaderboard.csv over all questions, and each row's `column`."""
        board = of_all(self.run, "leaderboard").reset_index(drop=True)
        return board.assign(column=pd.Series(columns_of(board), dtype="object"))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Labels of the methods, without controls and upper bounds, in the settings' order."""
        return tuple(label for label in self.run.settings.methods if self.run.roles.kind(label) == "method")

    @cached_property
    def tested(self) -> pd.DataFrame:
        """Rows of `board` that are hypotheses of Holm's family, and `beats`: better than every control after Holm."""
        rows = self.board[self.board["p_holm"].notna()]
        return rows.assign(beats=rows["p_holm"] < ALPHA)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Primary metrics, each with each imputer, on which methods were tested."""
        return tuple(dict.fromkeys(self.tested["column"]))

    def of(self, column: Column) -> pd.DataFrame:
        """Return the tested rows of a column by method, best mean first."""
        rows = self.tested[[each == column for each in self.tested["column"]]]
        return rows.sort_values("mean", ascending=column.direction == "low", kind="stable").set_index("method")

    def controls(self, column: Column) -> pd.DataFrame:
        """Return differences.csv's rows over all questions of each method of a column and its best control."""
        rows = column.of(of_all(self.run, "differences"))
        best = self.of(column)["control"]
        return rows[rows["control"] == rows["method"].map(best)].set_index("method")


def table(run: FinishedRun, name: str) -> pd.DataFrame:
    """Read NAME.csv of a run. Raises InputError if it is missing or lacks a column."""
    found = run.table(name)
    if found is None:
        raise InputError(f"{run.directory}: lacks {name}.csv; resume the run with `attrib bench`")
    if missing := [column for column in REQUIRED.get(name, ()) if column not in found]:
        raise InputError(f"{run.directory}: {name}.csv lacks the columns {', '.join(missing)}")
    return found


def of_all(run: FinishedRun, name: str) -> pd.DataFrame:
    """Return the rows over all questions of NAME.csv."""
    found = table(run, name)
    return found[found["subset"] == ALL]


def read_all(directories: Sequence[Path]) -> list[ReferenceRun]:
    """Read finished runs of different models on the same questions.

    Raises InputError for none, for a directory without a finished run, for two of one model, and for runs that were
    not asked the same.
    """
    if not directories:
        raise InputError("expected one run directory or more, got none")
    runs: dict[str, ReferenceRun] = {}
    for directory in directories:
        one = ReferenceRun(read(directory))
        if same := runs.get(one.model):
            raise InputError(
                f"expected one run of each model, got two of {one.model}: {same.run.directory} and {directory}"
            )
        for name in REQUIRED:
            table(one.run, name)
        runs[one.model] = one
    first, *others = runs.values()
    for other in others:
        require_alike(first.run, other.run)
    return [first, *others]
