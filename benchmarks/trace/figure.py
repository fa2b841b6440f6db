"""Figure of a trace: what each group restores by layer and stream, which steps, and what cut edges lose."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from attrib.benchmarks.trace.edges import EVERY
from attrib.render.options import colours
from attrib.runtime.files import writing

DPI = 200
# Inches
_WIDTH, _LEFT, _RIGHT, _GAP = 7.2, 0.46, 0.12, 0.22
_TITLE, _PANEL, _LOWER, _BETWEEN, _LEGEND, _NOTE = 0.46, 1.55, 1.6, 0.36, 0.36, 0.118
_INK, _FAINT, _GRID = "#1a1b20", "#5c606b", "#d9dade"
# Okabe and Ito: distinct in every common kind of colour vision
GROUPS = {
    "evidence": ("evidence object", "#d55e00", "-"), "video": ("video", "#d55e00", "-"),
    "same_object": ("same object, other times", "#e69f00", "-"), "other_objects": ("other objects", "#56b4e9", "-"),
    "background": ("background", "#a5a8b1", "-"), "random": ("random tokens, as many", "#1a1b20", ":"),
    "text": ("text", "#0072b2", "-"), "last": ("last token", "#009e73", "-"),
}  # fmt: skip
EDGES = {
    "frame_frame": ("frame to frame", "#a5a8b1", "-"), "video_text": ("video to text", "#0072b2", "-"),
    "evidence_text": ("evidence to text", "#0072b2", ":"), "text_last": ("text to last token", "#009e73", "-"),
    "video_last": ("video to last token", "#d55e00", "-"), "evidence_last": ("evidence to last token", "#d55e00", ":"),
}  # fmt: skip
STREAMS = {"residual": "residual stream after the layer", "attention": "attention's output", "mlp": "MLP's output"}
_MOST_NUMBERS = 80  # cells that hold their value in figures
Looks = Mapping[str, tuple[str, str, str]]


def draw(path: Path, table: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """Write PATH.png and PATH.pdf."""
    with matplotlib.rc_context({"pdf.fonttype": 42, "font.size": 6.5, "axes.linewidth": 0.5}):
        figure = _figure(table, about)
        FigureCanvasAgg(figure)
        for ending, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
            with writing(path.with_name(f"{path.name}.{ending}")) as part:
                figure.savefig(part, dpi=DPI, metadata=metadata)


def _figure(table: pd.DataFrame, about: Mapping[str, Any]) -> Figure:
    notes = _notes(about)
    height = _TITLE + _PANEL + _LEGEND + _BETWEEN + _LOWER + _LEGEND + 0.3 + _NOTE * len(notes)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    name = "the built-in model" if about["model"] == "demo" else Path(about["model"]).name
    figure.text(0.12 / _WIDTH, 1 - 0.21 / height, f"How the answer travels through {name}", size=9, weight="bold",
                color=_INK, parse_math=False)  # fmt: skip
    _upper(figure, table, _TITLE, height)
    _lower(figure, table, _TITLE + _PANEL + _LEGEND + _BETWEEN, height)
    for index, note in enumerate(reversed(notes)):
        figure.text(0.12 / _WIDTH, (0.07 + index * _NOTE) / height, note, size=5.8, color=_FAINT, parse_math=False)
    return figure


def _upper(figure: Figure, table: pd.DataFrame, top: float, height: float) -> None:
    """Draw the groups' curves in each stream, on one scale."""
    own = table[table["kind"] == "group"]
    streams = [stream for stream in STREAMS if (own["stream"] == stream).any()]
    width = (_WIDTH - _LEFT - _RIGHT - (len(streams) - 1) * _GAP) / len(streams)
    limits = _limits(own)
    for index, stream in enumerate(streams):
        axes = _axes(figure, (_LEFT + index * (width + _GAP), top, width, _PANEL), height)
        _curves(axes, own[own["stream"] == stream], GROUPS)
        _finish(axes, STREAMS[stream], limits)
        axes.set_ylabel("share of the answer restored" if index == 0 else "", labelpad=2)
        axes.tick_params(axis="y", labelleft=index == 0)
        if index == 0:
            _legend(axes, [look for name, look in GROUPS.items() if (own["part"] == name).any()], 7)


def _lower(figure: Figure, table: pd.DataFrame, top: float, height: float) -> None:
    """Draw layers x steps, and what cut edges lose."""
    steps, edges = table[table["kind"] == "step"], table[table["kind"] == "edge"]
    half = (_WIDTH - _LEFT - _RIGHT - 0.75) / 2
    axes = _axes(figure, (_LEFT, top, half, _LOWER), height)
    bar = _axes(figure, (_LEFT + half + 0.06, top, 0.07, _LOWER), height)
    _map(axes, bar, steps, has_start=bool((table["part"] == "evidence").any()))
    if len(edges):
        axes = _axes(figure, (_LEFT + half + 0.75, top, half, _LOWER), height)
        windows = edges[edges["layer"] != EVERY]
        _curves(axes, windows, EDGES)
        _whole(axes, edges[edges["layer"] == EVERY], int(windows["layer"].max()))
        _finish(axes, "attention cut around the layer", _limits(edges))
        axes.set_ylabel("share of the answer lost", labelpad=2)
        _legend(axes, [look for name, look in EDGES.items() if (edges["part"] == name).any()], 3)


def _axes(figure: Figure, place: tuple[float, float, float, float], height: float) -> Any:
    """Axes at (left, top, width, height) in inches from the upper left corner."""
    left, top, wide, tall = place
    return figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, wide / _WIDTH, tall / height))


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    ends = table[["mean", "low", "high"]].to_numpy(float)
    return min(-0.1, float(np.nanmin(ends)) - 0.05), max(1.1, float(np.nanmax(ends)) + 0.05)


