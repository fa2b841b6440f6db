"""Sums over videos of many columns (a method and a metric each), which are resampled with the same draws."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from attrib.benchmarks.stats.centred import Centred
from attrib.benchmarks.stats.products import (
    WIDTH,
    FewerColumns,
    Floats,
    Indices,
    Numbers,
    alike,
    mean_levels,
    of_columns,
    rests,
)

FEW = 64  # cells up to which each column is summed by itself, which takes no longer than a difference
CLOSE = 0.01  # share of the size of two columns below which their differences are computed by themselves
NEAR = 1e-12  # relative: numbers that differ by less were added in another order


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums and numbers of the defined values: `sums`, `sizes` (cells, columns).

    A cell is what a video has in a stratum; `videos`, `strata` (cells,) are indices, sorted by stratum and video. A
    column's mean is the mean over the strata (tasks) of sum / size; with one stratum, the mean over samples.
    """

    sums: Numbers
    sizes: Floats
    videos: Indices
    strata: Indices
    source: FewerColumns | None = None  # fewer columns of which these are differences

    def __post_init__(self) -> None:
        if self.sums.ndim != 2 or self.sums.shape != self.sizes.shape or len(self.sums) != len(self.videos):
            raise ValueError(f"expected two arrays of (cells, columns), got {self.sums.shape}, {self.sizes.shape}")

    @cached_property
    def count(self) -> int:
        """Number of videos."""
        return int(self.videos.max(initial=-1)) + 1

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Cells of each stratum."""
        ends = np.flatnonzero(np.diff(self.strata, append=-1)) + 1
        return tuple(slice(int(start), int(end)) for start, end in zip([0, *ends], ends, strict=False))

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(videos, columns) True where a video gave a value."""
        return np.asarray(self.summed(self.sizes) > 0)

    @cached_property
    def counts(self) -> Floats:
        """(strata, columns) numbers of values."""
        return self._by_stratum(self.sizes)

    @cached_property
    def shares(self) -> Floats:
        """(strata, columns) share of a column's mean that a unit of a stratum's sum has."""
        strata = np.maximum((self.counts > 0).sum(axis=0), 1)
        return np.asarray(1 / np.where(self.counts > 0, self.counts * strata, np.inf))

    @cached_property
    def scale(self) -> Floats:
        """(columns,) largest sum of a cell, of which NEAR is what rounding may change."""
        return np.asarray(np.abs(self.sums).max(axis=0, initial=0)) if self.source is None else self.source.scale()

    def summed(self, cells: NDArray[Any]) -> NDArray[Any]:
        """(videos, columns) sums of what is given of each cell."""
        if len(self.slices) == 1:
            return cells
        result = np.zeros((self.count, cells.shape[1]), cells.dtype)
        for part in self.slices:
            result[self.videos[part]] += cells[part]
        return result

    def take(self, videos: Indices, columns: Any) -> Totals:
        """Select videos and columns."""
        new = np.full(self.count, -1)
        new[videos] = np.arange(len(videos))
        cells = np.flatnonzero(new[self.videos] >= 0)
        source = self.source and self.source.take(cells, columns)
        _, strata = np.unique(self.strata[cells], return_inverse=True)
        return Totals(self.sums[cells][:, columns], self.sizes[cells][:, columns], new[self.videos[cells]], strata,
                      source)  # fmt: skip

    def to(self, kind: type[np.floating[Any]]) -> Totals:
        """Return the same with products in single or double precision."""
        if self.source is None:
            return replace(self, sums=self.sums.astype(kind))
        return replace(self, source=self.source.to(kind))

    def by_columns(self, function: Callable[[Totals], Floats]) -> Floats:
        """Apply a function to some columns at a time, which bounds its memory, and join along the last axis."""
        parts = [
            function(
                replace(self, sums=self.sums[:, at : at + WIDTH], sizes=self.sizes[:, at : at + WIDTH], source=None)
            )
            for at in range(0, max(1, self.sums.shape[1]), WIDTH)
        ]
        return np.concatenate(parts, axis=-1)

    def products(self, weights: NDArray[Any]) -> Iterator[tuple[int, slice, Numbers]]:
        """Yield a stratum, some columns, and their sums when each video counts `weights` (videos, draws) times."""
        products = of_columns(self.sums) if self.source is None else self.source.products
        for stratum, cells in enumerate(self.slices):
            own = weights if len(self.slices) == 1 else weights[self.videos[cells]]
            for columns, sums in products(cells, own):
                yield stratum, columns, sums

    def means(self, weights: NDArray[Any]) -> Floats:
        """(columns, draws) means when each video counts `weights` (draws, videos) times; NaN where nothing is left."""
        data = self.centred(np.float64)
        return np.asarray(data.means(weights.T, np.empty((len(data.level), len(weights)))) + data.level[:, None])

    def centred(self, kind: type[np.floating[Any]]) -> Centred:
        """Return the columns with a level of each taken from each of its values.

        Draws of a mean are then numbers as small as their deviations, which have as many digits in single precision.
        """
        few = len(self.sums) <= FEW
        if self.source is None or few:
            level = mean_levels(self.sums, self.sizes)
            away = (self.sums - level * self.sizes).astype(kind)
            sums, scale = of_columns(away), np.asarray(np.abs(away).max(axis=0, initial=0))
        else:
            source, level = self.source.centred(self.sizes)
            sums, scale = source.to(kind).products, source.scale()
        counts = of_columns(self.sizes.astype(kind)) if few else alike(self.sizes).to(kind).products
        strata = tuple((cells, self.videos[cells]) for cells in self.slices)
        return Centred(level, scale, sums, counts, strata, kind)

    def mean(self) -> Floats:
        """(columns,) means, each video once."""
        shares = self._by_stratum(self.sums) * self.shares
        return np.where((self.counts > 0).any(axis=0), shares.sum(axis=0), np.nan)

    def by_video(self) -> Floats:
        """(videos, columns) means over each video's own values, NaN where it has none."""
        sums, sizes = self.summed(self.sums), self.summed(self.sizes)
        return np.asarray(np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0))

    def influence(self) -> Floats:
        """(videos, columns) influence of each video on its column's mean; they sum to 0.

        The deviations of the videos' sums from what their sizes would give, as shares of the whole.
        """
        centred = self.sums - self.sizes * self._levels[self.strata]
        return self.summed(centred * self.shares[self.strata])

    def contributions(self) -> Floats:
        """(videos, columns) contribution of each video to its column's mean; they sum to the mean."""
        return self.summed(self.sums * self.shares[self.strata])

    def without_each(self) -> Floats:
        """(videos, columns) means that leave one video out."""
        if len(self.slices) == 1:
            rest = self.counts - self.sizes
            left = self._by_stratum(self.sums) - self.sums
            return np.divide(left, rest, out=np.full_like(rest, np.nan), where=rest > 0)
        level, rest = self._levels[self.strata], self.counts[self.strata] - self.sizes
        left = self._by_stratum(self.sums)[self.strata] - self.sums
        left = np.divide(left, rest, out=np.zeros_like(rest), where=rest > 0)
        changed = np.where(self.sizes > 0, left - level, 0.0)
        strata = (self.counts > 0).sum(axis=0) - self.summed(((rest <= 0) & (self.sizes > 0)).astype(np.float64))
        total = self._levels.sum(axis=0) + self.summed(changed)
        return np.divide(total, strata, out=np.full_like(total, np.nan), where=strata > 0)

    @cached_property
    def _levels(self) -> Floats:
        """(strata, columns) means; 0 where a stratum has no value."""
        sums = self._by_stratum(self.sums)
        return np.asarray(np.divide(sums, self.counts, out=np.zeros_like(sums), where=self.counts > 0))

    def _by_stratum(self, cells: Numbers) -> Floats:
        sums = [cells[part].sum(axis=0) for part in self.slices]
        return np.array(sums).reshape(len(sums), cells.shape[1])


