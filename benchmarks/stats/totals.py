"""Sums over videos of many columns (a method and a metric each), which are resampled with the same draws."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 128  # columns of which temporary copies are made at once
CACHED = 250_000  # sums of all columns at once: 2 MB
NEAR = 1e-12  # relative: numbers that differ by less were added in another order

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums and numbers of the defined values: `sums`, `sizes` (cells, columns).

    A cell is what a video has in a stratum; `videos`, `strata` (cells,) are indices, sorted by stratum and video. A
    column's mean is the mean over the strata (tasks) of sum / size; with one stratum, the mean over samples.
    """

    sums: Floats
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
        if self.source is None:
            return np.asarray(np.abs(self.sums).max(axis=0, initial=0))
        largest = np.abs(self.source.sums).max(axis=0, initial=0)
        return np.maximum(largest[self.source.one], largest[self.source.two])

    def summed(self, cells: NDArray[Any]) -> NDArray[Any]:
        """(videos, columns) sums of what is given of each cell."""
        if len(self.slices) == 1:
            return cells
        result = np.zeros((self.count, cells.shape[1]), cells.dtype)
        for part in self.slices:
            result[self.videos[part]] += cells[part]
        return result

    def parts(self, draws: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield so many draws at a time that sums of all columns stay in the processor's cache."""
        rows = max(32, CACHED // max(1, self.sums.shape[1]))
        for at in range(0, len(draws), rows):
            yield slice(at, min(at + rows, len(draws))), draws[at : at + rows]

    def take(self, videos: Indices, columns: Any) -> Totals:
        """Select videos and columns."""
        new = np.full(self.count, -1)
        new[videos] = np.arange(len(videos))
        cells = np.flatnonzero(new[self.videos] >= 0)
        source = self.source and self.source.take(cells, columns)
        _, strata = np.unique(self.strata[cells], return_inverse=True)
        return Totals(self.sums[cells][:, columns], self.sizes[cells][:, columns], new[self.videos[cells]], strata,
                      source)  # fmt: skip

    def by_columns(self, function: Callable[[Totals], Floats]) -> Floats:
        """Apply a function to some columns at a time, which bounds its memory, and join along the last axis."""
        parts = [
            function(
                replace(self, sums=self.sums[:, at : at + WIDTH], sizes=self.sizes[:, at : at + WIDTH], source=None)
            )
            for at in range(0, max(1, self.sums.shape[1]), WIDTH)
        ]
        return np.concatenate(parts, axis=-1)

    def products(self, weights: NDArray[Any]) -> Iterator[tuple[int, Floats]]:
        """Yield each stratum and its sums (columns, draws) when each video counts `weights` (draws, videos) times."""
        for stratum, cells in enumerate(self.slices):
            picked = self._of_cells(weights, cells)
            yield stratum, self.sums[cells].T @ picked if self.source is None else self.source.product(cells, picked)

    def means(self, weights: NDArray[Any]) -> Floats:
        """(columns, draws) means when each video counts `weights` (draws, videos) times; NaN where nothing is left."""
        sizes, which = self._different_sizes
        total, strata = np.zeros((0, 0)), np.zeros((sizes.shape[1], len(weights)))
        for stratum, sums in self.products(weights):
            cells = self.slices[stratum]
            counts = sizes[cells].T @ self._of_cells(weights, cells)
            strata += counts > 0
            sums *= np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)[which]
            total = total + sums if stratum else sums
        if (strata == 1).all():
            return total
        return np.divide(total, np.where(strata > 0, strata, np.nan)[which], out=total)

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

    def _by_stratum(self, cells: Floats) -> Floats:
        sums = [cells[part].sum(axis=0) for part in self.slices]
        return np.array(sums).reshape(len(sums), cells.shape[1])

    @cached_property
    def _different_sizes(self) -> tuple[Floats, Any]:
        """The different columns of sizes, and which of them each column has."""
        first, which = distinct(self.sizes)
        return self.sizes[:, first], which if len(first) > 1 else slice(None)  # one is shared without copies

    def _of_cells(self, weights: NDArray[Any], cells: slice) -> Floats:
        """(cells, draws) weight of each cell's video."""
        picked = weights if len(self.slices) == 1 else weights[:, self.videos[cells]]
        return picked.astype(np.float64, copy=False).T


@dataclass(frozen=True, eq=False)
class FewerColumns:
    """Columns as differences of fewer columns: sums[:, one] - sums[:, two] + rest, which is 0 in most cells.

    A product with `sums` (cells, fewer columns) takes a fraction of the time of one with every difference.
    """

    sums: Floats
    one: Indices
    two: Indices
    rest: Floats  # (cells, columns), not 0 where only one of the two has a value

    def take(self, cells: Indices, columns: Any) -> FewerColumns:
        """Select cells and columns."""
        return FewerColumns(self.sums[cells], self.one[columns], self.two[columns], self.rest[cells][:, columns])

    def product(self, cells: slice, weights: Floats) -> Floats:
        """(columns, draws) sums of the cells that count `weights` (cells, draws) times."""
        product = self.sums[cells].T @ weights
        result = product[self.one]
        result -= product[self.two]
        for columns, places in self._blocks:
            own = places[(places >= cells.start) & (places < cells.stop)]
            if len(own):
                result[columns] += self.rest[own, columns].T @ weights[own - cells.start]
        return result

    @cached_property
    def _blocks(self) -> list[tuple[slice, Indices]]:
        """Some columns at a time, and the cells in which one of them has a rest."""
        columns = [slice(at, at + WIDTH) for at in range(0, self.rest.shape[1], WIDTH)]
        return [(part, np.flatnonzero(self.rest[:, part].any(axis=1))) for part in columns]


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
        np.add.reduceat(each[order], starts) if len(starts) else np.zeros((0, values.shape[1]))
        for each in (np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))
    )
    return Totals(sums, sizes, rows[first], groups[first])


def differences(data: Totals, given: Totals, one: Indices, two: Indices) -> Totals:
    """Return `data`, the totals of the columns `one` minus `two` where both have a value, with `given` as source."""
    uneven = (data.sizes != given.sizes[:, one]) | (data.sizes != given.sizes[:, two])
    rest = np.where(uneven, data.sums - (given.sums[:, one] - given.sums[:, two]), 0.0)
    return replace(data, source=FewerColumns(given.sums, one, two, rest))


def codes(names: Sequence[Hashable]) -> tuple[Indices, int]:
    """Return each name's index among the sorted names, and the number of different names."""
    indices = {name: index for index, name in enumerate(sorted(set(names), key=str))}
    return np.array([indices[name] for name in names], np.intp), len(indices)


def distinct(columns: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return the indices of the different columns, and for each column which of them it equals."""
    known: dict[bytes, int] = {}
    which = np.array([known.setdefault(column.tobytes(), len(known)) for column in np.ascontiguousarray(columns.T)])
    _, first = np.unique(which, return_index=True)
    return first, which.astype(np.intp)
