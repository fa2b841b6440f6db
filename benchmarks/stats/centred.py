"""Means of many columns under many draws, as quotients of products, less a level of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.stats.products import Floats, Indices, Numbers, Products


@dataclass(frozen=True, eq=False)
class Centred:
    """Columns of which each value is less by its column's `level`; see Totals.centred.

    `scale`: the largest size of a cell of each. `sums` and `counts` are the products of weights with the columns' sums
    and with their numbers of values, `strata` the cells of each stratum and the video of each of these cells. `kind`:
    single or double precision.
    """

    level: Floats
    scale: Floats
    sums: Products
    counts: Products
    strata: tuple[tuple[slice, Indices], ...]
    kind: type[np.floating[Any]]

    def means(self, weights: NDArray[Any], out: Numbers) -> Numbers:
        """Write means less `level` to `out` (columns, draws), where each video counts `weights` (videos, draws) times.

        NaN where nothing is left.
        """
        if len(self.strata) == 1:
            self._quotients(self.strata[0], weights, out)
            return out
        out[:], strata = 0, np.zeros(out.shape, np.int16)
        for stratum in self.strata:
            own = self._quotients(stratum, weights, np.empty_like(out))
            known = ~np.isnan(own)
            np.add(out, own, out=out, where=known)
            strata += known
        with np.errstate(invalid="ignore"):
            return np.divide(out, strata, out=out)

    def _quotients(self, stratum: tuple[slice, Indices], weights: NDArray[Any], out: Numbers) -> Numbers:
        cells, videos = stratum
        own = np.ascontiguousarray(weights if len(videos) == len(weights) else weights[videos], self.kind)
        for (columns, sums), (_, counts) in zip(self.sums(cells, own), self.counts(cells, own), strict=True):
            if counts.min(initial=1) <= 0:
                counts[counts <= 0] = np.nan
            np.divide(sums, counts, out=out[columns])
        return out
