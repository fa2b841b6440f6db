"""Tables and captions of the charts, or the reasons why a run lacks a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Drawing

from attrib.benchmarks.export.figures import charts
from attrib.benchmarks.export.figures.charts import ORDERS
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.mean_curves import CHANCE, interpolated_curves
from attrib.benchmarks.tables.matrix import Column

MOST_TASKS, MOST_BARS = 12, 4
INTERVALS = "95 % intervals over videos"


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure ready to be drawn, or a file that another command wrote; `table` holds the plotted numbers.

    `warnings` names the examples that could not be drawn.
    """

    name: str
    caption: str
    table: pd.DataFrame | None = None
    draw: Callable[[], Drawing] | None = None
    file: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """A figure that this run has no data for, and the reason."""

    name: str
    reason: str


def number_figures(numbers: Numbers) -> Iterator[Figure | Missing]:
    """Yield every chart."""
    yield leaderboard(numbers)
    yield scatter(numbers)
    yield generality(numbers)
    yield curves(numbers)


def counted(count: int, thing: str) -> str:
    """Count with its noun: `1 video`, `18 videos`."""
    return f"{count} {thing}{'s' * (count != 1)}"


def reserve(numbers: Numbers) -> str:
    """Phrase for the intervals of a caption; one video has none."""
    if numbers.videos == 1:
        return "n = 1 video, so there are no intervals"
    return f"{INTERVALS}, n = {numbers.videos} videos"


def leaderboard(numbers: Numbers) -> Figure | Missing:
    """Means of the primary metrics over all questions, from leaderboard.csv."""
    parts = [
        _looks(numbers, numbers.of(column).reindex(numbers.order)).assign(
            column=column.title, direction=column.direction
        )
        for column in numbers.columns
    ]
    if not parts:
        return Missing("leaderboard", "no metric has a value")
    names = ["column", "direction", "method", "kind", "place", "mean", "low", "high", "chance", "control_mean"]
    caption = (
        f"Means over {counted(numbers.tally.samples, 'question')}; {reserve(numbers)}. Methods are ordered by mean "
        f"rank over these metrics; below them, in grey, {_others(numbers)}. Dashed: chance; dotted: best "
        f"control.{_imputer(numbers)}"
    )
    table = pd.concat(parts)[names].reset_index(drop=True)
    return Figure("leaderboard", caption, table, partial(charts.leaderboard, table))


def _others(numbers: Numbers) -> str:
    kinds = [numbers.kind(name) for name in numbers.order]
    bound = ", and the upper bound, which is built from the annotation" if "bound" in kinds else ""
    return f"the controls, which ignore the model's answer{bound}"


def _imputer(numbers: Numbers) -> str:
    used = [column.imputer for column in numbers.columns if column.imputer]
    others = [name for name in numbers.run.settings.imputers if used and name != used[0]]
    more = f"; for {' and '.join(others)} see leaderboard.csv" if others else ""
    return f" Removed cells are filled by {used[0]}{more}." if used else ""