def totals(values: Floats, videos: Sequence[Hashable], strata: Sequence[Hashable] | None = None) -> Totals:
    """Totals of `values` (n, columns) by their rows' video and, where given, stratum; NaNs are left out."""
    rows, count = codes(videos)
    groups, _ = codes(strata) if strata is not None else (np.zeros(len(values), np.intp), 1)
    if not len(values) == len(rows) == len(groups):
        raise ValueError(f"expected one video per value, got {len(values)} values and {len(rows)} videos")
    _, first, which = np.unique(groups * max(count, 1) + rows, return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=-1))
    sums, sizes = (
        each[order] if len(first) == len(values) else np.add.reduceat(each[order], starts)
        for each in (np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))
    )
    return Totals(sums, sizes, rows[first], groups[first])


def differences(data: Totals, given: Totals, one: Indices, two: Indices) -> Totals:
    """Return `data`, the totals of the columns `one` minus `two` where both have a value, with `given` as source.

    Differences that are small beside their columns would lose their digits, and are all rest.
    """
    size, away = np.abs(given.sums).sum(axis=0)[one], np.abs(data.sums).sum(axis=0)
    two = np.where(away <= CLOSE * size, one, two)
    source = FewerColumns(given.sums, given.sizes, one, two, sparse.csc_array(data.sums.shape))

    def rest(part: slice) -> Numbers:
        away = data.sums[:, part] - (given.sums[:, one[part]] - given.sums[:, two[part]])
        return np.where(source.uneven(data.sizes[:, part], part) | (one == two)[part], away, 0.0)

    return replace(data, source=replace(source, rest=rests(data.sums.shape, rest)))


def joined(given: Totals, away: Totals) -> Totals:
    """Return the columns of `given`, then those of `away`, which are differences of them."""
    source, count = away.source, given.sums.shape[1]
    assert source is not None and source.two is not None
    few, sizes = (np.column_stack([of, np.zeros(len(of))]) for of in (given.sums, given.sizes))
    one, two = np.append(np.arange(count), source.one), np.append(np.full(count, -1), source.two)
    rest = sparse.csc_array(sparse.hstack([sparse.csc_array(given.sums.shape), source.rest]))
    return replace(
        given, sums=np.hstack([given.sums, away.sums]), sizes=np.hstack([given.sizes, away.sizes]),
        source=FewerColumns(few, sizes, one, two, rest),
    )  # fmt: skip


def codes(names: Sequence[Hashable]) -> tuple[Indices, int]:
    """Return each name's index among the sorted names, and the number of different names."""
    indices = {name: index for index, name in enumerate(sorted(set(names), key=str))}
    return np.array([indices[name] for name in names], np.intp), len(indices)
