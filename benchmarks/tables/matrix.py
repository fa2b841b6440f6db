"""The long table of results as a matrix: a row for each sample, a column for each metric, imputer and method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.totals import Totals, totals

ALL, MACRO, TASK = "all", "macro", "task: "
FLAGS = ("correct", "gated", "vision")  # boolean columns of the results; each is a subset
EVEN = 0.001  # added to .999 of a ratio before its logarithm, as `log2_lift` does: a ratio of 0 has -10 bits


class Column(NamedTuple):
    """Column of a leaderboard: a metric and its imputer, None where it has none."""

    metric: str
    imputer: str | None
    direction: str = ""  # `high` or `low`: which values are better; empty where that is not known

    @property
    def title(self) -> str:
        """Name for readers, such as `srg (blur)`."""
        return f"{self.metric} ({self.imputer})" if self.imputer else self.metric

    @property
    def sign(self) -> float:
        """Factor that makes high values the better ones: -1 where low values are the better ones, else 1."""
        return -1.0 if self.direction == "low" else 1.0

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of this metric and imputer."""
        imputers = rows["imputer"]
        return rows[(rows["metric"] == self.metric) & (imputers == self.imputer if self.imputer else imputers.isna())]


def columns_of(rows: pd.DataFrame) -> list[Column]:
    """Return each row's column; its direction is that of the column `direction`, where the table has one."""
    directions = rows["direction"].tolist() if "direction" in rows else [""] * len(rows)
    imputers = rows["imputer"].astype("object").where(rows["imputer"].notna(), None)
    return [Column(*names) for names in zip(rows["metric"], imputers, directions, strict=True)]


@dataclass(frozen=True, eq=False)
class Matrix:
    """`values` and `chances` (samples, columns), NaN where undefined or missing; rows sorted by video and sample.

    Column i holds the values of `columns[i]` for the method `methods[i]`. `rows` (samples, columns) is the table's row
    of each value, -1 where it has none. `by_task`: a column's mean is the mean over tasks, not over samples. `ratios`:
    metrics whose differences are tested on the logarithm.
    """

    values: Floats
    chances: Floats
    rows: NDArray[np.int64]
    columns: tuple[Column, ...]
    methods: tuple[str, ...]
    samples: tuple[str, ...]
    videos: tuple[str, ...]
    tasks: tuple[str, ...]
    by_task: bool = False
    ratios: frozenset[str] = frozenset()

    @cached_property
    def tested(self) -> Floats:
        """(samples, columns) values whose differences are tested: those of a ratio in bits."""
        is_ratio = np.array([column.metric in self.ratios for column in self.columns], bool)
        values = self.values.copy()
        values[:, is_ratio] = np.log2((1 - EVEN) * values[:, is_ratio] + EVEN)
        return values

    @cached_property
    def signs(self) -> Floats:
        """(columns,) 1 where high values are the better ones, -1 where low ones are."""
        return np.array([column.sign for column in self.columns])

    @property
    def indices(self) -> dict[Column, list[int]]:
        """Indices of each leaderboard column, one for each method."""
        indices: dict[Column, list[int]] = {}
        for index, column in enumerate(self.columns):
            indices.setdefault(column, []).append(index)
        return indices

    @cached_property
    def _samples(self) -> NDArray[np.intp]:
        """(table's rows,) index of each row's sample, -1 for rows that are not in the matrix."""
        found = np.full(int(self.rows.max(initial=-1)) + 1, -1)
        at = np.nonzero(self.rows >= 0)
        found[self.rows[at]] = at[0]
        return found

    @property
    def undefined(self) -> NDArray[np.int64]:
        """(columns,) numbers of rows without a value."""
        return np.asarray(((self.rows >= 0) & np.isnan(self.values)).sum(axis=0))

    def totals(self, values: Floats) -> Totals:
        """Sum `values` (samples, any columns) by video, and by task where means are taken over tasks."""
        return totals(values, self.videos, self.tasks if self.by_task else None)

    def take(self, columns: Sequence[int]) -> Matrix:
        """Select columns."""
        names = tuple(self.columns[index] for index in columns)
        return replace(
            self, values=self.values[:, columns], chances=self.chances[:, columns], rows=self.rows[:, columns],
            columns=names, methods=tuple(self.methods[index] for index in columns),
        )  # fmt: skip

    def parts(self, columns: int) -> list[list[int]]:
        """Indices of about so many columns at a time, those of one metric and imputer together."""
        parts: list[list[int]] = [[]]
        for indices in self.indices.values():
            if len(parts[-1]) >= columns:
                parts.append([])
            parts[-1].extend(indices)
        return [sorted(part) for part in parts]

    def of_rows(self, chosen: NDArray[np.bool_], by_task: bool = False) -> Matrix:
        """Return the matrix of the chosen rows of the table (rows,); columns in the order of their first one."""
        some = np.zeros(len(self.samples) + 1, bool)  # the last for rows that are not in the matrix
        some[self._samples[chosen[: len(self._samples)]]] = True
        rows = np.flatnonzero(some[:-1])
        of_rows = self.rows[rows]
        kept = (of_rows >= 0) & np.append(chosen, False)[of_rows]
        first = np.where(kept, of_rows, len(chosen)).min(axis=0, initial=len(chosen))
        columns = np.argsort(first, kind="stable")[: int(kept.any(axis=0).sum())]
        part, kept = np.ix_(rows, columns), kept[:, columns]
        samples, videos, tasks = (tuple(of[row] for row in rows) for of in (self.samples, self.videos, self.tasks))
        return Matrix(
            np.where(kept, self.values[part], np.nan), np.where(kept, self.chances[part], np.nan),
            np.where(kept, self.rows[part], -1), tuple(self.columns[index] for index in columns),
            tuple(self.methods[index] for index in columns), samples, videos, tasks, by_task, self.ratios,
        )  # fmt: skip


