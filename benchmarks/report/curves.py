"""Mean deletion and insertion curves with their 95 % bands over videos."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.mean_curves import CURVE, HEIGHTS, interpolated_curves
from attrib.benchmarks.perturb.curves import STEPS
from attrib.benchmarks.report.json_values import number
from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals

RESAMPLES = 1_000  # enough for a band


def lines(run: FinishedRun) -> dict[str, Any]:
    """Steps (fractions of the cells) and, for each curve, mean and 95 % band over videos; method "" is chance."""
    groups = interpolated_curves(run).groupby(["method", "imputer", "order"], sort=False)
    return {"steps": list(STEPS), "rows": [_row(names, part) for names, part in groups]}


def _row(names: tuple[Hashable, ...], part: pd.DataFrame) -> dict[str, Any]:
    method, imputer, order = names
    each = part.pivot(index=CURVE[:2], columns="fraction", values=list(HEIGHTS))  # (samples, heights x steps)
    videos = each.index.get_level_values("video").tolist()
    ends = intervals(totals(each.to_numpy(), videos), Resampling(RESAMPLES))
    count = len(STEPS)
    bands = {
        of: [[number(end.mean), number(end.low), number(end.high)] for end in ends[place : place + count]]
        for of, place in zip(HEIGHTS, (0, count), strict=True)
    }
    return {"method": method, "imputer": imputer, "order": order, "videos": len(set(videos)), **bands}
