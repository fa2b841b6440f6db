"""Means and bootstrap intervals over videos, since the samples of one video are not independent.

Many columns (a method and a metric each) are resampled with the same draws, so they stay paired.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attrib.benchmarks.stats.resampling import USUAL, Resampling

LEVEL = 0.95
DRAWS_AT_ONCE = 2_000_000  # bounds the memory of the resampling, whatever the number of videos

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Mean over the defined values, its interval's ends, and how many videos gave at least one value."""

    mean: float
    low: float
    high: float
    videos: int


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums and numbers of the defined values: `sums`, `sizes` (strata, videos, columns).

    A column's mean is the mean over the strata (tasks) of sum / size; with one stratum, the mean over samples.
    """

    sums: Floats
    sizes: Floats

    def __post_init__(self) -> None:
        if self.sums.ndim != 3 or self.sums.shape != self.sizes.shape:
            raise ValueError(f"expected two arrays of (strata, videos, columns), got {self.sums.shape}, "
                             f"{self.sizes.shape}")  # fmt: skip

    @property
    def present(self) -> NDArray[np.bool_]:
        """(videos, columns) True where a video gave a value."""
        return np.asarray((self.sizes > 0).any(axis=0))

    def take(self, videos: Any, columns: Any) -> Totals:
        """Select videos and columns."""
        return Totals(self.sums[:, videos][:, :, columns], self.sizes[:, videos][:, :, columns])

    def means(self, weights: Floats) -> Floats:
        """(draws, columns) means when each video counts `weights` (draws, videos) times; NaN where nothing is left."""
        total, strata = 0.0, 0.0
        for sums, sizes in zip(self.sums, self.sizes, strict=True):
            counts = weights @ sizes
            total = total + np.divide(weights @ sums, counts, out=np.zeros_like(counts), where=counts > 0)
            strata = strata + (counts > 0)
        return np.divide(total, strata, out=np.full_like(total, np.nan), where=np.asarray(strata) > 0)

    def mean(self) -> Floats:
        """(columns,) means, each video once."""
        return self.means(np.ones((1, self.sums.shape[1])))[0]

    def by_video(self) -> Floats:
        """(videos, columns) means over each video's own values, NaN where it has none."""
        sums, sizes = self.sums.sum(axis=0), self.sizes.sum(axis=0)
        return np.asarray(np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0))

    def influence(self) -> Floats:
        """(videos, columns) influence of each video on its column's mean; they sum to 0.

        The deviations of the videos' sums from what their sizes would give, as shares of the whole.
        """
        counts = self.sizes.sum(axis=1, keepdims=True)
        shares = 1 / np.where(counts > 0, counts, np.inf)
        strata = np.maximum((counts > 0).sum(axis=0), 1)
        centred = self.sums - self.sizes * (self.sums.sum(axis=1, keepdims=True) * shares)
        return np.asarray((centred * shares).sum(axis=0) / strata)

    def contributions(self) -> Floats:
        """(videos, columns) contribution of each video to its column's mean; they sum to the mean."""
        counts = self.sizes.sum(axis=1, keepdims=True)
        shares = 1 / np.where(counts > 0, counts, np.inf)
        return np.asarray((self.sums * shares).sum(axis=0) / np.maximum((counts > 0).sum(axis=0), 1))


def totals(values: Floats, videos: Sequence[Hashable], strata: Sequence[Hashable] | None = None) -> Totals:
    """Totals of `values` (n, columns) by their rows' video and, where given, stratum; NaNs are left out."""
    rows, count = _codes(videos)
    groups, known = _codes(strata) if strata is not None else (np.zeros(len(values), np.intp), 1)
    if not len(values) == len(rows) == len(groups):
        raise ValueError(f"expected one video per value, got {len(values)} values and {len(rows)} videos")
    sums = np.zeros((known, count, values.shape[1]))
    sizes = np.zeros_like(sums)
    np.add.at(sums, (groups, rows), np.nan_to_num(values))
    np.add.at(sizes, (groups, rows), ~np.isnan(values))
    return Totals(sums, sizes)


