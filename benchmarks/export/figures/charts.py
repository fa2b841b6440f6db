"""Charts of a run. Each function draws one table of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attrib.benchmarks.export.figures.style import DOUBLE, FAINT, RULE, SMALL, Look, page
from attrib.render.text import abbreviated, drawable, wrapped

ROW, BAR = 0.155, 0.115  # inches: a row of the leaderboard, a bar
_FINE = 20  # pixels of a letter by which labels are measured
ARROWS = {"high": "higher is better", "low": "lower is better"}
ORDERS = {
    "most_first": "most salient removed first",
    "least_first": "least salient removed first",
    "insertion": "most salient put back first",
}


def leaderboard(table: pd.DataFrame) -> Figure:
    """Draw a panel for each column: dots and whiskers by method, dashed line at chance, dotted at the best control.

    Columns of `table`: column, direction, method, kind, place, mean, low, high, chance, control_mean; in drawing order.
    """
    methods, columns = list(dict.fromkeys(table["method"])), list(dict.fromkeys(table["column"]))
    figure = page(DOUBLE, 0.75 + ROW * len(methods))
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, columns, strict=True):
        part = table[table["column"] == column]
        _whiskers(axis, part, methods)
        axis.set_title(f"{column}\n{ARROWS.get(str(part['direction'].iloc[0]), '')}", loc="left")
    _rows(axes[0], table, methods)
    figure.legend(handles=_references(), loc="outside lower center", ncols=2)
    return figure


def _references() -> list[Line2D]:
    return [Line2D([], [], color=FAINT, linestyle=(0, (4, 2)), linewidth=0.8, label="chance"),
            Line2D([], [], color="#D55E00", linestyle=":", linewidth=1, label="best control")]  # fmt: skip


def _whiskers(axis: Any, part: pd.DataFrame, methods: Sequence[str]) -> None:
    if (chance := part["chance"].mean()) == chance:
        axis.axvline(chance, color=FAINT, linestyle=(0, (4, 2)), linewidth=0.8, zorder=1)
    if not (best := part["control_mean"].dropna()).empty:
        axis.axvline(best.iloc[0], color="#D55E00", linestyle=":", linewidth=1, zorder=1)
    for row in part.itertuples():
        look, y = Look.of(row.kind, row.place), methods.index(row.method)
        if row.mean != row.mean:
            axis.annotate(
                "undefined", (0.02, y), xycoords=("axes fraction", "data"), va="center", size=5.5, color=FAINT
            )
            continue
        axis.plot([row.low, row.high], [y, y], color=look.colour, linewidth=1.1, solid_capstyle="butt", zorder=2)
        axis.plot(row.mean, y, linestyle="none", zorder=3, **look.marker())
    axis.set_axisbelow(True)
    axis.grid(axis="x", color="#ececec", linewidth=0.5)
    axis.margins(x=0.06)


def _rows(axis: Any, table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Label the rows with method names, controls in grey, and draw a rule between kinds."""
    kinds = dict(zip(table["method"], table["kind"], strict=True))
    axis.set_yticks(range(len(methods)), methods)
    axis.set_ylim(len(methods) - 0.4, -0.6)
    for label, method in zip(axis.get_yticklabels(), methods, strict=True):
        label.set_color("black" if kinds[method] == "method" else FAINT)
    borders = [place for place in range(1, len(methods)) if kinds[methods[place]] != kinds[methods[place - 1]]]
    for other in axis.figure.axes:
        other.tick_params(axis="y", length=0)
        other.spines["left"].set_visible(False)
        for border in borders:
            other.axhline(border - 0.5, color=RULE, linewidth=0.5)


def axes_scatter(table: pd.DataFrame) -> Figure:
    """Draw faithfulness against alignment, a panel for each alignment metric; crosses are 95 % intervals.

    Columns of `table`: column, method, kind, place, x, x_low, x_high, x_chance, y, y_low, y_high, y_title.
    """
    columns = list(dict.fromkeys(table["column"]))
    names = table.drop_duplicates("method")
    height = max(2.6, 0.5 + 0.135 * len(names))
    figure = page(DOUBLE, height)
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, columns, strict=True):
        part = table[table["column"] == column]
        _crosses(axis, part)
        axis.set_xlabel(f"alignment: {column}")
    axes[0].set_ylabel(f"faithfulness: {table['y_title'].iloc[0]}")
    handles = [Look.of(row.kind, row.place).handle(row.method) for row in names.itertuples()]
    figure.legend(handles=handles, loc="outside right center", handletextpad=0.2, labelspacing=0.35)
    return figure


def _crosses(axis: Any, part: pd.DataFrame) -> None:
    for row in part.itertuples():
        look = Look.of(row.kind, row.place)
        axis.plot([row.x_low, row.x_high], [row.y, row.y], color=look.colour, linewidth=0.6, alpha=0.45, zorder=2)
        axis.plot([row.x, row.x], [row.y_low, row.y_high], color=look.colour, linewidth=0.6, alpha=0.45, zorder=2)
        axis.plot(row.x, row.y, linestyle="none", zorder=3, **look.marker())
    for value, line in ((part["x_chance"].mean(), axis.axvline), (part["y_chance"].mean(), axis.axhline)):
        if value == value:
            line(value, color=FAINT, linestyle=(0, (4, 2)), linewidth=0.6, zorder=1)
    axis.margins(0.05)


