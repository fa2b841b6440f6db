"""Mean deletion and insertion curves over videos, with a band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.finished import Finished
from attrib.benchmarks.perturbation import STEPS
from attrib.benchmarks.report.numbers import number, text
from attrib.benchmarks.statistics import intervals, totals

RESAMPLES = 1_000  # enough for a band
HEIGHTS = ("log_odds", "probability")
Floats = NDArray[np.float64]


def lines(run: Finished) -> dict[str, Any]:
    """Steps (shares of the cells), and each mean curve with its 95 % band over videos; method "" is chance.

    Videos differ in their number of cells and so in the exact shares: each curve is read at STEPS, linearly between
    its own points.
    """
    table = run.long("curves")
    if table is None or table.empty:
        return {"steps": list(STEPS), "rows": []}
    curves = [(names, _heights(part)) for names, part in _each(table)]
    groups: dict[tuple[str, ...], list[tuple[str, Floats]]] = {}
    for (_, video, *names), heights in curves:
        groups.setdefault(tuple(names), []).append((video, heights))
    return {"steps": list(STEPS), "rows": [_row(names, found) for names, found in groups.items()]}


def _each(table: pd.DataFrame) -> Any:
    names = ["sample", "video", "method", "imputer", "order"]
    for found, part in table.groupby(names, sort=False, dropna=False):
        yield tuple(map(text, found)), part.sort_values("fraction")


def _heights(part: pd.DataFrame) -> Floats:
    """Log-odds, then probability, each at STEPS: (2 steps,)."""
    at = part["fraction"].to_numpy(np.float64)
    return np.concatenate([np.interp(STEPS, at, part[name].to_numpy(np.float64)) for name in HEIGHTS])


def _row(names: tuple[str, ...], found: list[tuple[str, Floats]]) -> dict[str, Any]:
    method, imputer, order = names
    videos = [video for video, _ in found]
    ends = intervals(totals(np.stack([heights for _, heights in found]), videos), resamples=RESAMPLES)
    count = len(STEPS)
    bands = {
        of: [[number(end.mean), number(end.low), number(end.high)] for end in ends[place : place + count]]
        for of, place in zip(HEIGHTS, (0, count), strict=True)
    }
    return {"method": method, "imputer": imputer, "order": order, "videos": len(set(videos)), **bands}
