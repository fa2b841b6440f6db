"""Everything that the numbers of a run say together: leaderboard, differences, ranks, agreement, tasks, figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from attrib.benchmarks.jobs.roles import Roles, roles
from attrib.benchmarks.stats.ranking import Ranking
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables import agreement, critical_difference, leaderboard, tasks
from attrib.benchmarks.tables.above_chance import gather
from attrib.config import Config, Entry
from attrib.runtime.files import writing

FIGURE = "critical_difference"
TABLES = ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions")


@dataclass(frozen=True, eq=False)
class Summary:
    """The tables, each written as NAME.csv, and the rankings that the figure shows, by title."""

    leaderboard: pd.DataFrame
    differences: pd.DataFrame
    ranks: pd.DataFrame
    agreement: pd.DataFrame
    tasks: pd.DataFrame
    exceptions: pd.DataFrame
    rankings: dict[str, Ranking]
    roles: Roles


def summarise(
    results: pd.DataFrame, nulls: pd.DataFrame | None, metrics: Sequence[Entry], settings: Config
) -> Summary:  # fmt: skip
    """The tables of a run's results (results.parquet) and re-paired scores (nulls.parquet; None where there are none).

    `settings` say which methods are controls, the number of resamples and the seed.
    """
    directions, parts = leaderboard.directions(metrics), roles(settings)
    context = leaderboard.Context(directions, parts, Resampling(settings.resamples, settings.seed))
    found, report = leaderboard.build(results, gather(nulls), context), tasks.build(results, nulls, context)
    return Summary(
        found.rows, found.differences, agreement.rank_table(agreement.rankings(results, directions)),
        agreement.agreement_table(results, directions), report.rows, report.exceptions,
        agreement.primary_rankings(results, directions), parts,
    )  # fmt: skip


def write(
    directory: Path, results: pd.DataFrame, nulls: pd.DataFrame | None, metrics: Sequence[Entry], settings: Config
) -> Summary:
    """Summarise and write leaderboard, differences, ranks, agreement, tasks, exceptions (.csv) and critical_difference.

    The figure, .png and .pdf, is of the primary metrics; without one that ranks three methods there is none.
    """
    found = summarise(results, nulls, metrics, settings)
    for name in TABLES:
        with writing(directory / f"{name}.csv") as part:
            getattr(found, name).to_csv(part, index=False)
    if found.rankings:
        critical_difference.write(critical_difference.draw(found.rankings, found.roles), directory, FIGURE)
    else:
        for ending in ("png", "pdf"):
            (directory / f"{FIGURE}.{ending}").unlink(missing_ok=True)  # of an earlier run with other metrics
    return found
