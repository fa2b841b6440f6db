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

if TYPE_CHECKING:
    import pandas as pd


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
        screen.print(_side_by_side(title, rows), "")
    if table["run"].nunique() > 1:
        say(
            "mean [95 % interval over videos], then the difference to the first run, positive where this one is better;"
        )
        say("* after Holm over the primary metrics, sign flips of whole videos, p < .05")
    hidden = list(dict.fromkeys(table.loc[~table["metric"].isin(shown["metric"]), "metric"]))
    if hidden and output is None:
        say(f"not shown, but written by --output FILE.csv: {', '.join(hidden)}")


def _side_by_side(title: str, rows: pd.DataFrame) -> Table:
    """Table of one metric: methods down, runs across."""
    names = list(dict.fromkeys(rows["run"]))
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("method", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right")
    for method, group in rows.groupby("method", sort=False):
        by_run = group.set_index("run")
        table.add_row(Text(str(method)), *(_cell(by_run.loc[name]) if name in by_run.index else "" for name in names))
    return table


def _cell(row: pd.Series[float]) -> Text:
    if row["mean"] != row["mean"]:
        return Text("undefined", style="dim")
    interval = "" if row["low"] != row["low"] else f" [{row['low']:.2f}, {row['high']:.2f}]"
    mark = "*" if row["p_holm"] < 0.05 else " "
    change = "" if row["difference"] != row["difference"] else f"  {row['difference']:+.2f}{mark}"
    return Text.assemble(f"{row['mean']:.2f}", (interval, "dim"), change)