def _codes(names: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Return each name's index among the sorted names, and the number of different names."""
    indices = {name: index for index, name in enumerate(sorted(set(names), key=str))}
    return np.array([indices[name] for name in names], np.intp), len(indices)


def clustered_interval(
    values: Sequence[float] | NDArray[np.floating[Any]], clusters: Sequence[Hashable],
    resampling: Resampling = USUAL, level: float = LEVEL,
) -> Interval:  # fmt: skip
    """Interval of the mean of `values` (n,), drawing whole clusters; see `intervals`.

    `clusters` (n,) names each value's video. NaNs are dropped first; a video with nothing else does not count. Without
    videos all three numbers are NaN; from one video there is a mean but no interval, and its ends are NaN.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or len(given) != len(clusters):
        raise ValueError(f"expected one cluster per value, got {given.shape} values and {len(clusters)} clusters")
    order = np.argsort(given, kind="stable")  # sums are the same whatever the rows' order
    data = totals(given[order, None], [clusters[index] for index in order])
    return intervals(data, resampling, level)[0]


def intervals(data: Totals, resampling: Resampling = USUAL, level: float = LEVEL) -> list[Interval]:
    """One interval per column: bias-corrected accelerated bootstrap over videos (Efron 1987, eq. 4.4), widened.

    The percentile bootstrap of n videos is too narrow, by sqrt((n - 1) / n) and by the normal in place of Student's t;
    the level is raised to correct for that (Hesterberg 2015, section 4).
    tools/calibrate_statistics.py measures the coverage.
    """
    result = [Interval(np.nan, np.nan, np.nan, 0)] * data.sums.shape[2]
    means = data.mean()
    for videos, columns in _alike(data.present):
        subset = data.take(videos, columns)
        ends = np.full((2, len(columns)), np.nan)
        if len(videos) > 1:
            ends = _ends(subset, level, _drawn_means(subset, resampling))
        for index, column in enumerate(columns):
            low, high = ends[:, index].tolist()
            result[column] = Interval(float(means[column]), low, high, len(videos))
    return result


def _alike(present: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield groups of columns that have values of the same videos: (videos, columns)."""
    patterns, which = np.unique(present, axis=1, return_inverse=True)
    for group in range(patterns.shape[1]):
        yield np.flatnonzero(patterns[:, group]), np.flatnonzero(which == group)


def _drawn_means(data: Totals, resampling: Resampling) -> Floats:
    """(resamples, columns) means of as many videos as there are, drawn with replacement."""
    generator = np.random.default_rng(resampling.seed)
    videos = data.sums.shape[1]
    rows = max(1, DRAWS_AT_ONCE // videos)
    means = []
    for start in range(0, resampling.resamples, rows):
        drawn = generator.integers(0, videos, (min(rows, resampling.resamples - start), videos))
        codes = drawn + videos * np.arange(len(drawn))[:, None]
        counts = np.bincount(codes.ravel(), minlength=drawn.size).reshape(drawn.shape)
        means.append(data.means(counts.astype(np.float64)))
    return np.concatenate(means)


def _ends(data: Totals, level: float, drawn: Floats) -> Floats:
    """(2, columns) lower and upper ends from `drawn` (resamples, columns)."""
    videos = data.sums.shape[1]
    wide = np.sqrt(videos / (videos - 1)) * stats.t.ppf((1 + level) / 2, videos - 1)
    mean, near = data.mean(), 1e-12 * np.abs(data.sums).max(axis=(0, 1))
    below = (drawn < mean - near).mean(axis=0) + (drawn <= mean + near).mean(axis=0)  # a tie is half below
    least = 0.5 / len(drawn)
    bias = stats.norm.ppf(np.clip(below / 2, least, 1 - least))
    skew = _acceleration(data)
    ordered = np.sort(drawn, axis=0)
    ends = []
    for z in (bias - wide, bias + wide):
        ends.append(_at(ordered, stats.norm.cdf(bias + z / (1 - skew * z))))
    return np.array(ends)


def _acceleration(data: Totals) -> Floats:
    """Efron's a of each column, from the means that leave one video out; 0 where they are all equal."""
    videos = data.sums.shape[1]
    left = data.means(np.ones((videos, videos)) - np.eye(videos))
    away = np.nan_to_num(left.mean(axis=0) - left)
    scale = np.sqrt((away**2).sum(axis=0))
    return np.divide((away**3).sum(axis=0), 6 * scale**3, out=np.zeros_like(scale), where=scale > 0)


def _at(ordered: Floats, share: Floats) -> Floats:
    """Each column's quantile at its own share, linear between neighbours."""
    position = share * (len(ordered) - 1)
    under = np.floor(position).astype(np.intp)
    over = np.minimum(under + 1, len(ordered) - 1)
    columns = np.arange(ordered.shape[1])
    first = ordered[under, columns]
    return np.asarray(first + (position - under) * (ordered[over, columns] - first))
