"""The table of a trace: means over samples with intervals over videos.

Columns: `kind` (`group`, `step`, `edge`), `stream` (`residual`, `attention`, `mlp`), `layer` (-1: all layers), `part`
(the group's, step's or edge's name), `mean`, `low`, `high`, `videos`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals

PLACE = ("kind", "stream", "layer", "part")
ROWS = ("sample", "task", *PLACE, "share")
COLUMNS = (*PLACE, "mean", "low", "high", "videos")


def means(rows: pd.DataFrame, videos: Mapping[str, Hashable], resampling: Resampling) -> pd.DataFrame:
    """Return COLUMNS from rows of ROWS, in the order in which the rows name them; `videos` by sample."""
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    values = rows.pivot(index="sample", columns=list(PLACE), values="share")
    order = pd.MultiIndex.from_frame(rows[list(PLACE)].drop_duplicates())
    values = values[order]
    data = totals(values.to_numpy("float64"), [videos[sample] for sample in values.index])
    table = order.to_frame(index=False)
    table[["mean", "low", "high", "videos"]] = [tuple(one) for one in intervals(data, resampling)]
    return table.astype({"videos": int})[list(COLUMNS)]
