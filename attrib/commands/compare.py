"""`attrib compare`: show finished runs side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from attrib.commands.options import JsonFlag, Plugins, check_output, check_runs, load_plugins
from attrib.commands.terminal.console import print_json, say, screen
from attrib.commands.terminal.stacking import StackedColumn, distinct, stacked

if TYPE_CHECKING:
    import pandas as pd

LEAST = 15  # characters of a run's name


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN [RUN ...]", help="Run directories; the first is the "
                                                                             "reference.")],
    output: Annotated[Path | None, typer.Option("--output", "-O", help="Write the whole table as CSV.")] = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Compare runs that differ in model, seed, methods or machine; runs on different questions are refused."""
    if output is not None:
        check_output(output.parent)
    check_runs(*runs)
    load_plugins(plugin)
    from attrib.benchmarks.tables.compare import compare as compared
    from attrib.runtime.files import writing

    comparison = compared(runs)
    table = comparison.table
    if output is not None:
        with writing(output) as path:
            table.to_csv(path, index=False)
    if as_json:
        print_json(json.loads(table.to_json(orient="records", double_precision=15)))
    else:
        _show(table, comparison.primary, output)


def _show(table: pd.DataFrame, primary: Sequence[str], output: Path | None) -> None:
    tested = table[table["metric"].isin(primary)]
    shown = table if tested.empty else tested
    for (metric, imputer), rows in shown.groupby(["metric", "imputer"], sort=False, dropna=False):
        title = f"{metric}" if imputer != imputer or imputer is None else f"{metric} {imputer}"
        for side in _side_by_side(title, rows):
            screen.print(side, "")
    if table["run"].nunique() > 1:
        say(
            "mean [95 % interval over videos], then the difference to the first run, positive where this one is better;"
        )
        say("* after Holm over the primary metrics, sign flips of whole videos, p < .05")
    hidden = list(dict.fromkeys(table.loc[~table["metric"].isin(shown["metric"]), "metric"]))
    if hidden and output is None:
        say(f"not shown, but written by --output FILE.csv: {', '.join(hidden)}")


def _side_by_side(title: str, rows: pd.DataFrame) -> list[Table]:
    """Tables of one metric: methods down, runs across."""
    methods, names = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["run"]))
    cells = rows.set_index(["method", "run"])
    columns = []
    for name in names:
        column = [_cell(cells.loc[(method, name)]) if (method, name) in cells.index else Text() for method in methods]
        columns.append((name, column))
    room = max(LEAST, *(len(cell) for _, column in columns for cell in column))
    titles = distinct(names, room)
    stack = [StackedColumn([text], column) for text, (_, column) in zip(titles, columns, strict=True)]
    tables = stacked("method", [Text(method) for method in methods], stack, screen.width)
    tables[0].title, tables[0].title_justify, tables[0].title_style = title, "left", "bold"
    return tables


def _cell(row: pd.Series[float]) -> Text:
    if row["mean"] != row["mean"]:
        return Text("undefined", style="dim")
    interval = "" if row["low"] != row["low"] else f" [{row['low']:.2f}, {row['high']:.2f}]"
    mark = "*" if row["p_holm"] < 0.05 else " "
    change = "" if row["difference"] != row["difference"] else f"  {row['difference']:+.2f}{mark}"
    return Text.assemble(f"{row['mean']:.2f}", (interval, "dim"), change)
