"""leaderboard.csv: one row for each subset, method and metric, with interval, chance, best control and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.bootstrap import Interval, intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.above_chance import Nulls, above_chance
from attrib.benchmarks.tables.differences import (
    Pair,
    against_controls,
    beats_every_control,
    best_controls,
    gains,
    paired,
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
            pairs = against_controls(scores, context.roles.controls)
            compared = paired(scores, pairs, context.resampling)
            board = described(scores, context, (pairs, compared))
            tests = beats_every_control(compared, context.roles.bounds, context.metrics.primary)
            board = board.merge(tests, how="left", on=KEYS)
            differences.append(compared.assign(subset=subset))
        for kind, values in above_chance(scores, nulls, context.resampling).items():
            board[f"p_{kind}"] = values
        rows.append(board.assign(subset=subset))
    return _joined(rows, COLUMNS), _joined(differences, ["subset", *differences[0].columns.drop("subset")])


def described(
    scores: Matrix, context: Context, known: tuple[Sequence[Pair], pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Return one row for each column of `scores`: interval, chance, best control, and the difference to that.

    `known`: pairs and their differences, where they are computed already.
    """
    means = _means(scores, context)
    values = means["mean"].to_numpy(np.float64)
    best = best_controls(scores, values, context.roles.controls)
    pairs = [Pair(index, best[column])
             for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
             if column in best and method not in context.roles.controls]  # fmt: skip
    if known is None:
        found = gains(scores, pairs, context.resampling)
    else:
        places = {pair: place for place, pair in enumerate(known[0])}
        found = known[1].iloc[[places[pair] for pair in pairs]]
    names = {"low": "difference_low", "high": "difference_high"}
    table = found.rename(columns=names)[["control", "difference", *names.values()]]
    table.insert(1, "control_mean", values[[pair.control for pair in pairs]])
    return means.join(table.set_index(pd.Index([pair.method for pair in pairs], dtype="int64")))


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)


def _means(scores: Matrix, context: Context) -> pd.DataFrame:
    """Interval, chance and number of undefined values of every column, in the columns' order."""
    names = pd.DataFrame(scores.columns, columns=Column._fields).assign(method=scores.methods)
    ends = pd.DataFrame(intervals(scores.totals(scores.values), context.resampling), columns=Interval._fields)
    table = names.join(ends).assign(chance=scores.totals(scores.chances).mean(), undefined=scores.undefined)
    order = [*KEYS, "direction", "mean", "low", "high", "chance", "videos", "undefined"]
    return table[order].astype({"method": "str", "metric": "str", "imputer": "string", "direction": "str"})
