"""CSV files of results/reference/MODEL/: a run's tables, small enough for the repository."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.store import file_name
from attrib.benchmarks.tables.matrix import ALL, TASK
from attrib.runtime.files import writing

TABLES = ("leaderboard", "differences", "ranks", "sanity", "floors")
DIGITS = "%.6g"


def published(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are published: no single tasks of leaderboard.csv, all questions of differences.csv."""
    if name == "leaderboard":
        return table[~table["subset"].str.startswith(TASK)]
    return table[table["subset"] == ALL] if name == "differences" else table


def write(run: FinishedRun, folder: Path) -> Path:
    """Write TABLES as CSV to the model's folder in `folder` and return it; a check that was not run has no file."""
    own = folder / file_name(run.settings.model.name)
    for name in TABLES:
        table = run.table(name)
        if table is None:
            (own / f"{name}.csv").unlink(missing_ok=True)  # of an earlier run
            continue
        with writing(own / f"{name}.csv") as path:
            published(name, table).to_csv(path, index=False, float_format=DIGITS)
    return own