def _curves(axes: Any, table: pd.DataFrame, looks: Looks) -> None:
    """Draw a line for each part, solid ones with their intervals."""
    for name, (_, colour, style) in looks.items():
        own = table[table["part"] == name].sort_values("layer")
        if len(own):
            x, mean, low, high = (own[key].to_numpy(float) for key in ("layer", "mean", "low", "high"))
            if style == "-":
                axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
            axes.plot(x, mean, style, color=colour, linewidth=1.2, marker="o", markersize=2.2, markeredgewidth=0)


def _whole(axes: Any, table: pd.DataFrame, top: int) -> None:
    """Draw the cuts in all layers at the right, apart from the windows, in a fifth of their width or one layer's."""
    unit = max(1.0, (top + 1) / 5)
    at = top + unit
    for index, (name, (_, colour, style)) in enumerate(EDGES.items()):
        for row in table[table["part"] == name].itertuples():
            x, filled = at + 0.09 * unit * (index - 2.5), style == "-"
            axes.plot([x, x], [row.low, row.high], color=colour, linewidth=1.0, linestyle=style)
            axes.plot(x, row.mean, "o", color=colour, markersize=3.2, markerfacecolor=colour if filled else "white",
                      markeredgewidth=0.7)  # fmt: skip
    axes.axvline(at - 0.5 * unit, color=_GRID, linewidth=0.6)
    axes.set_xlim(-0.3 * unit, at + 0.4 * unit)
    ticks = _ticks(top + 1)
    axes.set_xticks([*ticks, at], [*map(str, ticks), "all"])


def _ticks(layers: int) -> list[int]:
    return list(range(0, layers, -(-layers // 8)))


def _finish(axes: Any, title: str, limits: tuple[float, float]) -> None:
    for level in (0, 1):
        axes.axhline(level, color=_GRID, linewidth=0.6, zorder=0)
    axes.set_ylim(*limits)
    axes.set_title(title, loc="left", size=7.5, weight="bold", color=_INK, pad=3)
    axes.set_xlabel("layer", labelpad=1)
    axes.tick_params(length=1.5, width=0.4, pad=1.5, labelsize=6, colors=_FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    if len(axes.get_xticklabels()) and axes.get_xticklabels()[-1].get_text() != "all":
        low, high = (round(end) for end in axes.dataLim.intervalx)
        axes.set_xticks([layer for layer in _ticks(high + 1) if layer >= low])


def _legend(axes: Any, looks: Sequence[tuple[str, str, str]], columns: int) -> None:
    handles = [axes.plot([], [], style, color=colour, linewidth=1.4, label=label)[0] for label, colour, style in looks]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.19), ncols=columns, frameon=False, fontsize=6,
                handlelength=1.5, handletextpad=0.4, columnspacing=0.9, labelspacing=0.25, borderpad=0,
                borderaxespad=0)  # fmt: skip


def _map(axes: Any, bar: Any, steps: pd.DataFrame, *, has_start: bool) -> None:
    """Draw layers x steps: those that at least half of the videos have."""
    known = steps.assign(step=steps["part"].astype(int))
    known = known[known["videos"] >= max(1, known["videos"].max() / 2)]
    grid = known.pivot(index="layer", columns="step", values="mean")
    first, last = int(grid.columns[0]), int(grid.columns[-1])
    low, high = int(grid.index[0]), int(grid.index[-1])
    image = axes.imshow(grid, cmap=ListedColormap(colours(False) / 255), vmin=0, vmax=1, origin="lower", aspect="auto",
                        interpolation="none", extent=(first - 0.5, last + 0.5, low - 0.5, high + 0.5))  # fmt: skip
    axes.figure.colorbar(image, cax=bar)
    bar.tick_params(length=1.5, width=0.4, pad=1, labelsize=5.5, colors=_FAINT)
    bar.spines[:].set_linewidth(0.3)
    axes.set_title("visual tokens of one step, residual stream", loc="left", size=7.5, weight="bold", color=_INK, pad=3)
    axes.set_xlabel("steps since the evidence begins" if has_start else "step of the clip", labelpad=1)
    axes.set_ylabel("layer", labelpad=2)
    axes.set_xticks([step for step in grid.columns if step % -(-len(grid.columns) // 10) == 0])
    axes.set_yticks([layer for layer in _ticks(high + 1) if layer >= low])
    axes.tick_params(length=1.5, width=0.4, pad=1.5, labelsize=6, colors=_FAINT)
    if has_start:
        axes.axvline(-0.5, color="white", linewidth=1.0, linestyle=(0, (3, 2)))
    for (layer, step), share in grid.stack().items() if grid.size <= _MOST_NUMBERS else ():
        red, green, blue, _ = image.cmap(image.norm(share))
        colour = _INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else "white"
        axes.text(step, layer, f"{round(share, 2) + 0.0:.2f}", size=5, ha="center", va="center", color=colour)


def _notes(about: Mapping[str, Any]) -> list[str]:
    found = about["finding"]
    notes = [found["sentence"]] if found else []
    count = f"{about['traced']} of {about['samples']} questions on {about['videos']} videos"
    notes.append(
        f"Means over {count}, corrupt video: {', '.join(about['against'])}; bands and bars: 95 % intervals over "
        "videos. Restored: of the log-odds between the corrupt and the clean run, by carrying these states from the "
        "clean into the corrupt one; lost: from the clean run, by cutting this attention."
    )
    return [line for note in notes for line in textwrap.wrap(note, 166)]
