"""Two models on the same questions: whether they rank the methods alike, and which verdicts both give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import LEVEL
from attrib.benchmarks.stats.ranking import rank_correlation
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.matrix import Column, matrix, scored
from tools.reference.scores import ReferenceRun
from tools.reference.text import heading, interval, listed
from tools.reference.text import table as lines_of


class Correlation(NamedTuple):
    """Spearman's correlation of the methods' means with two models, and its interval over videos."""

    statistic: float
    low: float
    high: float
    methods: int


def correlation(one: ReferenceRun, other: ReferenceRun, column: Column) -> Correlation:
    """Correlate the means of the methods, without controls, that both runs have a value for.

    Percentile bootstrap: each draw of videos is the same for both models. NaN below three methods, ends below two
    videos.
    """
    rows = pd.concat([_rows(run, column, index) for index, run in enumerate((one, other))], ignore_index=True)
    scores = matrix(rows, one.run.metrics)
    places = {name: place for place, name in enumerate(scores.methods)}
    shared = [method for method in one.methods if all(f"{method}\n{index}" in places for index in (0, 1))]
    first, second = ([places[f"{method}\n{index}"] for method in shared] for index in (0, 1))
    data = scores.totals(scores.values)
    means = data.mean()
    statistic, _, methods = rank_correlation(means[first], means[second])
    settings = one.run.settings
    draws = [
        rank_correlation(draw[first], draw[second])[0]
        for counts in Resampling(settings.resamples, settings.seed).counts(data.count)
        for draw in data.means(counts.astype(np.float64)).T
    ]
    known = np.array(draws)[~np.isnan(draws)]
    if data.count < 2 or not len(known):
        return Correlation(statistic, np.nan, np.nan, methods)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Correlation(statistic, low, high, methods)


def _rows(one: ReferenceRun, column: Column, index: int) -> pd.DataFrame:
    """Scores of the run's methods on a column; methods are named METHOD, a line break and the run's index."""
    rows = column.of(scored(one.run.results))
    rows = rows[rows["method"].isin(one.methods)]
    return rows.assign(method=rows["method"].astype(str) + f"\n{index}")


def shared_columns(one: ReferenceRun, other: ReferenceRun) -> list[Column]:
    """Primary metrics on which methods were tested with both models."""
    return [column for column in one.columns if column in other.columns]


def correlations(one: ReferenceRun, other: ReferenceRun) -> list[str]:
    """Table of the rank correlations of the primary metrics."""
    rows = []
    for column in shared_columns(one, other):
        found = correlation(one, other, column)
        rows.append([heading(column), str(found.methods), interval(*found[:3])])
    return lines_of(["metric", "methods", "Spearman"], rows)


def verdicts(one: ReferenceRun, other: ReferenceRun) -> list[str]:
    """Table of which methods beat every control with both models, one of them, or neither."""
    rows = [[heading(column), *map(listed, split(one, other, column))] for column in shared_columns(one, other)]
    alone = [f"with `{run.model}` alone" for run in (one, other)]
    return lines_of(["metric", "with both", *alone, "with neither"], rows, texts=5)


def split(one: ReferenceRun, other: ReferenceRun, column: Column) -> Iterator[list[str]]:
    """Yield the methods that beat every control with both models, with the first or second alone, and with neither."""
    here, there = one.of(column)["beats"], other.of(column)["beats"]
    shared = [method for method in here.index if method in there.index]
    for wanted in ((True, True), (True, False), (False, True), (False, False)):
        yield [method for method in shared if (here[method], there[method]) == wanted]
