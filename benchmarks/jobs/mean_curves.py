"""Curves of a finished run, interpolated to common steps so that they can be averaged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.perturb.curves import STEPS

HEIGHTS = ("log_odds", "probability")
CURVE = ["sample", "video", "method", "imputer", "order"]  # columns that identify a curve
CHANCE = ""  # method of the random order, which gives the chance levels
COLUMNS = [*CURVE, "fraction", *HEIGHTS]


def interpolated_curves(run: FinishedRun) -> pd.DataFrame:
    """Return rows of COLUMNS, each curve interpolated linearly at STEPS; empty if the run has no curves.

    Videos differ in their number of cells, and so in the exact shares of removed cells. Raises InputError for a table
    that cannot be read.
    """
    table = run.long("curves")
    if table is None or table.empty or not {*COLUMNS}.issubset(table.columns):
        return pd.DataFrame(columns=COLUMNS)
    curves = []
    for names, points in table.groupby(CURVE, sort=False, dropna=False):
        ordered = points.sort_values("fraction")
        fractions = ordered["fraction"].to_numpy(np.float64)
        heights = {name: np.interp(STEPS, fractions, ordered[name].to_numpy(np.float64)) for name in HEIGHTS}
        owner = {key: CHANCE if pd.isna(name) else str(name) for key, name in zip(CURVE, names, strict=True)}
        curves.append(pd.DataFrame({**owner, "fraction": STEPS, **heights}))
    return pd.concat(curves, ignore_index=True)
