"""Write the summary tables of a run, each as a CSV of its name, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from attrib.benchmarks.jobs.roles import MetricRoles, Roles, metric_roles, roles
from attrib.benchmarks.stats.ranking import Ranking
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables import agreement, critical_difference, exceptions, leaderboard, ranks, tasks
from attrib.benchmarks.tables.above_chance import gather
from attrib.benchmarks.tables.generality import Gaps
from attrib.config import Config, Entry
from attrib.render.text import lettering
from attrib.runtime.files import writing

FIGURE = "critical_difference"
TABLES = ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions")


@dataclass(frozen=True, eq=False)
class Tables:
    """Summary tables of a run, each written as NAME.csv; the rankings that the figure shows, by title; and roles."""

    leaderboard: pd.DataFrame
    differences: pd.DataFrame
    ranks: pd.DataFrame
    agreement: pd.DataFrame
    tasks: pd.DataFrame
    exceptions: pd.DataFrame
    rankings: dict[str, Ranking]
    roles: Roles
    metrics: MetricRoles


def summarise(
    results: pd.DataFrame, nulls: pd.DataFrame | None, metrics: Sequence[Entry], settings: Config
) -> Tables:  # fmt: skip
    """Return the tables of a run's results (results.parquet) and re-paired scores (nulls.parquet, None without).

    `settings` say which methods are controls, the number of resamples and the seed.
    """
    with threadpool_limits(limits=1, user_api="blas"):  # another number of threads would add in another order
        columns, rows = metric_roles(metrics), roles(settings)
        context = leaderboard.Context(columns, rows, Resampling(settings.resamples, settings.seed))
        boards, known = leaderboard.Boards.of(results, context), gather(nulls)
        board, differences = leaderboard.build(boards, known)
        gaps, scores = Gaps.of(boards.whole, known), boards.whole
        return Tables(
            board, differences, ranks.build(scores, columns), agreement.build(scores, columns),
            tasks.build(boards, gaps), exceptions.build(results, gaps, rows.controls),
            ranks.pooled_rankings(scores, columns), rows, columns,
        )  # fmt: skip


def write(directory: Path, tables: Tables) -> None:
    """Write each table as CSV, and critical_difference.png and .pdf.

    The figure shows the primary metrics; without one that ranks three methods there is none.
    """
    for name in TABLES:
        with writing(directory / f"{name}.csv") as path:
            getattr(tables, name).to_csv(path, index=False)
    if tables.rankings:
        methods = {name for one in tables.rankings.values() for name in one.methods}
        with lettering(sorted(methods)):
            critical_difference.write(critical_difference.draw(tables.rankings, tables.roles), directory, FIGURE)
        return
    for ending in ("png", "pdf"):
        (directory / f"{FIGURE}.{ending}").unlink(missing_ok=True)  # from an earlier run with other metrics
