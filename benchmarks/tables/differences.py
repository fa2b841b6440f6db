"""differences.csv: every method minus every control on the same samples, with tests and the videos needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import Floats, intervals
from attrib.benchmarks.stats.multiple import holm
from attrib.benchmarks.stats.permutation import sign_flip, spread, videos_needed
from attrib.benchmarks.stats.resampling import Resampling
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


def paired(scores: Matrix, pairs: Sequence[Pair], resampling: Resampling) -> pd.DataFrame:
    """Return one row for each pair; `difference` is positive where the method is better, in either direction.

    low, high: 95 % interval; p: two-sided sign flips of whole videos, of a ratio's logarithms (1 where their mean
    difference has the other sign); `dropped`: samples that lack either value; `sd`: over videos; `videos_needed`: to
    see this difference with power .8 at alpha .05, two-sided, unadjusted.
    """
    gains = _gains(scores, scores.values, pairs)
    ends = scores.each(gains, lambda totals: intervals(totals, resampling))
    table = pd.DataFrame([_names(scores, pair) for pair in pairs], columns=[*KEYS, "control"])
    table["imputer"] = table["imputer"].astype("string")
    table[["difference", "low", "high", "videos"]] = pd.DataFrame(ends, columns=["mean", "low", "high", "videos"])
    tested = _gains(scores, scores.tested, pairs)
    means = np.array(scores.each(tested, lambda totals: totals.mean()), np.float64)
    p = np.array(scores.each(tested, lambda totals: sign_flip(totals, resampling)), np.float64)
    table["p"] = np.where(means * table["difference"].to_numpy(np.float64) < 0, 1.0, p)
    table["dropped"] = np.isnan(gains).sum(axis=0)
    table["sd"] = scores.each(gains, spread)
    needed = videos_needed(table["difference"].to_numpy(np.float64), table["sd"].to_numpy(np.float64))
    return table.assign(videos_needed=needed)[COLUMNS]


def _names(scores: Matrix, pair: Pair) -> tuple[str, str | None, str, str]:
    column = scores.columns[pair.method]
    return column.metric, column.imputer, scores.methods[pair.method], scores.methods[pair.control]


def _gains(scores: Matrix, values: Floats, pairs: Sequence[Pair]) -> Floats:
    if not pairs:
        return np.empty((len(scores.samples), 0))
    one, two = np.array(pairs).T
    return np.asarray((values[:, one] - values[:, two]) * scores.signs[one])


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


def best_controls(scores: Matrix, controls: frozenset[str]) -> dict[Column, int]:
    """Return the index of each column's control with the best mean; none where no control has a value."""
    oriented = scores.each(scores.values * scores.signs, lambda totals: totals.mean())
    best: dict[Column, int] = {}
    for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True)):
        if method not in controls or np.isnan(oriented[index]):
            continue
        other = best.get(column)
        if other is None or oriented[index] > oriented[other]:
            best[column] = index
    return best
