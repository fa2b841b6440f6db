"""Every method against every control on the same samples: differences, tests, and the videos that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import PRIMARY, Floats, intervals
from attrib.benchmarks.stats.permutation import holm, sign_flip, spread, videos_needed
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.matrix import Matrix, signs

KEYS = ["metric", "imputer", "method"]
COLUMNS = [*KEYS, "control", "difference", "low", "high", "p", "videos", "dropped", "sd", "videos_needed"]


class Pair(NamedTuple):
    """Places of two columns of a matrix, of one metric and imputer."""

    method: int
    control: int


def against_controls(found: Matrix, controls: frozenset[str]) -> list[Pair]:
    """Every column that is no control, with every control's column of the same metric and imputer."""
    rivals: dict[tuple[str, str], list[int]] = {}
    for place, column in enumerate(found.columns):
        if column.method in controls:
            rivals.setdefault(column[:2], []).append(place)
    return [
        Pair(place, rival)
        for place, column in enumerate(found.columns)
        if column.method not in controls
        for rival in rivals.get(column[:2], ())
    ]


def paired(found: Matrix, pairs: Sequence[Pair], directions: Mapping[str, str], drawing: Resampling) -> pd.DataFrame:
    """One row for each pair: `difference` is positive where the method is better, whatever the metric's direction.

    low, high: 95 % interval; p: two-sided sign flips of whole videos; `dropped`: samples that lack either value; `sd`:
    over videos; `videos_needed`: to see this difference with power .8 at alpha .05, two-sided, unadjusted.
    """
    columns = [found.columns[pair.method] for pair in pairs]
    away = _away(found, pairs) * signs(columns, directions)
    ends = found.each(away, lambda part: intervals(part, resamples=drawing.resamples, seed=drawing.seed))
    table = pd.DataFrame(columns, columns=KEYS).assign(control=[found.columns[pair.control].method for pair in pairs])
    table[["difference", "low", "high", "videos"]] = pd.DataFrame(ends, columns=["mean", "low", "high", "videos"])
    table["p"] = found.each(away, lambda part: sign_flip(part, drawing.resamples, drawing.seed))
    table["dropped"] = np.isnan(away).sum(axis=0)
    table["sd"] = found.each(away, spread)
    needed = videos_needed(table["difference"].to_numpy(np.float64), table["sd"].to_numpy(np.float64))
    return table.assign(videos_needed=needed)[COLUMNS]


def _away(found: Matrix, pairs: Sequence[Pair]) -> Floats:
    if not pairs:
        return np.empty((len(found.samples), 0))
    one, two = np.array(pairs).T
    return np.asarray(found.values[:, one] - found.values[:, two])


def beats_every_control(differences: pd.DataFrame, bounds: frozenset[str]) -> pd.DataFrame:
    """Columns metric, imputer, method, p and p_holm: one hypothesis for each, that it beats every control.

    p is the largest over the controls (intersection-union, Berger 1982), 1 where one of them is not worse. p_holm:
    Holm over all methods and all columns of the primary metrics; NaN for other metrics and for upper bounds.
    """
    known = differences[differences["p"].notna()]
    known = known.assign(p=known["p"].where(known["difference"] > 0, 1.0))
    result = known.groupby(KEYS, sort=False)["p"].max().reset_index()
    family = result["metric"].isin(PRIMARY) & ~result["method"].isin(bounds)
    return result.assign(p_holm=holm(result["p"].where(family).to_numpy(np.float64)))


def best_controls(found: Matrix, controls: frozenset[str], directions: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """For each metric and imputer the place of the control with the best mean; none where no control has a value."""
    oriented = found.each(found.values * signs(found.columns, directions), lambda part: part.mean())
    best: dict[tuple[str, str], int] = {}
    for place, column in enumerate(found.columns):
        if column.method not in controls or np.isnan(oriented[place]):
            continue
        other = best.get(column[:2])
        if other is None or oriented[place] > oriented[other]:
            best[column[:2]] = place
    return best
