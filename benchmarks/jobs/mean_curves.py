"""The curves that a run kept, as readers of a run want them: alike in their steps, so that means can be taken."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.perturb.curves import STEPS

HEIGHTS = ("log_odds", "probability")
CURVE = ["sample", "video", "method", "imputer", "order"]  # what one curve is of
CHANCE = ""  # the method of the random order that chance is read from
COLUMNS = [*CURVE, "fraction", *HEIGHTS]


def kept_curves(run: FinishedRun) -> pd.DataFrame:
    """Rows of COLUMNS, each curve at STEPS, linearly between its own points; empty where the run has none.

    Videos differ in their number of cells, and so in the exact shares at which they were asked. Raises InputError for
    a table that cannot be read.
    """
    table = run.long("curves")
    if table is None or table.empty or not {*COLUMNS}.issubset(table.columns):
        return pd.DataFrame(columns=COLUMNS)
    parts = []
    for names, part in table.groupby(CURVE, sort=False, dropna=False):
        ordered = part.sort_values("fraction")
        at = ordered["fraction"].to_numpy(np.float64)
        heights = {name: np.interp(STEPS, at, ordered[name].to_numpy(np.float64)) for name in HEIGHTS}
        owner = {key: CHANCE if pd.isna(name) else str(name) for key, name in zip(CURVE, names, strict=True)}
        parts.append(pd.DataFrame({**owner, "fraction": STEPS, **heights}))
    return pd.concat(parts, ignore_index=True)
