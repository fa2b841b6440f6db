"""Products of many columns and of weights of their cells, quicker where columns are differences of few, or alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

WIDTH = 128  # columns of which temporary copies are made at once
LIKE = 0.05  # share of cells in which columns of sizes may differ that are counted together

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Numbers = NDArray[np.floating[Any]]  # single or double precision
# Sums of some cells, each times its weights, for some columns at a time.
Products = Callable[[slice, Numbers], "Iterator[tuple[slice, Numbers]]"]


def of_columns(columns: Numbers) -> Products:
    """Return the products of some cells of `columns` (cells, columns) and their weights, for some columns at a time."""
    turned = np.ascontiguousarray(columns.T)

    def products(cells: slice, weights: Numbers) -> Iterator[tuple[slice, Numbers]]:
        return ((part, turned[part, cells] @ weights) for part in tiles(len(turned)))

    return products


@dataclass(frozen=True, eq=False)
class FewerColumns:
    """Columns as differences of fewer columns: few[:, one] - few[:, two] + rest, which is 0 in most cells.

    A product with `few` (cells, fewer columns) takes a fraction of the time of one with every column. `sizes` are the
    numbers of values in `few`. Where `two` is -1 nothing is taken away: the last of `few` is then 0.
    """

    few: Numbers
    sizes: Numbers
    one: Indices
    two: Indices | None  # without: few[:, one] + rest
    rest: sparse.csc_array  # (cells, columns)

    def take(self, cells: Indices, columns: Any) -> FewerColumns:
        """Select cells and columns."""
        two = None if self.two is None else self.two[columns]
        return FewerColumns(self.few[cells], self.sizes[cells], self.one[columns], two, self.rest[cells][:, columns])

    def to(self, kind: type[np.floating[Any]]) -> FewerColumns:
        """Return the same in single or double precision."""
        return replace(self, few=self.few.astype(kind), rest=self.rest.astype(kind))

    def scale(self) -> Floats:
        """(columns,) largest size of a cell of the fewer columns that each is computed from."""
        largest = np.abs(self.few).max(axis=0, initial=0)
        return np.asarray(largest[self.one] if self.two is None else np.maximum(largest[self.one], largest[self.two]))

    def centred(self, sizes: Numbers) -> tuple[FewerColumns, Floats]:
        """Return these columns less a level of each for each of their values, and the levels; see Totals.centred.

        `sizes` (cells, columns) are the numbers of values of the columns.
        """
        assert self.two is not None
        level = mean_levels(self.few, self.sizes)
        first, second = level[self.one], np.where(self.two < 0, 0.0, level[self.two])

        def changed(part: slice) -> Numbers:
            taken = first[part] * self.sizes[:, self.one[part]] - second[part] * self.sizes[:, self._two[part]]
            return np.where(
                self.uneven(sizes[:, part], part), taken - (first[part] - second[part]) * sizes[:, part], 0.0
            )

        rest = sparse.csc_array(self.rest + rests(sizes.shape, changed))
        return replace(self, few=self.few - level * self.sizes, rest=rest), first - second

    def uneven(self, sizes: Numbers, part: slice) -> NDArray[np.bool_]:
        """Return in which cells some columns have other numbers of values, `sizes`, than what they differ from."""
        second = (self._two[part] >= 0) & (sizes != self.sizes[:, self._two[part]])
        return np.asarray((sizes != self.sizes[:, self.one[part]]) | second)

    def products(self, cells: slice, weights: Numbers) -> Iterator[tuple[slice, Numbers]]:
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

    @property
    def _two(self) -> Indices:
        assert self.two is not None
        return self.two

    @cached_property
    def _blocks(self) -> list[tuple[slice, Indices, Numbers]]:
        """Some columns at a time, the cells in which one of them has a rest, and these rests (cells, columns)."""
        blocks = []
        for columns in tiles(len(self.one)):
            rest = self.rest[:, columns]
            places = np.unique(rest.nonzero()[0]).astype(np.intp)
            blocks.append((columns, places, np.asarray(rest[places].toarray())))
        return blocks


def alike(sizes: Floats) -> FewerColumns:
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
    rest = rests((len(sizes), len(one)), lambda part: sizes[:, part] - few[:, one[part]])
    return FewerColumns(few, few, one, None, rest)


def mean_levels(sums: Numbers, sizes: Numbers) -> Floats:
    """(columns,) means over all values, whatever their stratum; 0 without a value."""
    size = sizes.sum(axis=0)
    return np.asarray(np.divide(sums.sum(axis=0), size, out=np.zeros(len(size)), where=size > 0))


def rests(shape: tuple[int, int], of: Callable[[slice], Numbers]) -> sparse.csc_array:
    """Return the rests of all columns, which `of` gives for some at a time."""
    parts = [sparse.csc_array(of(part)) for part in tiles(shape[1])]
    return sparse.csc_array(sparse.hstack(parts)) if parts else sparse.csc_array(shape)


def tiles(columns: int) -> Iterator[slice]:
    """Yield some columns at a time."""
    return (slice(at, min(at + WIDTH, columns)) for at in range(0, columns, WIDTH))


def distinct(columns: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return the indices of the different columns, and for each column which of them it equals."""
    known: dict[bytes, int] = {}
    which = np.array([known.setdefault(column.tobytes(), len(known)) for column in np.ascontiguousarray(columns.T)])
    _, first = np.unique(which, return_index=True)
    return first, which.astype(np.intp)
