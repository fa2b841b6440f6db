"""leaderboard.csv: one row for each subset, method and metric, with interval, chance, best control and tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.above_chance import Nulls, above_chance
from attrib.benchmarks.tables.differences import Pair, against_controls, beats_every_control, best_controls, paired
from attrib.benchmarks.tables.matrix import MACRO, TASK, Matrix, columns_of, matrix, scored, subsets

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
    rows, differences = [], []
    for subset, part in subsets(scored(results)):
        scores = matrix(part, context.metrics, by_task=subset == MACRO)
        board = described(scores, part, context)
        if not subset.startswith(TASK):
            pairs = paired(scores, against_controls(scores, context.roles.controls), context.resampling)
            tests = beats_every_control(pairs, context.roles.bounds, context.metrics.primary)
            board = board.merge(tests, how="left", on=KEYS)
            differences.append(pairs.assign(subset=subset))
        for kind, values in above_chance(scores, nulls, context.resampling).items():
            board[f"p_{kind}"] = values
        rows.append(board.assign(subset=subset))
    return _joined(rows, COLUMNS), _joined(differences, ["subset", *differences[0].columns.drop("subset")])


def described(scores: Matrix, rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Return one row for each column of `scores`, the matrix of `rows`: interval, chance, best control."""
    return _means(scores, rows, context).join(_against_best(scores, context))


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)


def _means(scores: Matrix, part: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Interval, chance and number of undefined values of every column, in the columns' order."""
    ends = scores.each(scores.values, lambda totals: intervals(totals, context.resampling))
    levels = scores.each(scores.chances, lambda totals: totals.mean())
    missing = Counter(name for name in zip(columns_of(part), part["method"], part["value"].isna(), strict=True))
    rows = [
        {
            "method": method,
            **column._asdict(),
            **ends[index]._asdict(),
            "chance": levels[index],
            "undefined": missing[column._replace(direction=""), method, True],
        }
        for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
    ]
    names = [*KEYS, "direction", "mean", "low", "high", "chance", "videos", "undefined"]
    return pd.DataFrame(rows, columns=names).astype({"imputer": "string"})


def _against_best(scores: Matrix, context: Context) -> pd.DataFrame:
    """Difference of every other column to the control with the best mean, by the column's index."""
    best = best_controls(scores, context.roles.controls)
    pairs = [Pair(index, best[column])
             for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
             if column in best and method not in context.roles.controls]  # fmt: skip
    means = scores.each(scores.values, lambda totals: totals.mean())
    table = paired(scores, pairs, context.resampling)
    table["control_mean"] = [means[pair.control] for pair in pairs]
    table.index = pd.Index([pair.method for pair in pairs], dtype="int64")
    names = {"low": "difference_low", "high": "difference_high"}
    return table.rename(columns=names)[["control", "control_mean", "difference", *names.values()]]
