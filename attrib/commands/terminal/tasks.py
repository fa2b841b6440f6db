"""Table of tasks for a terminal: best method of each, and number of videos in which its map beats its null."""

from __future__ import annotations

import pandas as pd
from rich.table import Table
from rich.text import Text

from attrib.benchmarks.jobs.roles import Roles

MOST = 12  # tasks shown, most videos first; tasks.csv has all
METRICS = 2  # shown side by side


def task_tables(tasks: pd.DataFrame, roles: Roles) -> list[Table]:
    """Return a table, tasks down and metrics with a null across; none for a run of one task or without nulls.

    A cell shows the method with the best mean, controls and upper bounds left out.
    """
    known = tasks[(tasks["kind"] == "task") & (tasks["split"] == "all") & (tasks["null"] == "pairing")]
    known = known[~known["method"].isin(roles.controls | roles.bounds) & known["mean"].notna()]
    names = known.groupby("group")["videos"].max().sort_values(ascending=False, kind="stable").index
    metrics = list(dict.fromkeys(known["metric"]))[:METRICS]
    if len(names) < 2:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    table.add_column("task", max_width=44)
    for metric in metrics:
        table.add_column(metric, no_wrap=True)
    by_rank = bool((known["beats_chance"] == 0).all())
    for name in names[:MOST]:
        rows = known[known["group"] == name]
        table.add_row(Text(str(name)), *(_best(rows[rows["metric"] == metric], by_rank) for metric in metrics))
    table.caption = _caption(len(names) - MOST, by_rank)
    return [table]


def _best(rows: pd.DataFrame, by_rank: bool) -> Text:
    """Cell text: best method, its mean, and how many tested videos beat their null."""
    if rows.empty:
        return Text("undefined", style="dim")
    oriented = rows["mean"] * rows["direction"].map({"low": -1}).fillna(1)
    best = rows.loc[oriented.idxmax()]
    tested = int(best["tested"])
    beats = round(best["above" if by_rank else "beats"] * tested)
    return Text.assemble(f"{best['method']} {best['mean']:.2f}  ", (f"{beats}/{tested}", "dim"))


def _caption(hidden: int, by_rank: bool) -> Text:
    beats = "is above the middle of its null (partners are too few for p <= .05)" if by_rank else "beats its null"
    lines = [f"Best method, mean, and in how many of the tested videos its map {beats}."]
    lines += [f"{hidden} more tasks, all methods, areas and right or wrong answers: tasks.csv."] if hidden > 0 else []
    return Text("\n".join(lines), style="dim")
