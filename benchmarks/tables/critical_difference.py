"""The critical-difference diagram: methods by mean rank, a bar joins those that do not differ (Demsar 2006, fig. 1).

Methods are rows here: two dozen names along an axis would not be readable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attrib.benchmarks.jobs.roles import Roles
from attrib.benchmarks.stats.ranking import Ranking
from attrib.runtime.files import writing

METHOD, CONTROL, BOUND, BAR = "#0072B2", "#D55E00", "#009E73", "#333333"  # Okabe and Ito: safe for colour-blind eyes
ROW, PANEL, HEAD = 0.17, 3.6, 0.75  # inches: height of a row, width of a panel, height of title and axis
LANES = 0.28  # share of a panel's width for the bars


def draw(rankings: Mapping[str, Ranking], roles: Roles) -> Figure:
    """Draw a panel for each title and ranking, two side by side; disc: method, square: control, diamond: bound."""
    across = min(2, len(rankings))
    down = math.ceil(len(rankings) / across)
    rows = max(len(one.methods) for one in rankings.values())
    figure = Figure(figsize=(PANEL * across, (HEAD + ROW * rows) * down + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, (title, one) in zip(axes, rankings.items(), strict=False):
        _panel(axis, title, one, roles)
    for axis in axes[len(rankings) :]:
        axis.set_axis_off()
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def write(figure: Figure, folder: Path, name: str = "critical_difference") -> None:
    """Write NAME.png (200 dots an inch) and NAME.pdf, with text that can be searched."""
    for ending in ("png", "pdf"):
        with writing(folder / f"{name}.{ending}") as part:
            # without a date, the same numbers give the same file.
            figure.savefig(part, dpi=200, metadata={"CreationDate": None} if ending == "pdf" else None)


def _panel(axis: Any, title: str, one: Ranking, roles: Roles) -> None:
    count = len(one.methods)
    end = count + (count - 1) * LANES / (1 - LANES)
    for row, (method, rank) in enumerate(zip(one.methods, one.ranks.tolist(), strict=True)):
        colour, shape = _look(method, roles)
        axis.plot([1, rank], [row, row], color="#dddddd", linewidth=0.6, zorder=1)
        axis.plot(rank, row, linestyle="none", zorder=3, **_mark(colour, shape))
        axis.annotate(f"{rank:.1f}", (rank, row), (4, 0), textcoords="offset points", va="center", fontsize=5.5)
    lanes = _lanes(one.cliques)
    for (first, last), lane in zip(one.cliques, lanes, strict=True):
        at = count + (end - count) * (lane + 1.5) / (max(lanes) + 2)
        axis.plot([at, at], [first - 0.25, last + 0.25], color=BAR, linewidth=2.2, solid_capstyle="butt")
    _frame(axis, one, roles, end)
    axis.set_title(f"{title}\n{_words(one)}", fontsize=7.5, loc="left")


def _look(method: str, roles: Roles) -> tuple[str, str]:
    if method in roles.bounds:
        return BOUND, "D"
    return (CONTROL, "s") if method in roles.controls else (METHOD, "o")


def _mark(colour: str, shape: str) -> dict[str, Any]:
    face = "white" if shape == "s" else colour
    return {"marker": shape, "markersize": 4.2, "markeredgecolor": colour, "markerfacecolor": face}


def _lanes(cliques: tuple[tuple[int, int], ...]) -> list[int]:
    """Return a lane for each bar, the first in which it touches no other."""
    ends: list[int] = []
    lanes = []
    for first, last in cliques:
        lane = next((index for index, end in enumerate(ends) if end < first), len(ends))
        ends[lane : lane + 1] = [last]
        lanes.append(lane)
    return lanes


def _frame(axis: Any, one: Ranking, roles: Roles, end: float) -> None:
    count = len(one.methods)
    axis.set_xlim(0.7, end)
    axis.set_ylim(count - 0.4, -0.6)
    axis.set_yticks(range(count), one.methods, fontsize=6.5)
    for label in axis.get_yticklabels():
        label.set_color(CONTROL if label.get_text() in roles.controls else "black")
    step = max(1, round(count / 6))
    axis.set_xticks(range(1, count + 1, step), [str(rank) for rank in range(1, count + 1, step)], fontsize=6.5)
    axis.set_xlabel("mean rank over videos (1 is best)", fontsize=6.5, loc="left")
    axis.tick_params(length=2, width=0.5)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_linewidth(0.5)
    axis.spines["bottom"].set_bounds(1, count)


def _words(one: Ranking) -> str:
    p = "p < .001" if one.p < 0.001 else f"p = {one.p:.3f}".replace("0.", ".")
    test = "" if math.isnan(one.p) else f", Friedman {p}"
    without = f"; without {', '.join(one.left_out)}" if one.left_out else ""
    return f"{one.blocks} videos{test}{without}"


def _legend() -> list[Line2D]:
    marks = {"method": (METHOD, "o"), "control": (CONTROL, "s"), "upper bound": (BOUND, "D")}
    handles = [Line2D([], [], linestyle="none", label=label, **_mark(*look)) for label, look in marks.items()]
    return [*handles, Line2D([], [], color=BAR, linewidth=2.2, label="no pair differs (Wilcoxon, Holm, .05)")]
