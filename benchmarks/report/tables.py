"""Tables of the run as data of the page: leaderboard, ranks, tasks, exceptions, sanity and floors."""

from __future__ import annotations

from typing import Any

import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.report.columns import key
from attrib.benchmarks.report.json_values import number, records
from attrib.benchmarks.tables import ranks as ranking
from attrib.benchmarks.tables.matrix import ALL, FLAGS, MACRO, TASK

FILES = ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions", "sanity", "floors")
MOST_ROWS = 20_000  # of the leaderboard in the page; leaderboard.csv also has the tasks with the fewest videos
MOST_EXCEPTIONS = 2_000
TITLES = {
    ALL: "all questions", MACRO: "mean over tasks", "correct": "answered correctly", "gated": "passing the gate",
    "vision": "needing the video",
}  # fmt: skip
CELL = ("mean", "low", "high", "chance", "videos", "undefined", "control_mean", "p_holm", "p_pairing", "p_shift")
SHARES = (
    "videos", "partners", "beats", "beats_low", "beats_high", "beats_chance", "above", "above_low", "above_high",
)  # fmt: skip


def board(run: FinishedRun) -> dict[str, Any]:
    """Subsets and, for each, its rows: method, column key, best control, then the numbers of CELL."""
    table = run.table("leaderboard")
    assert table is not None, "`finished.read` has read it"
    sizes = table.groupby("subset", sort=False).agg(rows=("mean", "size"), videos=("videos", "max"))
    tasks = sizes[sizes.index.str.startswith(TASK)].sort_values("videos", ascending=False, kind="stable")
    names = [name for name in (ALL, MACRO, *FLAGS) if name in sizes.index]
    room = MOST_ROWS - int(sizes.loc[names, "rows"].sum())
    kept = tasks[tasks["rows"].cumsum() <= room]
    rows = {str(name): _cells(part) for name, part in table.groupby("subset", sort=False)}
    return {
        "subsets": [
            {"name": name, "title": TITLES.get(name, name), "videos": int(sizes.loc[name, "videos"])}
            for name in [*names, *kept.index]
        ],
        "rows": {name: rows[name] for name in [*names, *kept.index]}, "columns": list(CELL),
        "left_out": len(tasks) - len(kept),
    }  # fmt: skip


def _cells(part: pd.DataFrame) -> list[list[Any]]:
    """One list of values for each row."""
    numbers = records(part, ("method", "metric", "imputer", "control"), CELL)
    return [
        [row["method"], key(row["metric"], row["imputer"]), row["control"], *(row[name] for name in CELL)]
        for row in numbers
    ]


def ranks(run: FinishedRun) -> list[dict[str, Any]]:
    """Data of the critical-difference diagrams, one for each primary metric."""
    return [
        {
            "title": title, "methods": list(one.methods), "ranks": [number(value) for value in one.ranks],
            "cliques": [list(clique) for clique in one.cliques], "videos": one.blocks, "p": number(one.p),
            "left_out": list(one.left_out),
        }
        for title, one in ranking.primary_rankings(run.results, run.metrics).items()
    ]  # fmt: skip


def tasks(run: FinishedRun) -> list[dict[str, Any]]:
    """Generality of each task: the share of its videos in which each method's map beats its own null."""
    table = run.table("tasks")
    if table is None or table.empty:
        return []
    table = table[(table["kind"] == "task") & (table["split"] == "all")].rename(columns={"group": "task"})
    table = table[table["beats"].notna()]
    return records(table, ("task", "method", "metric", "null"), SHARES)


def exceptions(run: FinishedRun) -> dict[str, Any]:
    """Videos in which a map does not beat its null: the first MOST_EXCEPTIONS rows, and the total count."""
    table = run.table("exceptions")
    if table is None or table.empty:
        return {"rows": [], "total": 0}
    texts = ("task", "method", "metric", "null", "sample", "video", "correct")
    shown = records(table.head(MOST_EXCEPTIONS), texts, ("value", "null_median", "p"))
    return {"rows": shown, "total": len(table)}


def sanity(run: FinishedRun) -> list[dict[str, Any]]:
    """Similarity of each method's map to the map of a randomised model, and the verdict."""
    table = run.table("sanity")
    return [] if table is None else records(table, ("method", "part", "curve", "verdict"), ("emprt", "videos"))


def floors(run: FinishedRun) -> list[dict[str, Any]]:
    """Difference between the real map's score and each floor's score, with interval."""
    table = run.table("floors")
    if table is None:
        return []
    return records(table, ("method", "metric", "floor"), ("real", "difference", "low", "high", "videos"))
