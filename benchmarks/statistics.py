"""Intervals whose unit is the video: the samples of one video are not independent of each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS_AT_ONCE = 2_000_000  # bounds the memory of the resampling, whatever the number of videos


class Interval(NamedTuple):
    """Mean over the defined values, its interval's ends, and how many videos gave at least one value."""

    mean: float
    low: float
    high: float
    videos: int


def clustered_interval(
    values: Sequence[float] | NDArray[np.floating[Any]], clusters: Sequence[Hashable], level: float = 0.95,
    resamples: int = 10_000, seed: int = 0,
) -> Interval:  # fmt: skip
    """Percentile bootstrap of the mean of `values` (n,), drawing whole clusters (Davison and Hinkley 1997).

    `clusters` (n,) names each value's video. NaNs are dropped first; a video with nothing else does not count. Without
    videos all three numbers are NaN; from one video there is a mean but no interval, and its ends are NaN.
    """
    sums, sizes = _totals(np.asarray(values, np.float64), clusters)
    if len(sums) < 2:
        mean = float(sums[0] / sizes[0]) if len(sums) else float("nan")
        return Interval(mean, float("nan"), float("nan"), len(sums))
    means = _resampled_means(sums, sizes, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high), len(sums))


def _totals(
    values: NDArray[np.float64], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the defined values of each cluster that has any, ordered by the cluster's name."""
    if values.ndim != 1 or len(values) != len(clusters):
        raise ValueError(f"expected one cluster per value, got {values.shape} values and {len(clusters)} clusters")
    found: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values.tolist(), clusters, strict=True):
        if not np.isnan(value):
            found.setdefault(cluster, []).append(value)
    groups = [sorted(found[cluster]) for cluster in sorted(found, key=str)]  # the same whatever the rows' order
    return np.array([sum(group) for group in groups]), np.array([len(group) for group in groups], np.float64)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """(resamples,) means of as many clusters as there are, drawn with replacement."""
    generator = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // len(sums))
    parts = []
    for start in range(0, resamples, rows):
        drawn = generator.integers(0, len(sums), (min(rows, resamples - start), len(sums)))
        parts.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(parts)
