"""differences.csv: every method minus every control on the same samples, with tests and the videos needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import Interval, intervals
from attrib.benchmarks.stats.multiple import holm
from attrib.benchmarks.stats.permutation import sign_flip, spread, videos_needed
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import Totals, differences
from attrib.benchmarks.tables.matrix import Column, Matrix

KEYS = ["metric", "imputer", "method"]
COLUMNS = [*KEYS, "control", "difference", "low", "high", "p", "videos", "dropped", "sd", "videos_needed"]


class Pair(NamedTuple):
    """Indices of two columns of a matrix, of one metric and imputer."""

    method: int
    control: int


def against_controls(scores: Matrix, controls: frozenset[str]) -> list[Pair]:
    """Pair every column that is no control with every control's column of the same metric and imputer."""
    rivals: dict[Column, list[int]] = {}
    for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True)):
        if method in controls:
            rivals.setdefault(column, []).append(index)
    return [
        Pair(index, rival)
        for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
        if method not in controls
        for rival in rivals.get(column, ())
    ]


@dataclass(frozen=True, eq=False)
class Gains:
    """Differences of pairs of a matrix's columns, positive where the method is better; `own`: totals of the columns."""

    scores: Matrix
    pairs: Sequence[Pair]
    own: Totals

    @cached_property
    def data(self) -> Totals:
        """Totals of the differences of the samples that have both values."""
        return self._differences(self.scores.values, self.own)

    def table(self, ends: Sequence[Interval]) -> pd.DataFrame:
        """Return one row for each pair: its names, `difference`, interval and number of videos."""
        table = pd.DataFrame([self._names(pair) for pair in self.pairs], columns=[*KEYS, "control"])
        table["imputer"] = table["imputer"].astype("string")
        names = ["difference", "low", "high", "videos"]
        table[names] = pd.DataFrame(ends, columns=names)
        return table

    def tested(self, ends: Sequence[Interval], resampling: Resampling) -> pd.DataFrame:
        """Return one row of COLUMNS for each pair; see `paired`."""
        table, data = self.table(ends), self.data
        table["dropped"] = len(self.scores.samples) - data.counts.sum(axis=0).astype(np.int64)
        table["sd"] = data.by_columns(spread)
        difference = table["difference"].to_numpy(np.float64)
        if self.scores.ratios:
            data = self._differences(self.scores.tested, self.scores.totals(self.scores.tested))
        table["p"] = np.where(data.mean() * difference < 0, 1.0, sign_flip(data, resampling))
        return table.assign(videos_needed=videos_needed(difference, table["sd"].to_numpy(np.float64)))[COLUMNS]

    def _differences(self, values: Floats, own: Totals) -> Totals:
        one, two = np.array(self.pairs, np.intp).reshape(-1, 2).T
        low = self.scores.signs[one] < 0
        one, two = np.where(low, two, one), np.where(low, one, two)
        return differences(self.scores.totals(values[:, one] - values[:, two]), own, one, two)

    def _names(self, pair: Pair) -> tuple[str, str | None, str, str]:
        column, methods = self.scores.columns[pair.method], self.scores.methods
        return column.metric, column.imputer, methods[pair.method], methods[pair.control]


def paired(scores: Matrix, pairs: Sequence[Pair], resampling: Resampling) -> pd.DataFrame:
    """Return one row for each pair; `difference` is positive where the method is better, in either direction.

    low, high: 95 % interval; p: two-sided sign flips of whole videos, of a ratio's logarithms (1 where their mean
    difference has the other sign); `dropped`: samples that lack either value; `sd`: over videos; `videos_needed`: to
    see this difference with power .8 at alpha .05, two-sided, unadjusted.
    """
    gains = Gains(scores, pairs, scores.totals(scores.values))
    return gains.tested(intervals(gains.data, resampling), resampling)


def beats_every_control(differences: pd.DataFrame, bounds: frozenset[str], primary: Collection[str]) -> pd.DataFrame:
    """Return metric, imputer, method, p and p_holm: one hypothesis for each, that it beats every control.

    p is the largest over the controls (intersection-union, Berger 1982), 1 where one of them is not worse. p_holm:
    Holm over all methods and all columns of the primary metrics; NaN for other metrics and for upper bounds.
    """
    known = differences[differences["p"].notna()]
    known = known.assign(p=known["p"].where(known["difference"] > 0, 1.0))
    result = known.groupby(KEYS, sort=False, dropna=False)["p"].max().reset_index()
    family = result["metric"].isin(primary) & ~result["method"].isin(bounds)
    return result.assign(p_holm=holm(result["p"].where(family).to_numpy(np.float64)))


def best_controls(scores: Matrix, means: Floats, controls: frozenset[str]) -> dict[Column, int]:
    """Return the index of each column's control with the best of the `means`; none where no control has a value."""
    oriented = means * scores.signs
    best: dict[Column, int] = {}
    for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True)):
        if method not in controls or np.isnan(oriented[index]):
            continue
        other = best.get(column)
        if other is None or oriented[index] > oriented[other]:
            best[column] = index
    return best
