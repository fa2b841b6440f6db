"""Tables of the files that a run has and of the columns of its tables, from the code that writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from attrib.benchmarks.atlas import table as atlas
from attrib.benchmarks.checks import floors, sanity, schema
from attrib.benchmarks.jobs import curves, directory
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables import agreement, compare, differences, exceptions, leaderboard, ranks, tasks
from attrib.benchmarks.trace import table as trace
from tools.pages.columns import COLUMNS, FILES, FOLDERS, OWN
from tools.pages.text import escaped, table

Types = Mapping[str, str]


def tables() -> dict[str, Types]:
    """Return the columns of every table with their types, "" where a CSV has none; in the order of the page."""
    csv = {
        "leaderboard.csv": leaderboard.COLUMNS, "differences.csv": differences.COLUMNS, "ranks.csv": ranks.COLUMNS,
        "agreement.csv": agreement.COLUMNS, "tasks.csv": tasks.COLUMNS, "exceptions.csv": exceptions.COLUMNS,
        "sanity.csv": _summary_columns()[0], "floors.csv": _summary_columns()[1],
        "attrib compare --json": compare.COLUMNS, "layers/atlas.csv, layers/atlas.parquet": atlas.COLUMNS,
        "trace/trace.csv": trace.COLUMNS,
    }  # fmt: skip
    long = {
        "results.parquet": directory.COLUMNS,
        "curves.parquet": curves.COLUMNS,
        **{f"{kind}.parquet": schema.COLUMNS[kind] for kind in schema.COLUMNS},
    }
    return {**long, **{name: dict.fromkeys(columns, "") for name, columns in csv.items()}}


def _summary_columns() -> tuple[list[str], list[str]]:
    """Return the columns of sanity.csv and floors.csv, as an empty run has them."""
    empty = {kind: pd.DataFrame(columns=list(columns)) for kind, columns in schema.COLUMNS.items()}
    results = pd.DataFrame(columns=list(directory.COLUMNS))
    verdicts = sanity.verdicts(empty["sanity"], Resampling())
    return list(verdicts.columns), list(floors.differences(empty["floors"], results, (), Resampling()).columns)


def files() -> str:
    """Return the table of a run's files and folders."""
    rows = [(f"`{name}`", FILES[name]) for name in directory.FILES]
    return table(("file", "content"), [*rows, *((f"`{name}/`", FOLDERS[name]) for name in directory.FOLDERS)])


def columns() -> str:
    """Return a heading and a table of the columns of each table."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for name, types in tables().items():
        yield f"### `{name}`"
        head = ("column", "type", "meaning") if any(types.values()) else ("column", "meaning")
        rows = [(f"`{key}`", *((kind,) if kind else ()), meaning(name, key)) for key, kind in types.items()]
        yield table(head, rows)


def meaning(file: str, column: str) -> str:
    """Return what a column of a file holds."""
    return escaped(OWN.get(file, {}).get(column) or COLUMNS[column])
