"""Sums over videos of many columns (a method and a metric each), which are resampled with the same draws."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

WIDTH = 128  # columns of which temporary copies are made at once
DRAWS = 512  # the same of draws: together 512 KB
LIKE = 0.05  # share of cells in which columns of sizes may differ that are counted together
NEAR = 1e-12  # relative: numbers that differ by less were added in another order

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Products = Callable[[slice, Floats], "Iterator[tuple[slice, Floats]]"]  # of cells and their weights, some columns each


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
        largest = np.abs(self.source.few).max(axis=0, initial=0)
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
        """Yield so many draws at a time that the sums of some columns stay in the processor's cache."""
        for at in range(0, len(draws), DRAWS):
            yield slice(at, min(at + DRAWS, len(draws))), draws[at : at + DRAWS]

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

    def products(self, weights: NDArray[Any]) -> Iterator[tuple[int, slice, Floats]]:
        """Yield a stratum, some columns, and their sums when each video counts `weights` (draws, videos) times."""
        for stratum, cells in enumerate(self.slices):
            for columns, sums in self._summed(cells, self._of_cells(weights, cells)):
                yield stratum, columns, sums

    def means(self, weights: NDArray[Any]) -> Floats:
        """(columns, draws) means when each video counts `weights` (draws, videos) times; NaN where nothing is left."""
        total = np.zeros((self.sums.shape[1], len(weights)))
        strata = np.zeros(total.shape, np.int32)
        for cells in self.slices:
            own = self._of_cells(weights, cells)
            for (columns, sums), (_, counts) in zip(self._summed(cells, own), self._counted(cells, own), strict=True):
                known = counts > 0
                sums *= np.divide(1, counts, out=counts, where=known)
                total[columns] += sums
                strata[columns] += known
        if (strata == 1).all():
            return total
        return np.divide(total, strata, out=np.full_like(total, np.nan), where=strata > 0)

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

    @property
    def _summed(self) -> Products:
        return _products(self.sums) if self.source is None else self.source.products

    @cached_property
    def _counted(self) -> Products:
        """Numbers of values, whose columns differ in few cells: those of what failed."""
        return _alike(self.sizes).products

    def _of_cells(self, weights: NDArray[Any], cells: slice) -> Floats:
        """(cells, draws) weight of each cell's video."""
        picked = weights if len(self.slices) == 1 else weights[:, self.videos[cells]]
        return picked.astype(np.float64, copy=False).T


def _products(columns: Floats) -> Products:
    """Return the products of some cells and weights, for some columns at a time."""

    def products(cells: slice, weights: Floats) -> Iterator[tuple[slice, Floats]]:
        result = columns[cells].T @ weights
        return ((part, result[part]) for part in tiles(columns.shape[1]))

    return products


@dataclass(frozen=True, eq=False)
class FewerColumns:
    """Columns as differences of fewer columns: few[:, one] - few[:, two] + rest, which is 0 in most cells.

    A product with `few` (cells, fewer columns) takes a fraction of the time of one with every column.
    """

    few: Floats
    one: Indices
    two: Indices | None  # without: few[:, one] + rest
    rest: sparse.csc_array  # (cells, columns)

    def take(self, cells: Indices, columns: Any) -> FewerColumns:
        """Select cells and columns."""
        two = None if self.two is None else self.two[columns]
        return FewerColumns(self.few[cells], self.one[columns], two, self.rest[cells][:, columns])

    def products(self, cells: slice, weights: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield some columns and their sums (columns, draws) over the cells that count `weights` (cells, draws)."""
        product = self.few[cells].T @ weights
        for columns, places, values in self._blocks:
            result = product[self.one[columns]]
            if self.two is not None:
                result -= product[self.two[columns]]
            some = slice(*np.searchsorted(places, (cells.start, cells.stop)))
            if some.start < some.stop:
                result += values[some].T @ weights[places[some] - cells.start]
            yield columns, result

    @cached_property
    def _blocks(self) -> list[tuple[slice, Indices, Floats]]:
        """Some columns at a time, the cells in which one of them has a rest, and these rests (cells, columns)."""
        blocks = []
        for columns in tiles(len(self.one)):
            rest = self.rest[:, columns]
            places = np.unique(rest.nonzero()[0]).astype(np.intp)
            blocks.append((columns, places, np.asarray(rest[places].toarray(), np.float64)))
        return blocks


def tiles(columns: int) -> Iterator[slice]:
    """Yield some columns at a time."""
    return (slice(at, min(at + WIDTH, columns)) for at in range(0, columns, WIDTH))


def _alike(sizes: Floats) -> FewerColumns:
    """Return columns of sizes as the greatest sizes of those that differ in few cells, plus what each of them lacks."""
    first, which = distinct(sizes)
    different = np.ascontiguousarray(sizes[:, first].T)
    group, groups = np.full(len(first), -1), 0
    while len(left := np.flatnonzero(group < 0)):
        near = (different[left] != different[left[0]]).mean(axis=1) <= LIKE
        group[left[near]] = groups
        groups += 1
    few = np.array([different[group == each].max(axis=0) for each in range(groups)]).reshape(groups, len(sizes)).T
    one = group[which]
    return FewerColumns(few, one, None, _rest(len(sizes), len(one), lambda part: sizes[:, part] - few[:, one[part]]))


def _rest(cells: int, columns: int, of: Callable[[slice], Floats]) -> sparse.csc_array:
    """Return the rests of all columns, which `of` gives for some at a time."""
    parts = [sparse.csc_array(of(part)) for part in tiles(columns)]
    return sparse.csc_array(sparse.hstack(parts) if parts else (cells, columns))


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
    """Return `data`, the totals of the columns `one` minus `two` where both have a value, with `given` as source."""

    def rest(part: slice) -> Floats:
        first, second = one[part], two[part]
        sizes = data.sizes[:, part]
        uneven = (sizes != given.sizes[:, first]) | (sizes != given.sizes[:, second])
        return np.where(uneven, data.sums[:, part] - (given.sums[:, first] - given.sums[:, second]), 0.0)

    return replace(data, source=FewerColumns(given.sums, one, two, _rest(len(data.sums), len(one), rest)))


def joined(given: Totals, away: Totals) -> Totals:
    """Return the columns of `given`, then those of `away`, which are differences of them."""
    source, count = away.source, given.sums.shape[1]
    assert source is not None and source.two is not None
    few = np.column_stack([given.sums, np.zeros(len(given.sums))])
    one = np.concatenate([np.arange(count), source.one])
    two = np.concatenate([np.full(count, count), source.two])
    rest = sparse.csc_array(sparse.hstack([sparse.csc_array(given.sums.shape), source.rest]))
    return replace(
        given, sums=np.hstack([given.sums, away.sums]), sizes=np.hstack([given.sizes, away.sizes]),
        source=FewerColumns(few, one, two, rest),
    )  # fmt: skip


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