def _looks(numbers: Numbers, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns `method`, `kind` and `place` added; `rows` is indexed by method."""
    methods = [str(name) for name in rows.index]
    kinds, places = [numbers.kind(name) for name in methods], [numbers.places[name] for name in methods]
    return rows.assign(method=methods, kind=kinds, place=places).reset_index(drop=True)


def scatter(numbers: Numbers) -> Figure | Missing:
    """Scatter of srg against the primary alignment metrics in space."""
    across = [column for column in numbers.columns if column.metric in ("shuffled_auc", "object_auc")]
    up = numbers.faithfulness
    if up is None or not across:
        return Missing("faithfulness_alignment", "it needs values of srg, and of shuffled_auc or object_auc")
    y = numbers.of(up)[["mean", "low", "high", "chance"]].set_axis(["y", "y_low", "y_high", "y_chance"], axis=1)
    parts = []
    for column in across:
        x = numbers.of(column)[["mean", "low", "high", "chance"]].set_axis(["x", "x_low", "x_high", "x_chance"], axis=1)
        both = _looks(numbers, x.join(y).reindex(numbers.order)).assign(column=column.title, y_title=up.title)
        parts.append(charts.finite(charts.finite(both, "x"), "y"))
    caption = (
        "Faithfulness to the model (how much more the answer suffers when the most salient cells go first than when "
        f"the least salient do) against alignment with the annotated evidence; {reserve(numbers)}. Dashed: chance. "
        "Hollow grey markers: controls; star: upper bound, the annotated evidence itself as a map."
    )
    table = pd.concat(parts).reset_index(drop=True)
    if table.empty:
        return Missing("faithfulness_alignment", "no method has values of both metrics")
    return Figure("faithfulness_alignment", caption, table, partial(charts.axes_scatter, table))


def generality(numbers: Numbers, most: int = MOST_TASKS) -> Figure | Missing:
    """Generality of the leading metric by task, for the best methods and the best control, largest task first."""
    name = "generality"
    if numbers.task_rows is None:
        return Missing(name, "the run has no tasks.csv; `attrib bench` writes it")
    if not numbers.chosen:
        return Missing(name, "no map was scored on other videos' annotation; set null_pairs, with 3 videos of a task")
    column = numbers.chosen[0]
    rows = numbers.generality(column)
    share = numbers.share(rows)
    methods = _shown(numbers, column)
    sizes = rows.drop_duplicates("group").sort_values("videos", ascending=False, kind="stable")["group"]
    tasks = list(sizes[:most])
    rows = rows[rows["group"].isin(tasks) & rows["method"].isin(methods)]
    ends = {share.column: "share", f"{share.column}_low": "low", f"{share.column}_high": "high", "group": "task"}
    table = rows[["method", "videos", *ends]].rename(columns=ends).assign(chance=share.chance, words=share.words)
    order = {(task, method): (i, j) for i, task in enumerate(tasks) for j, method in enumerate(methods)}
    keys = [order[pair] for pair in zip(table["task"], table["method"], strict=True)]
    table = table.iloc[sorted(range(len(table)), key=keys.__getitem__)]
    looks = _looks(numbers, table.set_index("method"))
    names = ["task", "method", "kind", "place", "share", "low", "high", "chance", "videos", "words"]
    caption = _generality_caption(numbers, column, (len(tasks), len(sizes)))
    return Figure(name, caption, looks[names], partial(charts.generality, looks[names]))


def _shown(numbers: Numbers, column: Column) -> list[str]:
    """Methods with the best means, and the best control."""
    control = numbers.best_control(column)
    return [*numbers.leading(column, MOST_BARS - 1), *([control] if control else [])]


def _generality_caption(numbers: Numbers, column: Column, tasks: tuple[int, int]) -> str:
    rows = numbers.generality(column)
    share = numbers.share(rows)
    some = f"The {tasks[0]} of {tasks[1]} tasks with most videos. " if tasks[0] < tasks[1] else ""
    few = "" if share.column == "beats" else (
        f" With {rows['partners'].median():.0f} other videos to pair with (median) no video can reach p ≤ .05, so the "
        "share above the median of the null is shown."
    )  # fmt: skip
    return (
        f"{some}Share of each task's videos in which the map's {column.title} is higher on its own annotation than "
        f"on that of the task's other videos ({share.words}); Wilson 95 % intervals. The methods with the best "
        f"{column.title}, and the best control.{few} Dashed: share expected by chance."
    )


def curves(numbers: Numbers) -> Figure | Missing:
    """Deletion and insertion curves of the first imputer, mean over samples of curves.parquet."""
    rows = interpolated_curves(numbers.run)
    if rows.empty:
        return Missing("curves", "the run has no curves.parquet; perturbation metrics such as srg write it")
    imputers = list(dict.fromkeys(rows["imputer"]))
    imputer = next((name for name in numbers.run.settings.imputers if name in imputers), imputers[0])
    rows = rows[rows["imputer"] == imputer]
    named = rows.assign(method=rows["method"].replace(CHANCE, "random order"))
    means = named.groupby(["order", "method", "fraction"], sort=True)["log_odds"].mean().reset_index(name="mean")
    methods = [*numbers.order, "random order"]
    means = means[means["method"].isin(methods) & means["order"].isin(ORDERS)]
    keys = [(list(ORDERS).index(row.order), methods.index(row.method), row.fraction) for row in means.itertuples()]
    means = means.iloc[sorted(range(len(means)), key=keys.__getitem__)].reset_index(drop=True)
    kinds = ["chance" if name == "random order" else numbers.kind(name) for name in means["method"]]
    table = means.assign(kind=kinds, place=[numbers.places.get(name, 0) for name in means["method"]])
    caption = (
        "Log-odds of the explained answer while cells of the video are removed or put back, mean over "
        f"{counted(rows['sample'].nunique(), 'question')} of {counted(rows['video'].nunique(), 'video')}; removed "
        f"cells are filled by {imputer}. Grey: controls; black dots: cells in random order."
    )
    return Figure("curves", caption, table, partial(charts.curves, table))
