"""The long table of results as a matrix: a row for each sample, a column for each metric, imputer and method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import Floats, Totals, totals

ALL, MACRO, TASK = "all", "macro", "task: "
FLAGS = ("correct", "gated", "vision")  # boolean columns of the results; each is a subset
COLUMNS_AT_ONCE = 128  # bounds the memory of what is computed for many columns


class Column(NamedTuple):
    """One method's values of one metric; `imputer` is empty where the metric has none."""

    metric: str
    imputer: str
    method: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """`values` (samples, columns), NaN where undefined or missing; rows sorted by video and sample.

    `by_task`: a column's mean is the mean over tasks, not over samples.
    """

    values: Floats
    columns: tuple[Column, ...]
    samples: tuple[str, ...]
    videos: tuple[str, ...]
    tasks: tuple[str, ...]
    by_task: bool = False

    def totals(self, values: Floats) -> Totals:
        """Of `values` (samples, any columns), by video, and by task if that is what means are taken over."""
        return totals(values, self.videos, self.tasks if self.by_task else None)

    def each(self, values: Floats, function: Callable[[Totals], Sequence[Any] | Floats]) -> list[Any]:
        """`function` of the totals of `values`, some columns at a time; one result for each column."""
        starts = range(0, values.shape[1], COLUMNS_AT_ONCE)
        return [
            one
            for at in starts
            for one in function(self.totals(np.ascontiguousarray(values[:, at : at + COLUMNS_AT_ONCE])))
        ]


def matrix(results: pd.DataFrame, by_task: bool = False) -> Matrix:
    """The scored rows of `results`; columns in the order of their first row."""
    rows = results.assign(imputer=results["imputer"].fillna("").astype(str))
    places = rows.groupby(["video", "sample"], sort=True).ngroup().to_numpy()
    names = [*zip(rows["metric"], rows["imputer"], rows["method"], strict=True)]
    columns = {name: place for place, name in enumerate(dict.fromkeys(names))}
    firsts = rows[["video", "sample", "task"]].drop_duplicates(["video", "sample"]).sort_values(["video", "sample"])
    values = np.full((len(firsts), len(columns)), np.nan)
    values[places, [columns[name] for name in names]] = rows["value"].to_numpy(np.float64, na_value=np.nan)
    samples, videos, tasks = (tuple(firsts[name].fillna("").astype(str)) for name in ("sample", "video", "task"))
    return Matrix(values, tuple(Column(*name) for name in columns), samples, videos, tasks, by_task)


def scored(results: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of failed items."""
    return results[results["metric"].fillna("") != ""]


def subsets(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """`all`, `macro` (the same rows), `correct`, `gated` and `vision` where the results know them, and every task."""
    yield ALL, results
    yield MACRO, results
    for flag in FLAGS:
        if flag in results:
            yield flag, results[results[flag].fillna(False).astype(bool)]
    for task, part in results.groupby("task", sort=True):
        yield f"{TASK}{task}", part


def signs(columns: Sequence[Column], directions: Mapping[str, str]) -> Floats:
    """1 where a metric's high values are the better ones, -1 where its low ones are."""
    return np.array([-1.0 if directions.get(column.metric) == "low" else 1.0 for column in columns])
