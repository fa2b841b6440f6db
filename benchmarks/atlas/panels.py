"""Lower panels of the atlas: points with intervals over videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.multiple import ALPHA

_INK, _FAINT, _GRID = "#1a1b20", "#5c606b", "#d9dade"
# Okabe and Ito: distinct in every common kind of colour vision
_OWN, _OTHER, _THIRD, _FOURTH = "#d55e00", "#0072b2", "#5c606b", "#56b4e9"
Interval = Mapping[str, Any]


def panel_of_choice(axes: Any, selection: Mapping[str, Any]) -> None:
    """Draw chosen heads on the other half, beside all heads and random ones; hollow: on the half of the choice."""
    groups = [*zip(("half 2", "half 1"), selection["halves"], strict=True), ("both", selection["both"])]
    for row, (_, interval) in enumerate(groups):
        _point(axes, row - 0.24, interval["chosen"], _OWN, "o")
        if "where_chosen" in interval:
            axes.plot(interval["where_chosen"]["mean"], row - 0.24, "o", markersize=3.4, color=_OWN,
                      markerfacecolor="white", markeredgewidth=0.7)  # fmt: skip
        _point(axes, row, interval["all_heads"], _OTHER, "s")
        _point(axes, row + 0.24, interval["random_heads"], _THIRD, "D")
    axes.axvline(selection["chance"], color=_INK, linewidth=0.6, linestyle=(0, (3, 2)))
    name = selection["statistic"].replace("_", " ").replace("auc", "AUC")
    _finish(axes, [f"on {label}" for label, _ in groups], f"chosen heads, {name}")
    _legend(axes, (("chosen (hollow: where chosen)", _OWN, "o"), ("all heads", _OTHER, "s"),
                   ("random heads", _THIRD, "D")))  # fmt: skip


def panel_of_knockouts(axes: Any, selection: Mapping[str, Any]) -> None:
    """Draw the log-odds lost without the chosen heads' attention to the evidence, beside the controls."""
    groups = [*zip(("half 2", "half 1"), selection["halves"], strict=True), ("both", selection["both"])]
    looks = {"evidence": (_OWN, "o"), "random_tokens": (_OTHER, "s"), "other_objects": (_FOURTH, "^"),
             "random_heads": (_THIRD, "D")}  # fmt: skip
    for row, (_, interval) in enumerate(groups):
        for index, (name, (colour, shape)) in enumerate(looks.items()):
            _point(axes, row + 0.18 * (index - 1.5), interval["knockout"][name], colour, shape)
    axes.axvline(0, color=_INK, linewidth=0.6, linestyle=(0, (3, 2)))
    _finish(axes, [f"on {label}" for label, _ in groups], "knocked out: log-odds lost (nats)")
    words = ("chosen heads, evidence", "chosen heads, random tokens", "chosen heads, other objects",
             "random heads, evidence")  # fmt: skip
    _legend(axes, [(label, *look) for label, look in zip(words, looks.values(), strict=True)])


def layer_panel(axes: Any, whole: pd.DataFrame) -> None:
    """Draw the worth of each layer's attention to the evidence, minus that to random tokens or other objects."""
    looks = {"layer_knockout": (-0.14, _OTHER, "s"), "layer_knockout_objects": (0.14, _FOURTH, "^")}
    for row in whole[whole["statistic"].isin(looks)].itertuples():
        away, colour, shape = looks[row.statistic]
        interval = {"mean": row.mean, "low": row.low, "high": row.high}
        _point(axes, row.layer + away, interval, colour, shape, upright=True)
        if row.p_max_t < ALPHA:
            axes.annotate("*", (row.layer + away, np.nanmax([row.mean, row.high])), (0, 0), size=7, color=_INK,
                          textcoords="offset points", ha="center", va="bottom")  # fmt: skip
    axes.axhline(0, color=_INK, linewidth=0.6, linestyle=(0, (3, 2)))
    layers = int(whole["layer"].max()) + 1
    axes.set_xlim(-0.6, layers - 0.4)
    axes.set_xticks(range(0, layers, -(-layers // 8)))
    axes.set_title("layer knocked out: evidence minus", loc="left", size=7, color=_INK, pad=3)
    _clean(axes)
    axes.margins(y=0.1)
    _legend(axes, (("random tokens", _OTHER, "s"), ("other objects  (by layer; *: max-T p < .05)", _FOURTH, "^")))


def _point(axes: Any, at: float, interval: Interval, colour: str, shape: str, *, upright: bool = False) -> None:
    mean, low, high = (float("nan") if interval[key] is None else interval[key] for key in ("mean", "low", "high"))
    if not np.isnan(low):
        line = ([at, at], [low, high]) if upright else ([low, high], [at, at])
        axes.plot(*line, color=colour, linewidth=1.0, solid_capstyle="butt")
    axes.plot(*((at, mean) if upright else (mean, at)), shape, color=colour, markersize=3.2, markeredgewidth=0)


def _finish(axes: Any, names: list[str], title: str) -> None:
    axes.set_ylim(len(names) - 0.35, -0.65)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title, loc="left", size=7, color=_INK, pad=3)
    _clean(axes)
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    axes.locator_params(axis="x", nbins=6)


def _clean(axes: Any) -> None:
    axes.tick_params(length=1.5, width=0.4, pad=1.5, labelsize=6, colors=_FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_linewidth(0.4)


def _legend(axes: Any, entries: Sequence[tuple[str, str, str]]) -> None:
    handles = [axes.plot([], [], shape, color=colour, markersize=3.2, markeredgewidth=0, label=label)[0]
               for label, colour, shape in entries]  # fmt: skip
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.02, -0.14), ncols=1, frameon=False, fontsize=5.6,
                handletextpad=0.1, labelspacing=0.15, borderpad=0)  # fmt: skip
