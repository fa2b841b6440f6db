"""The long table of results as a matrix: a row for each sample, a column for each metric, imputer and method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.bootstrap import Floats, Totals, totals

ALL, MACRO, TASK = "all", "macro", "task: "
FLAGS = ("correct", "gated", "vision")  # boolean columns of the results; each is a subset
EVEN = 0.001  # added to .999 of a ratio before its logarithm, as `log2_lift` does: a ratio of 0 has -10 bits
COLUMNS_AT_ONCE = 128  # bounds the memory of what is computed for many columns


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

    Column i holds the values of `columns[i]` for the method `methods[i]`. `by_task`: a column's mean is the mean over
    tasks, not over samples. `ratios`: metrics whose differences are tested on the logarithm.
    """

    values: Floats
    chances: Floats
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

    def totals(self, values: Floats) -> Totals:
        """Sum `values` (samples, any columns) by video, and by task where means are taken over tasks."""
        return totals(values, self.videos, self.tasks if self.by_task else None)

    def each(self, values: Floats, function: Callable[[Totals], Sequence[Any] | Floats]) -> list[Any]:
        """Apply `function` to the totals of `values`, some columns at a time; one result for each column."""
        starts = range(0, values.shape[1], COLUMNS_AT_ONCE)
        return [
            result
            for at in starts
            for result in function(self.totals(np.ascontiguousarray(values[:, at : at + COLUMNS_AT_ONCE])))
        ]


def matrix(rows: pd.DataFrame, metrics: MetricRoles, by_task: bool = False) -> Matrix:
    """Return the scored `rows` of results as a matrix; columns in the order of their first row."""
    keys = [*zip(rows["video"].tolist(), rows["sample"].tolist(), strict=True)]
    tasks = dict(zip(reversed(keys), reversed(rows["task"].fillna("").tolist()), strict=True))  # that of the first row
    order = {key: index for index, key in enumerate(sorted(tasks))}
    plain, directions = columns_of(rows[["metric", "imputer"]]), dict(metrics.directions)
    directed = {column: column._replace(direction=directions.get(column.metric, "")) for column in dict.fromkeys(plain)}
    names = [(directed[column], method) for column, method in zip(plain, rows["method"].tolist(), strict=True)]
    columns = {name: index for index, name in enumerate(dict.fromkeys(names))}
    places = [order[key] for key in keys], [columns[name] for name in names]

    def placed(name: str) -> Floats:
        values = np.full((len(order), len(columns)), np.nan)
        values[places] = rows[name].to_numpy(np.float64, na_value=np.nan) if name in rows else np.nan
        return values

    return Matrix(
        placed("value"), placed("chance"),
        tuple(column for column, _ in columns), tuple(str(method) for _, method in columns),
        tuple(str(sample) for _, sample in order), tuple(str(video) for video, _ in order),
        tuple(str(tasks[key]) for key in order), by_task, metrics.ratios,
    )  # fmt: skip


def scored(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that carry a score, without those of failed items."""
    return results[results["metric"].fillna("") != ""]


def subsets(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield `all`, `macro` (the same rows), `correct`, `gated` and `vision` if the results have them, and each task."""
    yield ALL, results
    yield MACRO, results
    for flag in FLAGS:
        if flag in results:
            yield flag, results[results[flag].fillna(False).astype(bool)]
    for task, rows in results.groupby("task", sort=True):
        yield f"{TASK}{task}", rows
