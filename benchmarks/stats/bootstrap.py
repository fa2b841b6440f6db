"""Means and bootstrap intervals over videos, since the samples of one video are not independent.

Many columns (a method and a metric each) are resampled with the same draws, so they stay paired.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attrib.benchmarks.stats.centred import Centred
from attrib.benchmarks.stats.products import Floats, Indices, Numbers, distinct
from attrib.benchmarks.stats.resampling import USUAL, Resampling, parts, precision
from attrib.benchmarks.stats.totals import NEAR, Totals, totals

LEVEL = 0.95
VALUES_AT_ONCE = 40_000_000  # means, or sums, of some columns: 320 MB
LACKING = 0.01  # share by which the variance may grow: that moves an interval's ends by less than their own noise


class Interval(NamedTuple):
    """Mean over the defined values, its interval's ends, and how many videos gave at least one value."""

    mean: float
    low: float
    high: float
    videos: int


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
    ends = np.full((2, data.sums.shape[1]), np.nan)
    for videos, columns in _resampled_together(data.present):
        width = max(1, VALUES_AT_ONCE // max(resampling.resamples, len(videos)))
        for at in range(0, len(columns), width):
            some = columns[at : at + width]
            whole = len(videos) == data.count and len(some) == data.sums.shape[1]
            ends[:, some] = _ends(data if whole else data.take(videos, some), level, resampling)
    values = zip(data.mean().tolist(), *ends.tolist(), data.present.sum(axis=0).tolist(), strict=True)
    return [Interval(*each) for each in values]


def _resampled_together(present: NDArray[np.bool_]) -> Iterator[tuple[Indices, Indices]]:
    """Yield groups of columns to be resampled with the same draws: (videos, columns).

    A column that lacks few of the videos is resampled with them, where they count nothing: a draw then has m of its
    videos on average, and not exactly, so that its mean varies by a share of about 1/m - 1/n more. Other columns are
    resampled on the videos that have a value, together with those that have values of the same ones.
    """
    videos = np.flatnonzero(present.any(axis=1))
    known = present.sum(axis=0)
    fits = (known > 1) & (1 / np.maximum(known, 1) - 1 / max(1, len(videos)) < LACKING)
    if fits.any():
        yield videos, np.flatnonzero(fits)
    others = np.flatnonzero(~fits & (known > 1))
    first, which = distinct(np.packbits(present[:, others], axis=0))
    for group, column in enumerate(others[first]):
        yield np.flatnonzero(present[:, column]), others[which == group]


def _drawn_means(data: Centred, videos: int, resampling: Resampling) -> Numbers:
    """(columns, resamples) means less their level of as many videos as there are, drawn with replacement."""
    means, done = np.empty((len(data.level), resampling.resamples), data.kind), 0
    for some in (some for counts in resampling.counts(videos) for some in parts(counts)):
        data.means(some.T, means[:, done : done + len(some)])
        done += len(some)
    return means


def _ends(data: Totals, level: float, resampling: Resampling) -> Floats:
    """(2, columns) lower and upper ends."""
    centred, videos, given = data.centred(precision(data.count)), data.present.sum(axis=0), data.mean()
    drawn = _drawn_means(centred, data.count, resampling)
    drawn.sort(axis=1)
    wide = np.sqrt(videos / (videos - 1)) * stats.t.ppf((1 + level) / 2, videos - 1)
    near = NEAR * data.scale + 2 * np.finfo(centred.kind).eps * centred.scale
    least = 0.5 / resampling.resamples
    below = _below(drawn, given - centred.level, near) / resampling.resamples
    bias = stats.norm.ppf(np.clip(below, least, 1 - least))
    skew = data.by_columns(_acceleration)
    ends = np.array([_at(drawn, stats.norm.cdf(bias + z / (1 - skew * z))) for z in (bias - wide, bias + wide)])
    return np.where(np.abs(ends + centred.level - given) <= near, given, ends + centred.level)


def _below(ordered: Numbers, mean: Floats, near: Floats) -> Floats:
    """(columns,) how many of each row are below its mean; a tie, which is no further than `near`, is half below."""
    ends = zip(ordered, *(mean + side for side in (-near, near)), strict=True)
    kind = ordered.dtype.type
    found = [row.searchsorted(kind(low)) + row.searchsorted(kind(high), "right") for row, low, high in ends]
    return np.array(found) / 2


def _acceleration(data: Totals) -> Floats:
    """Efron's a of each column, from the means that leave one of its videos out; 0 where they are all equal."""
    away, absent = data.without_each(), ~data.present
    away[absent] = 0
    centre = away.sum(axis=0) / np.maximum(data.present.sum(axis=0), 1)
    np.subtract(centre, away, out=away)
    away[absent | np.isnan(away)] = 0
    squares = away * away
    scale = np.sqrt(squares.sum(axis=0))
    cubes = np.einsum("ij,ij->j", squares, away)
    return np.divide(cubes, 6 * scale**3, out=np.zeros_like(scale), where=scale > 0)


def _at(ordered: Numbers, share: Floats) -> Floats:
    """Quantile of each row at its own share, linear between neighbours."""
    position = share * (ordered.shape[1] - 1)
    under = np.floor(position).astype(np.intp)
    over = np.minimum(under + 1, ordered.shape[1] - 1)
    rows = np.arange(len(ordered))
    first, second = (ordered[rows, of].astype(np.float64) for of in (under, over))
    return np.asarray(first + (position - under) * (second - first))
