"""leaderboard.csv: one row for each subset, method and metric, with interval, chance, best control and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.bootstrap import Interval, intervals
from attrib.benchmarks.stats.products import Floats, Indices
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.threads import in_threads
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
OF_SAMPLE = ("sample", "task", "area", "reasoning", "correct", "gated", "vision")  # what groups are made by
OF_SCORE = ("video", "method", "metric", "imputer", "value", "chance")
PART = 200  # columns that are compared at once, with their differences to every control
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


@dataclass(frozen=True, eq=False)
class Boards:
    """Rows of the results with a score, their matrix, and boards of some of them, each computed once."""

    rows: pd.DataFrame
    whole: Matrix
    context: Context
    known: dict[bytes, pd.DataFrame] = field(default_factory=dict)

    @staticmethod
    def of(results: pd.DataFrame, context: Context) -> Boards:
        """Arrange the results."""
        rows = scored(results[[name for name in results if name in {*OF_SAMPLE, *OF_SCORE}]])
        return Boards(rows[[name for name in rows if name in OF_SAMPLE]], matrix(rows, context.metrics), context)

    def of_rows(self, chosen: NDArray[np.bool_]) -> pd.DataFrame:
        """Return a row for each column of the chosen rows: interval, chance, best control, and the difference to it."""
        name = _name(chosen)
        if name not in self.known:
            scores = self.whole.of_rows(chosen)
            own = scores.totals(scores.values)
            gains = Gains(scores, _beside_best(scores, own, self.context), own)
            ends, gained = _intervals(gains, self.context)
            self.known[name] = _with_best(_board(gains, ends), gains.pairs, gains.table(gained))
        return self.known[name]

    def compared(self, subset: str, chosen: NDArray[np.bool_]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the same rows with tests, and the differences of every method to every control."""
        board, compared = compared_to_all(self.whole.of_rows(chosen, by_task=subset == MACRO), self.context)
        if subset != MACRO:
            self.known[_name(chosen)] = board
        tests = beats_every_control(compared, self.context.roles.bounds, self.context.metrics.primary)
        return board.merge(tests, how="left", on=KEYS), compared.assign(subset=subset)

    def above_chance(self, subset: str, chosen: NDArray[np.bool_], nulls: Nulls) -> dict[str, Floats]:
        """Return the p of the columns of a subset, by the leaderboard's column."""
        scores = self.whole.of_rows(chosen, by_task=subset == MACRO)
        return {f"p_{kind}": p for kind, p in above_chance(scores, nulls, self.context.resampling).items()}


def _name(chosen: NDArray[np.bool_]) -> bytes:
    return hashlib.sha256(np.packbits(chosen).data).digest()


def build(boards: Boards, nulls: Nulls) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the leaderboard, and the differences of every method to every control for all subsets but the tasks.

    Leaderboard: rows of COLUMNS for the subsets `all`, `macro` (mean over tasks), `correct`, `gated`, `vision` and each
    task. low, high: 95 % interval over videos; `undefined`: rows without a value. `difference`: to the best control,
    positive where the method is better. p: that it beats every control, p_holm: after Holm over the primary metrics;
    p_pairing, p_shift: that it beats its own map on annotation of other videos, or shifted in time.
    """
    chosen = dict(subsets(boards.rows))
    flags = [each for each in chosen.items() if not each[0].startswith(TASK)]
    found = [boards.compared(*each) for each in flags]  # large, so one at a time; before tasks of the same rows
    tasks = [rows for subset, rows in chosen.items() if subset.startswith(TASK)]
    rows = [*(board for board, _ in found), *in_threads(boards.of_rows, tasks)]
    chance = in_threads(lambda each: boards.above_chance(*each, nulls), list(chosen.items()))
    rows = [board.assign(**p, subset=subset) for board, p, subset in zip(rows, chance, chosen, strict=True)]
    differences = [compared for _, compared in found]
    return _joined(rows, COLUMNS), _joined(differences, ["subset", *differences[0].columns.drop("subset")])


def compared_to_all(scores: Matrix, context: Context) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what `Boards.of_rows` does, and every method's differences to every control; see `differences.paired`.

    Computed for some columns at a time, which bounds the memory.
    """
    parts = scores.parts(PART)
    found = in_threads(lambda columns: _compared(scores.take(columns), context), parts)
    of_board = np.concatenate([np.array(part, np.intp) for part in parts])
    of_pair = np.concatenate([np.array(part, np.intp)[one.methods] for part, one in zip(parts, found, strict=True)])
    return _ordered([one.board for one in found], of_board), _ordered([one.differences for one in found], of_pair)


class _Compared(NamedTuple):
    """Rows of the leaderboard, of differences.csv, and the index of the method's column of each of the latter."""

    board: pd.DataFrame
    differences: pd.DataFrame
    methods: list[int]


def _compared(scores: Matrix, context: Context) -> _Compared:
    own = scores.totals(scores.values)
    gains = Gains(scores, against_controls(scores, context.roles.controls), own)
    ends, gained = _intervals(gains, context)
    compared = gains.tested(gained, context.resampling)
    places = {pair: place for place, pair in enumerate(gains.pairs)}
    best = _beside_best(scores, own, context)
    board = _with_best(_board(gains, ends), best, compared.iloc[[places[pair] for pair in best]])
    return _Compared(board, compared, [pair.method for pair in gains.pairs])


def _ordered(parts: list[pd.DataFrame], order: Indices) -> pd.DataFrame:
    """Join tables and sort their rows by `order`."""
    return pd.concat(parts, ignore_index=True).iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


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