def generality(table: pd.DataFrame) -> Figure:
    """Draw bars by task: the share of its videos in which each method's map beats its null, with intervals.

    Columns of `table`: task, method, kind, place, share, low, high, chance, videos, words; in drawing order.
    """
    tasks, methods = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["method"]))
    names = table.drop_duplicates("method")
    group = len(methods) + 1.2  # bars and the gap below them
    figure = page(DOUBLE, 0.75 + BAR * group * len(tasks))
    axis = figure.subplots()
    for row in table.itertuples():
        look = Look.of(row.kind, row.place)
        y = tasks.index(row.task) * group + methods.index(row.method)
        axis.barh(y, row.share, height=0.82, color="white" if look.hollow else look.colour, edgecolor=look.colour,
                  linewidth=0.7, zorder=2)  # fmt: skip
        axis.plot([row.low, row.high], [y, y], color="#222222", linewidth=0.7, zorder=3)
        axis.plot(row.share, y, marker=".", color="#222222", markersize=2.5, zorder=3, clip_on=False)
    centres = [place * group + (len(methods) - 1) / 2 for place in range(len(tasks))]
    counts = table.drop_duplicates("task").set_index("task")["videos"]
    axis.set_yticks(centres, [_wrapped(f"{task} (n\u00a0=\u00a0{int(counts[task])})") for task in tasks])
    axis.set_ylim(len(tasks) * group - 1, -1)
    axis.tick_params(axis="y", length=0)
    axis.set_xlim(0, 1)
    axis.axvline(table["chance"].mean(), color=FAINT, linestyle=(0, (4, 2)), linewidth=0.8, zorder=4)
    axis.set_xlabel(f"share of videos in which the map beats its null: {table['words'].iloc[0]}")
    handles = [_patch(Look.of(row.kind, row.place), row.method) for row in names.itertuples()]
    figure.legend(handles=handles, loc="outside upper right", ncols=min(4, len(handles)), columnspacing=1.2)
    return figure


def _patch(look: Look, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor="white" if look.hollow else look.colour, edgecolor=look.colour, linewidth=0.7, label=label)


def _wrapped(text: str) -> str:
    """Wrap a label to two lines, leaving out the middle of a long one so that its count stays."""
    name, _, count = text.rpartition(" (")
    return "\n".join(wrapped(drawable(f"{abbreviated(name, 74)} ({count}"), _FINE, 26 * _FINE, 2))


def curves(table: pd.DataFrame) -> Figure:
    """Draw the explained score while cells are removed or put back, mean over samples, a panel for each order.

    Columns of `table`: order, method, kind, place, fraction, mean; kind `chance` is the random order.
    """
    orders, names = list(dict.fromkeys(table["order"])), table.drop_duplicates("method")
    figure = page(DOUBLE, max(2.3, 0.4 + 0.135 * len(names)))
    axes = figure.subplots(1, len(orders), sharey=True, squeeze=False)[0]
    for axis, order in zip(axes, orders, strict=True):
        for (kind, place), part in table[table["order"] == order].groupby(["kind", "place"], sort=False):
            axis.plot(100 * part["fraction"], part["mean"], **_line(str(kind), int(place)))
        axis.set_title(ORDERS.get(order, order), loc="left", size=SMALL)
        axis.set_xlim(0, 100)
        axis.set_xlabel("cells put back (%)" if order == "insertion" else "cells removed (%)")
    axes[0].set_ylabel("log-odds of the answer (nats)")
    handles = [Line2D([], [], label=row.method, **_line(row.kind, row.place)) for row in names.itertuples()]
    figure.legend(handles=handles, loc="outside right center", labelspacing=0.35)
    return figure


def _line(kind: str, place: int) -> dict[str, Any]:
    if kind == "chance":
        return {"color": "#111111", "linestyle": (0, (1, 1.5)), "linewidth": 0.9, "zorder": 1}
    look = Look.of(kind, place)
    return {"color": look.colour, "linestyle": look.line, "linewidth": 0.8 if kind == "control" else 1.2,
            "zorder": 2 if kind == "control" else 3}  # fmt: skip


def finite(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows with a finite value of `name`."""
    return table[np.isfinite(table[name].to_numpy(np.float64))]


def restored(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Table read back from JSON: a column that is all null becomes a column of NaN."""
    table = pd.DataFrame(columns)
    return table.astype(dict.fromkeys(table.columns[table.isna().all()], np.float64))


DRAWN = {
    "leaderboard": leaderboard, "faithfulness_alignment": axes_scatter, "generality": generality, "curves": curves,
}  # fmt: skip
