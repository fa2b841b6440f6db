"""Figure of the atlas: layers x heads for each statistic, the chosen heads on the other half, and the knockouts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import CenteredNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attrib.benchmarks.atlas.head_scores import CHANCE, STATISTICS
from attrib.benchmarks.atlas.panels import layer_panel, panel_of_choice, panel_of_knockouts
from attrib.benchmarks.atlas.table import WHOLE_LAYER
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.render.options import colours
from attrib.runtime.files import writing

TITLES = {
    "object_auc": "object AUC", "shuffled_auc": "shuffled AUC", "time_lift": "time lift (bits)",
    "visual_mass": "visual mass", "sink_share": "share of sinks", "spatial_entropy": "spatial entropy (nats)",
}  # fmt: skip
DPI = 200
# Inches
_WIDTH, _LEFT, _RIGHT, _GAP, _BAR = 7.2, 0.42, 0.42, 0.68, 0.07
_TITLE, _TOP, _BELOW, _LOWER, _NOTE = 0.3, 0.24, 0.32, 1.25, 0.118
_INK, _FAINT = "#1a1b20", "#5c606b"
_MOST_NUMBERS = 64  # cells that hold their value in figures
_ACROSS = 3


def draw(path: Path, table: pd.DataFrame, selection: Mapping[str, Any]) -> None:
    """Write PATH.png and PATH.pdf."""
    with matplotlib.rc_context({"pdf.fonttype": 42, "font.size": 6.5, "axes.linewidth": 0.5}):
        figure = _figure(table, selection)
        FigureCanvasAgg(figure)
        for ending, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
            with writing(path.with_name(f"{path.name}.{ending}")) as part:
                figure.savefig(part, dpi=DPI, metadata=metadata)


def _figure(table: pd.DataFrame, selection: Mapping[str, Any]) -> Figure:
    layers, heads = selection["layers"], selection["heads"]
    width = (_WIDTH - _LEFT - _RIGHT - (_ACROSS - 1) * _GAP) / _ACROSS
    tall = float(np.clip(width * layers / heads, 0.9, 2.7))
    notes, lower = _notes(selection), bool(selection["statistic"])
    rows = 2 * (_TOP + tall + _BELOW)
    height = _TITLE + rows + lower * (_TOP + _LOWER + _BELOW + 0.22) + _NOTE * len(notes) + 0.1
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    figure.text(0.12 / _WIDTH, 1 - 0.21 / height, _title(selection), size=9, weight="bold", color=_INK,
                parse_math=False)  # fmt: skip
    for index, name in enumerate(STATISTICS):
        row, column = divmod(index, _ACROSS)
        left, top = _LEFT + column * (width + _GAP), _TITLE + _TOP + row * (_TOP + tall + _BELOW)
        axes = figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, width / _WIDTH, tall / height))
        bar = figure.add_axes(((left + width + 0.06) / _WIDTH, 1 - (top + tall) / height, _BAR / _WIDTH,
                               tall / height))  # fmt: skip
        _map(axes, bar, table[(table["statistic"] == name) & (table["head"] != WHOLE_LAYER)], selection)
        axes.set_ylabel("layer" if column == 0 else "", labelpad=2)
        axes.set_xlabel("head" if row == 1 else "", labelpad=2)
    if lower:
        top = _TITLE + rows + _TOP
        _lower(figure, (top, height), table, selection)
    for index, note in enumerate(reversed(notes)):
        figure.text(0.12 / _WIDTH, (0.07 + index * _NOTE) / height, note, size=5.8, color=_FAINT, parse_math=False)
    return figure


def _title(selection: Mapping[str, Any]) -> str:
    name = Path(selection["model"]).name
    return f"Layers x heads of {name}: what the answer's attention does on {selection['videos']} videos"


def _map(axes: Any, bar: Any, part: pd.DataFrame, selection: Mapping[str, Any]) -> None:
    """One statistic; significant heads carry a mark, chosen ones a frame."""
    name = str(part["statistic"].iloc[0])
    grid = part.pivot(index="layer", columns="head", values="mean").to_numpy()
    chance = CHANCE.get(name)
    norm: Any = Normalize(float(np.nanmin(grid)), float(np.nanmax(grid))) if np.isfinite(grid).any() else None
    if chance is not None:
        norm = CenteredNorm(chance, max(float(np.nanmax(np.abs(grid - chance), initial=0)), 1e-3))
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=_colour_map(chance is not None), norm=norm, origin="lower",
                        aspect="auto", interpolation="none")  # fmt: skip
    axes.set_facecolor("#d9dade")
    axes.figure.colorbar(image, cax=bar)
    bar.tick_params(length=1.5, width=0.4, pad=1, labelsize=5.5, colors=_FAINT)
    bar.locator_params(axis="y", nbins=5)
    bar.spines[:].set_linewidth(0.3)
    if chance is not None:
        bar.axhline(chance, color=_INK, linewidth=0.6)
    axes.set_title(TITLES[name], loc="left", size=7.5, weight="bold", color=_INK, pad=3)
    for axis, count in ((axes.xaxis, grid.shape[1]), (axes.yaxis, grid.shape[0])):
        axis.set_ticks(range(0, count, -(-count // 8)))
    axes.tick_params(length=1.5, width=0.4, pad=1.5, labelsize=6, colors=_FAINT)
    _significant(axes, part, image)
    _frames(axes, selection)


def _colour_map(diverging: bool) -> ListedColormap:
    return ListedColormap(colours(diverging) / 255)


def _significant(axes: Any, part: pd.DataFrame, image: Any) -> None:
    """Mark heads above chance: a dot by max-T, a ring by Benjamini-Hochberg alone; print the values of few heads."""
    numbers = len(part) <= _MOST_NUMBERS
    for row in part.itertuples():
        if np.isnan(row.mean):
            continue
        ink = _contrast(image.cmap(image.norm(row.mean)))
        above = row.mean > row.chance
        kind = "o" if above and row.p_max_t < ALPHA else "ring" if above and row.p_bh < ALPHA else ""
        if kind:
            axes.plot(row.head, row.layer - (0.24 if numbers else 0), "o",
                      markersize=2.6 if numbers else 2.0, color=ink, markeredgewidth=0.5,
                      markerfacecolor=ink if kind == "o" else "none")  # fmt: skip
        if numbers:
            axes.text(row.head, row.layer + 0.03, _short(row.mean), size=5.8, color=ink,
                      ha="center", va="center")  # fmt: skip


def _short(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("0.", ".", 1)


def _contrast(colour: Sequence[float]) -> str:
    red, green, blue = colour[:3]
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.55 else _INK


def _frames(axes: Any, selection: Mapping[str, Any]) -> None:
    """Frame the heads chosen on the first half, and dashed those of the second half: inside, round small cells."""
    small = selection["layers"] * selection["heads"] > _MOST_NUMBERS
    for index, half in enumerate(selection.get("halves", ())):
        inset = (-0.45 * index) if small else 0.03 + 0.09 * index
        for layer, head in half["heads"]:
            for colour, width in (("white", 2.0), (_INK, 1.1)):
                style = (0, (3, 1.5)) if index and colour != "white" else "-"
                corner, side = (head - 0.5 + inset, layer - 0.5 + inset), 1 - 2 * inset
                axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=width,
                                         linestyle=style, clip_on=False))  # fmt: skip


def _lower(figure: Figure, position: tuple[float, float], table: pd.DataFrame, selection: Mapping[str, Any]) -> None:
    """Draw the panels of the chosen heads and of the knockouts."""
    top, height = position
    knocked = "knockout" in selection["both"]
    whole = table[table["head"] == WHOLE_LAYER]
    panels = 1 + knocked + (len(whole) > 0)
    name = 0.78
    width = (_WIDTH - 0.12 - _RIGHT / 2 - panels * name + (len(whole) > 0) * (name - _LEFT)) / panels
    left = 0.12
    for number in range(panels):
        left += _LEFT if number == 2 else name
        axes = figure.add_axes((left / _WIDTH, 1 - (top + _LOWER) / height, width / _WIDTH, _LOWER / height))
        (panel_of_choice, panel_of_knockouts, layer_panel)[number](axes, whole if number == 2 else selection)
        left += width


def _notes(selection: Mapping[str, Any]) -> list[str]:
    notes = [f"Means over {selection['samples']} questions on {selection['videos']} videos. Dot: above chance in max-T "
             "over all heads (p < .05); ring: in Benjamini-Hochberg alone."]  # fmt: skip
    if not selection["statistic"]:
        return [*notes, "No heads chosen: neither object AUC nor shuffled AUC has a value in two videos of each half."]
    name = TITLES[selection["statistic"]]
    notes.append(f"Frames: the {selection['top']} heads of greatest {name} on half 1 (solid) and on half 2 (dashed) of "
                 f"the videos, split at random (seed {selection['seed']}); lower panels: on the videos that they were "
                 "not chosen on.")  # fmt: skip
    if "knockout" in selection["both"]:
        notes.append(
            "Knockouts: log-odds lost, in nats, when the answer may not look at these tokens through these "
            "heads. Bars: 95 % intervals over videos; of random heads' AUC the central 95 % of choices."
        )
    return [line for note in notes for line in textwrap.wrap(note, 172)]