def matrix(rows: pd.DataFrame, metrics: MetricRoles) -> Matrix:
    """Return the scored `rows` of results as a matrix; columns in the order of their first row."""
    at, samples = _codes(rows, ["video", "sample"], sort=True)
    index, columns = _codes(rows, ["metric", "imputer", "method"], sort=False)
    shape = len(samples), len(columns)

    def placed(values: NDArray[Any], missing: Any) -> NDArray[Any]:
        result = np.full(shape, missing, values.dtype)
        result[at, index] = values
        return result

    nothing = np.full(len(rows), np.nan)
    values, chances = (
        rows[name].to_numpy(np.float64, na_value=np.nan) if name in rows else nothing for name in ("value", "chance")
    )
    named = [
        Column(metric, imputer, metrics.directions.get(metric, ""))
        for metric, imputer in zip(columns["metric"], columns["imputer"], strict=True)
    ]
    texts = (
        tuple(map(str, each)) for each in (columns["method"], samples["sample"], samples["video"], samples["task"])
    )
    methods, names, videos, tasks = texts
    return Matrix(
        placed(values, np.nan), placed(chances, np.nan), placed(np.arange(len(rows)), -1), tuple(named), methods, names,
        videos, tasks, ratios=metrics.ratios,
    )  # fmt: skip


def _codes(rows: pd.DataFrame, names: list[str], sort: bool) -> tuple[NDArray[np.intp], pd.DataFrame]:
    """Return each row's index among the different combinations of `names`, and the first row of each.

    Sorted, or in the order of these first rows.
    """
    code = np.zeros(len(rows), np.int64)
    for name in names:
        own, different = pd.factorize(rows[name], sort=True)
        code = code * (len(different) + 1) + own + 1
    which, _ = pd.factorize(code, sort=sort)
    first = np.zeros(int(which.max(initial=-1)) + 1, np.intp)
    first[which[::-1]] = np.arange(len(rows))[::-1]
    found = rows.iloc[first][[name for name in (*names, "task") if name in rows]].astype("object")
    return which, found.where(found.notna(), None).fillna({"task": ""})


def scored(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that carry a score, without those of failed items."""
    return results[(results["metric"].notna() & (results["metric"] != "")).astype(bool)]


def subsets(results: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield `all`, `macro` (the same rows), `correct`, `gated` and `vision` if the results have them, and each task.

    Each with which rows it has.
    """
    yield ALL, np.ones(len(results), bool)
    yield MACRO, np.ones(len(results), bool)
    for flag in FLAGS:
        if flag in results:
            yield flag, results[flag].fillna(False).to_numpy(bool)
    which, tasks = pd.factorize(results["task"], sort=True)
    for index, task in enumerate(tasks):
        yield f"{TASK}{task}", which == index
