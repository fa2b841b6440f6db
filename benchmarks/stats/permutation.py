"""Permutation tests over videos, and how many videos it takes to see a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.products import Floats, Indices, Numbers
from attrib.benchmarks.stats.resampling import USUAL, Resampling, parts, precision
from attrib.benchmarks.stats.totals import Totals

POWER = 0.8
FEW_VIDEOS = 6  # with fewer no exact two-sided test of signs reaches p < .05: five videos give 2 / 2**5 = .0625
SMALL_EFFECT, USUAL_SPREAD = 0.02, 0.15  # of an AUC: a difference worth detecting, and its deviation over videos
CACHED = 100_000  # numbers that stay in the processor's cache
TIE = 1e-9  # relative: sums that differ by less were added in another order


def sign_flip(data: Totals, resampling: Resampling = USUAL) -> Floats:
    """Two-sided p of each column's mean difference, (columns,): p = (1 + #>=) / (1 + B); NaN without a value.

    Under the null a video's differences are as likely with the other sign, all of them at once. B random choices.
    """
    kind = precision(data.count)
    summed, tie = data.to(kind), max(TIE, 8 * float(np.finfo(kind).eps))
    observed = data.by_columns(lambda some: _observed(some, tie))
    reached = np.zeros(len(observed))
    for signs in (some for block in resampling.signs(data.count) for some in parts(block)):
        flipped = np.zeros((len(observed), len(signs)), kind)
        for stratum, columns, sums in summed.products(np.ascontiguousarray(signs.T, kind)):
            flipped[columns] += sums * data.shares[stratum, columns, None].astype(kind)
        reached += (np.abs(flipped, out=flipped) >= observed[:, None].astype(kind)).sum(axis=1)
    return np.where(data.present.any(axis=0), (1 + reached) / (1 + resampling.resamples), np.nan)


def _observed(data: Totals, tie: float) -> Floats:
    """Size of each column's mean, less what rounding may change: a share `tie` of what all videos contribute."""
    contributed = data.contributions()
    return np.asarray(np.abs(contributed.sum(axis=0)) - tie * np.abs(contributed).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Pools:
    """Each sample's own value and those against other annotation, of many columns. Higher is better.

    `values` (samples, columns, 1 + others): the own one first, then the others, NaN after the last. `videos` (samples,)
    are indices, `weights` (samples, columns) each sample's share of the mean, 0 where it has not both.
    """

    values: Floats
    videos: Indices
    weights: Floats


def repaired(pools: Pools, resampling: Resampling = USUAL) -> Floats:
    """One-sided p of the weighted means of own values against re-paired ones, (columns,): p = (1 + #>=) / (1 + B).

    Each draw pairs every map with one annotation of its pool, its own among them (without it few partners would make p
    too small). Samples of one video draw the same position, for what they share. NaN without samples.
    """
    if not len(pools.videos):
        return np.full(pools.weights.shape[1], np.nan)
    weighted = np.nan_to_num(pools.values) * pools.weights[:, :, None]
    kind = precision(len(pools.videos))
    near = max(TIE, 8 * float(np.finfo(kind).eps)) * np.abs(weighted).max(axis=2, initial=0).sum(axis=0)
    observed = weighted[:, :, 0].sum(axis=0) - near
    groups = [
        (columns, counts, np.ascontiguousarray(weighted[:, columns].transpose(0, 2, 1), kind))
        for columns, counts in _of_equal_pools(pools)
    ]
    generator, reached = np.random.default_rng(resampling.seed), np.zeros(len(observed))
    for rows in resampling.rows(len(pools.videos)):
        share = generator.random((rows, int(pools.videos.max()) + 1))[:, pools.videos]
        for columns, counts, values in groups:
            reached[columns] += (_sums(share, counts, values) >= observed[columns]).sum(axis=0)
    return np.where((pools.weights > 0).any(axis=0), (1 + reached) / (1 + resampling.resamples), np.nan)


def _of_equal_pools(pools: Pools) -> list[tuple[list[int], Indices]]:
    """Groups of columns with pools of one size in each sample that they use: (columns, sizes)."""
    groups: list[tuple[list[int], Indices]] = []
    sizes, used = (~np.isnan(pools.values)).sum(axis=2), pools.weights > 0
    for column in range(sizes.shape[1]):
        own = np.where(used[:, column], sizes[:, column], 0)
        for columns, known in groups:
            if ((own == known) | (own == 0) | (known == 0)).all():
                columns.append(column)
                np.maximum(known, own, out=known)
                break
        else:
            groups.append(([column], own))
    return groups


def _sums(share: Floats, counts: Indices, values: Numbers) -> Floats:
    """(draws, columns) sums of each sample's value at its share of its pool; `values` (samples, pool, columns)."""
    result, at = np.zeros((len(share), values.shape[2])), (share * counts).astype(np.int32)
    some = max(1, CACHED // max(1, values[0].size))
    for start in range(0, len(values), some):
        block, own = values[start : start + some], at[:, start : start + some]
        samples = own.shape[1]
        places = own + np.arange(samples, dtype=np.int32) * np.int32(values.shape[1])
        starts = np.arange(len(own) + 1, dtype=np.int32) * np.int32(samples)
        ones = np.ones(places.size, values.dtype)
        chosen = sparse.csr_array((ones, places.ravel(), starts), shape=(len(own), block[..., 0].size))
        result += chosen @ block.reshape(-1, values.shape[2])
    return result


def max_t(data: Totals, resampling: Resampling = USUAL) -> Floats:
    """One-sided p of each column's mean above 0, corrected for all columns by the largest t (Westfall and Young 1993).

    Sign flips of whole videos, the same for all columns, so that what they share is used. (columns,); single step.
    NaN for a column with fewer than two videos; videos without a value count as 0.
    """
    return _above(data, resampling, lambda flipped: flipped.max(axis=1, keepdims=True, initial=-np.inf))


def one_sided(data: Totals, resampling: Resampling = USUAL) -> Floats:
    """One-sided p of each column's mean above 0, not corrected; otherwise like `max_t`."""
    return _above(data, resampling, lambda flipped: flipped)


def _above(data: Totals, resampling: Resampling, held_against: Callable[[Floats], Floats]) -> Floats:
    """p of each column's t among the flipped ones, (draws, columns), as `held_against` reduces them."""
    contributed = data.contributions()
    usable = data.present.sum(axis=0) > 1
    contributed = contributed[:, usable]
    squares, videos = (contributed**2).sum(axis=0), data.present.sum(axis=0)[usable]
    observed = _t(contributed.sum(axis=0), squares, videos)
    reached = np.zeros(len(observed))
    for signs in resampling.signs(len(contributed)):
        flipped = held_against(_t(signs.astype(np.float64) @ contributed, squares, videos))
        reached += (flipped >= observed - TIE * np.abs(observed)).sum(axis=0)
    result = np.full(len(usable), np.nan)
    result[usable] = (1 + reached) / (1 + resampling.resamples)
    return result


def _t(sums: Floats, squares: Floats, videos: NDArray[Any]) -> Floats:
    """Student's t of sums whose squares do not change with the signs; 0 where all terms are 0."""
    spread = np.sqrt(np.maximum(squares - sums**2 / videos, TIE * squares) * videos / (videos - 1))
    return np.divide(sums, spread, out=np.zeros_like(sums), where=np.broadcast_to(spread > 0, sums.shape))


def spread(data: Totals) -> Floats:
    """Standard deviation over videos of each column, (columns,): sqrt(videos) standard errors of its mean.

    With one sample a video, that of the values, with n - 1; NaN below two videos.
    """
    videos = data.present.sum(axis=0)
    away = data.influence() * videos
    return np.sqrt(np.divide((away**2).sum(axis=0), videos - 1, out=np.full(len(videos), np.nan), where=videos > 1))


def videos_needed(difference: Floats, deviation: Floats, alpha: float = ALPHA, power: float = POWER) -> Floats:
    """Videos with which a two-sided test at `alpha`, unadjusted, sees `difference` with `power`; normal approximation.

    ((z(1 - alpha / 2) + z(power)) deviation / difference) ^ 2, rounded up; infinite for no difference, NaN for NaN.
    """
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.ceil((quantiles * deviation / difference) ** 2)
    return np.where(np.asarray(difference) == 0, np.inf, needed)


def videos_for_usual() -> int:
    """Videos with which a difference of SMALL_EFFECT is seen where videos vary by USUAL_SPREAD."""
    return int(videos_needed(np.array([SMALL_EFFECT]), np.array([USUAL_SPREAD]))[0])
