"""Tables of sanity checks and floors for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd
from rich.table import Table
from rich.text import Text

from attrib.benchmarks.checks.compute import Checks
from attrib.benchmarks.checks.floors import FLOORS
from attrib.benchmarks.checks.sanity import BOUND, PARTS
from attrib.commands.terminal.stacking import StackedColumn, stacked

STYLES = {"pass": "green", "fail": "red", "undefined": "dim"}


def extra_tables(extras: Checks, width: int) -> Iterator[tuple[str, list[Table]]]:
    """Yield titles with the tables, at most `width` characters wide, of the checks that the run computed."""
    if extras.verdicts is not None:
        title = f"Sanity, {_videos(extras.sanity)}: Spearman with the maps of a model made random step by step"
        yield f"{title} (pass: |.| < {BOUND} at the end)", sanity_tables(extras.verdicts, width)
    if extras.differences is not None:
        for metric, tables in floor_tables(extras.differences, width):
            yield f"{metric} minus its floors, {_videos(extras.floors)}  mean [95 % interval over videos]", tables


def _videos(rows: pd.DataFrame | None) -> str:
    count = 0 if rows is None else rows["video"].nunique()
    return f"{count} video{'s' * (count != 1)}"


def sanity_tables(verdicts: pd.DataFrame, width: int) -> list[Table]:
    """Return tables: methods down, parts of the model across; mean similarity at each stage, and pass or fail."""
    return _tables(verdicts, "part", PARTS, _verdict, width)


def _verdict(row: pd.Series) -> Text:
    return Text.assemble(f"{row['curve']}  ", (row["verdict"], STYLES[row["verdict"]]))


def floor_tables(differences: pd.DataFrame, width: int) -> Iterator[tuple[str, list[Table]]]:
    """Yield tables for each metric: methods down, floors across, real minus floor with its interval."""
    for metric, group in differences.groupby("metric", sort=False):
        yield str(metric), _tables(group, "floor", FLOORS, _difference, width)


def _difference(row: pd.Series) -> Text:
    if pd.isna(row["difference"]):
        return Text("undefined", style="dim")
    ends = "" if pd.isna(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    return Text.assemble((f"{row['difference']:+.2f}", "bold" if row["low"] > 0 else ""), (ends, "dim"))


def _tables(
    table: pd.DataFrame, across: str, names: Iterable[str], cell: Callable[[pd.Series], Text], width: int
) -> list[Table]:
    """Return tables with a row for each method and a column for each of `names`, the values of the column `across`."""
    rows, methods = table.set_index(["method", across]), list(dict.fromkeys(table["method"]))
    columns = [StackedColumn([name], [cell(rows.loc[(method, name)]) for method in methods]) for name in names]
    return stacked("method", [Text(method) for method in methods], columns, width)
