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
from attrib.benchmarks.stats.bootstrap import Floats, intervals, totals
from attrib.benchmarks.stats.multiple import benjamini_hochberg
from attrib.benchmarks.stats.permutation import max_t, one_sided
from attrib.benchmarks.stats.resampling import Resampling

COLUMNS = ("layer", "head", "statistic", "mean", "low", "high", "chance", "p_max_t", "p_bh", "videos")
WHOLE_LAYER = -1


def head_table(values: Floats, videos: Sequence[Hashable], draws: Resampling) -> pd.DataFrame:
    """Of `values` (samples, statistics, layers, heads) and each sample's video."""
    layers, heads = values.shape[2:]
    places = [(layer, head) for layer in range(layers) for head in range(heads)]
    parts = [rows(values[:, index].reshape(len(values), -1), videos, places, name, draws)
             for index, name in enumerate(STATISTICS)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def rows(
    values: Floats, videos: Sequence[Hashable], places: Sequence[tuple[int, int]], statistic: str, draws: Resampling
) -> pd.DataFrame:
    """One statistic's rows, of `values` (samples, places); a statistic that is no head's own is a difference to 0."""
    chance = 0.0 if statistic not in STATISTICS else CHANCE.get(statistic, np.nan)
    found = totals(values, videos)
    table = pd.DataFrame(places, columns=["layer", "head"])
    table["statistic"] = statistic
    each = intervals(found, draws)
    table[["mean", "low", "high"]] = [(one.mean, one.low, one.high) for one in each]
    table["chance"] = chance
    above = totals(values - chance, videos)
    undefined = np.full(len(places), np.nan)
    table["p_max_t"] = undefined if np.isnan(chance) else max_t(above, draws)
    single = undefined if np.isnan(chance) else one_sided(above, draws)
    table["p_bh"] = benjamini_hochberg(single)
    table["videos"] = [one.videos for one in each]
    return table[list(COLUMNS)]
