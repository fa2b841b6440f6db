"""The leaderboard: one row for each subset, method and metric, with interval, chance, best control and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import Roles
from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.above_chance import Nulls, above_chance
from attrib.benchmarks.tables.differences import Pair, against_controls, beats_every_control, best_controls, paired
from attrib.benchmarks.tables.matrix import MACRO, TASK, Matrix, matrix, scored, subsets
from attrib.config import Entry

KEYS = ["method", "metric", "imputer"]
SUBSET = ["subset", *KEYS]
COLUMNS = [
    *SUBSET, "direction", "mean", "low", "high", "chance", "videos", "undefined", "control", "control_mean",
    "difference", "difference_low", "difference_high", "p", "p_holm", "p_pairing", "p_shift",
]  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What the numbers are read by: each metric's direction, which rows are controls, and how often is drawn."""

    directions: dict[str, str]
    roles: Roles = field(default_factory=Roles)
    drawing: Resampling = field(default_factory=Resampling)


def directions(metrics: Sequence[Entry]) -> dict[str, str]:
    """`high` or `low` by the metric's label."""
    return {entry.label: entry.item.direction for entry in metrics}


@dataclass(frozen=True, eq=False)
class Board:
    """The leaderboard, and every method against every control (for all subsets but the tasks)."""

    rows: pd.DataFrame
    differences: pd.DataFrame


def build(results: pd.DataFrame, nulls: Nulls, context: Context) -> Board:
    """Rows of COLUMNS for the subsets `all`, `macro` (mean over tasks), `correct`, `gated`, `vision` and each task.

    low, high: 95 % interval over videos; `undefined`: rows without a value. `difference` to the best control, positive
    where the method is better. p: that it beats every control, p_holm: after Holm over the primary metrics;
    p_pairing, p_shift: that it beats its own map on annotation of other videos, or shifted in time.
    """
    rows, differences = [], []
    for subset, part in subsets(scored(results)):
        found = matrix(part, by_task=subset == MACRO)
        board = described(found, part, context)
        if not subset.startswith(TASK):
            pairs = paired(found, against_controls(found, context.roles.controls), context.directions, context.drawing)
            board = board.merge(beats_every_control(pairs, context.roles.bounds), how="left", on=KEYS)
            differences.append(pairs.assign(subset=subset))
        for kind, values in above_chance(found, nulls, context.directions, context.drawing).items():
            board[f"p_{kind}"] = values
        rows.append(board.assign(subset=subset))
    return Board(_joined(rows, COLUMNS), _joined(differences, ["subset", *differences[0].columns.drop("subset")]))


def described(found: Matrix, part: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row for each column of the matrix `found` of the results `part`: interval, chance, and the best control."""
    return _means(found, part, context).merge(_against_best(found, context), how="left", on=KEYS)


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """One table; an imputer that there is none of is missing, not empty."""
    table = pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
    return table.assign(imputer=table["imputer"].where(table["imputer"] != "", np.nan))


def _means(found: Matrix, part: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Interval, chance and number of undefined values of every column, in the columns' order."""
    drawing = context.drawing
    ends = found.each(found.values, lambda one: intervals(one, resamples=drawing.resamples, seed=drawing.seed))
    chances = matrix(part.assign(value=part["chance"]), found.by_task)
    levels = chances.each(chances.values, lambda one: one.mean())
    missing = (
        part.assign(imputer=part["imputer"].fillna("")).groupby(KEYS)["value"].agg(lambda values: values.isna().sum())
    )
    return pd.DataFrame([
        {
            **column._asdict(), "direction": context.directions.get(column.metric, ""), **ends[place]._asdict(),
            "chance": levels[place], "undefined": int(missing[column.method, column.metric, column.imputer]),
        }
        for place, column in enumerate(found.columns)
    ], columns=[*KEYS, "direction", "mean", "low", "high", "chance", "videos", "undefined"])  # fmt: skip


def _against_best(found: Matrix, context: Context) -> pd.DataFrame:
    """Every other column's difference to the control with the best mean."""
    best = best_controls(found, context.roles.controls, context.directions)
    pairs = [Pair(place, best[column[:2]]) for place, column in enumerate(found.columns)
             if column[:2] in best and column.method not in context.roles.controls]  # fmt: skip
    means = dict(zip(found.columns, found.each(found.values, lambda one: one.mean()), strict=True))
    table = paired(found, pairs, context.directions, context.drawing)
    table["control_mean"] = [means[found.columns[pair.control]] for pair in pairs]
    names = {"low": "difference_low", "high": "difference_high"}
    return table.rename(columns=names)[[*KEYS, "control", "control_mean", "difference", *names.values()]]
