"""Layers x heads as one long table: means over samples with intervals over videos, and tests corrected for all heads.

Columns: `layer`, `head` (-1: all heads of the layer), `statistic`, `mean`, `low`, `high`, `chance`, `p_max_t`, `p_bh`,
`videos`. p-values are one-sided, above chance, by sign flips of whole videos: `p_max_t` for any false one among all
heads of the statistic (Westfall and Young 1993), `p_bh` for their share among those found (Benjamini, Hochberg 1995).
Statistics without a chance level have none.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from attrib.benchmarks.atlas.head_scores import CHANCE, STATISTICS
from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.multiple import benjamini_hochberg
from attrib.benchmarks.stats.permutation import max_t, one_sided
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals

COLUMNS = ("layer", "head", "statistic", "mean", "low", "high", "chance", "p_max_t", "p_bh", "videos")
WHOLE_LAYER = -1


def head_table(values: Floats, videos: Sequence[Hashable], resampling: Resampling) -> pd.DataFrame:
    """Return the table of `values` (samples, statistics, layers, heads), given ends sample's video."""
    layers, heads = values.shape[2:]
    indices = [(layer, head) for layer in range(layers) for head in range(heads)]
    tables = [rows(values[:, index].reshape(len(values), -1), videos, indices, name, resampling)
             for index, name in enumerate(STATISTICS)]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def rows(
    values: Floats, videos: Sequence[Hashable], heads: Sequence[tuple[int, int]], statistic: str, resampling: Resampling
) -> pd.DataFrame:
    """Return one statistic's rows from `values` (samples, heads); one that is not a head's own is compared with 0."""
    chance = CHANCE.get(statistic, np.nan if statistic in STATISTICS else 0.0)
    own = totals(values, videos)
    table = pd.DataFrame(heads, columns=["layer", "head"])
    table["statistic"] = statistic
    ends = intervals(own, resampling)
    table[["mean", "low", "high"]] = [(one.mean, one.low, one.high) for one in ends]
    table["chance"] = chance
    above = totals(values - chance, videos)
    undefined = np.full(len(heads), np.nan)
    table["p_max_t"] = undefined if np.isnan(chance) else max_t(above, resampling)
    single = undefined if np.isnan(chance) else one_sided(above, resampling)
    table["p_bh"] = benjamini_hochberg(single)
    table["videos"] = [one.videos for one in ends]
    return table[list(COLUMNS)]
