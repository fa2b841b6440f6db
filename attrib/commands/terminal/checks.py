"""Tables of sanity checks and floors for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.table import Table
from rich.text import Text

from attrib.benchmarks.checks.compute import Checks
from attrib.benchmarks.checks.floors import FLOORS
from attrib.benchmarks.checks.sanity import BOUND, PARTS

STYLES = {"pass": "green", "fail": "red", "undefined": "dim"}


def extra_tables(extras: Checks) -> Iterator[tuple[str, Table]]:
    """Yield titled tables of the checks that the run computed."""
    if extras.verdicts is not None:
        title = f"Sanity, {_videos(extras.sanity)}: Spearman with the maps of a model made random step by step"
        yield f"{title} (pass: |.| < {BOUND} at the end)", sanity_table(extras.verdicts)
    if extras.differences is not None:
        for metric, table in floor_tables(extras.differences):
            yield f"{metric} minus its floors, {_videos(extras.floors)}  mean [95 % interval over videos]", table


def _videos(rows: pd.DataFrame | None) -> str:
    count = 0 if rows is None else rows["video"].nunique()
    return f"{count} video{'s' * (count != 1)}"


def sanity_table(verdicts: pd.DataFrame) -> Table:
    """Return a table: methods down, parts of the model across; mean similarity at each stage, and pass or fail."""
    table = _table(list(PARTS))
    rows = verdicts.set_index(["method", "part"])
    for method in dict.fromkeys(verdicts["method"]):
        table.add_row(Text(method), *(_verdict(rows.loc[(method, part)]) for part in PARTS))
    return table


def _verdict(row: pd.Series) -> Text:
    return Text.assemble(f"{row['curve']}  ", (row["verdict"], STYLES[row["verdict"]]))


def floor_tables(differences: pd.DataFrame) -> Iterator[tuple[str, Table]]:
    """Yield a table for each metric: methods down, floors across, real minus floor with its interval."""
    for metric, group in differences.groupby("metric", sort=False):
        table = _table(list(FLOORS))
        rows = group.set_index(["method", "floor"])
        for method in dict.fromkeys(group["method"]):
            table.add_row(Text(method), *(_difference(rows.loc[(method, floor)]) for floor in FLOORS))
        yield str(metric), table


def _difference(row: pd.Series) -> Text:
    if pd.isna(row["difference"]):
        return Text("undefined", style="dim")
    ends = "" if pd.isna(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    return Text.assemble((f"{row['difference']:+.2f}", "bold" if row["low"] > 0 else ""), (ends, "dim"))


def _table(columns: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
