"""leaderboard.csv: one row for each subset, method and metric, with interval, chance, best control and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.bootstrap import Interval, intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import Totals, joined
from attrib.benchmarks.tables.above_chance import Nulls, above_chance
from attrib.benchmarks.tables.differences import (
    Gains,
    Pair,
    against_controls,
    beats_every_control,
    best_controls,
)
from attrib.benchmarks.tables.matrix import MACRO, TASK, Column, Matrix, matrix, scored, subsets

KEYS = ["method", "metric", "imputer"]
SUBSET = ["subset", *KEYS]
COLUMNS = [
    *SUBSET, "direction", "mean", "low", "high", "chance", "videos", "undefined", "control", "control_mean",
    "difference", "difference_low", "difference_high", "p", "p_holm", "p_pairing", "p_shift",
]  # fmt: skip


@dataclass(frozen=True)
class Context:
    """Roles of the metrics (columns) and methods (rows), and the resampling of intervals and tests."""

    metrics: MetricRoles
    roles: Roles = field(default_factory=Roles)
    resampling: Resampling = field(default_factory=Resampling)


def build(results: pd.DataFrame, nulls: Nulls, context: Context) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the leaderboard, and the differences of every method to every control for all subsets but the tasks.

    Leaderboard: rows of COLUMNS for the subsets `all`, `macro` (mean over tasks), `correct`, `gated`, `vision` and each
    task. low, high: 95 % interval over videos; `undefined`: rows without a value. `difference`: to the best control,
    positive where the method is better. p: that it beats every control, p_holm: after Holm over the primary metrics;
    p_pairing, p_shift: that it beats its own map on annotation of other videos, or shifted in time.
    """
    table = scored(results)
    whole = matrix(table, context.metrics)
    rows, differences = [], []
    for subset, chosen in subsets(table):
        scores = whole.of_rows(chosen, by_task=subset == MACRO)
        if subset.startswith(TASK):
            board = described(scores, context)
        else:
            board, compared = compared_to_all(scores, context)
            tests = beats_every_control(compared, context.roles.bounds, context.metrics.primary)
            board = board.merge(tests, how="left", on=KEYS)
            differences.append(compared.assign(subset=subset))
        for kind, values in above_chance(scores, nulls, context.resampling).items():
            board[f"p_{kind}"] = values
        rows.append(board.assign(subset=subset))
    return _joined(rows, COLUMNS), _joined(differences, ["subset", *differences[0].columns.drop("subset")])


def described(scores: Matrix, context: Context) -> pd.DataFrame:
    """Return one row for each column of `scores`: interval, chance, best control, and the difference to that."""
    own = scores.totals(scores.values)
    gains = Gains(scores, _beside_best(scores, own, context), own)
    ends, gained = _intervals(gains, context)
    return _with_best(_board(gains, ends), gains.pairs, gains.table(gained))


def compared_to_all(scores: Matrix, context: Context) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what `described` does, and the differences of every method to every control; see `differences.paired`."""
    own = scores.totals(scores.values)
    gains = Gains(scores, against_controls(scores, context.roles.controls), own)
    ends, gained = _intervals(gains, context)
    compared = gains.tested(gained, context.resampling)
    places = {pair: place for place, pair in enumerate(gains.pairs)}
    best = _beside_best(scores, own, context)
    return _with_best(_board(gains, ends), best, compared.iloc[[places[pair] for pair in best]]), compared


def _beside_best(scores: Matrix, own: Totals, context: Context) -> list[Pair]:
    """Pair every column that is no control with the best control's."""
    best = best_controls(scores, own.mean(), context.roles.controls)
    return [
        Pair(index, best[column])
        for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
        if column in best and method not in context.roles.controls
    ]


def _intervals(gains: Gains, context: Context) -> tuple[list[Interval], list[Interval]]:
    """Intervals of the columns and of the differences, from the same draws."""
    ends, columns = intervals(joined(gains.own, gains.data), context.resampling), len(gains.scores.columns)
    return ends[:columns], ends[columns:]


def _board(gains: Gains, ends: Sequence[Interval]) -> pd.DataFrame:
    """Interval, chance and number of undefined values of every column, in the columns' order."""
    scores = gains.scores
    names = pd.DataFrame(scores.columns, columns=Column._fields).assign(method=scores.methods)
    table = names.join(pd.DataFrame(ends, columns=Interval._fields))
    table = table.assign(chance=scores.totals(scores.chances).mean(), undefined=scores.undefined)
    order = [*KEYS, "direction", "mean", "low", "high", "chance", "videos", "undefined"]
    return table[order].astype({"method": "str", "metric": "str", "imputer": "string", "direction": "str"})


def _with_best(board: pd.DataFrame, best: Sequence[Pair], differences: pd.DataFrame) -> pd.DataFrame:
    """Add the best control, its mean and the difference to it; `differences` has a row for each pair of `best`."""
    names = {"low": "difference_low", "high": "difference_high"}
    table = differences.rename(columns=names)[["control", "difference", *names.values()]]
    table.insert(1, "control_mean", board["mean"].to_numpy(np.float64)[[pair.control for pair in best]])
    return board.join(table.set_index(pd.Index([pair.method for pair in best], dtype="int64")))


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
