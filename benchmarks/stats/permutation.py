"""Permutation tests over videos, and how many videos it takes to see a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attrib.benchmarks.stats.bootstrap import DRAWS_AT_ONCE, Floats, Totals
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.resampling import USUAL, Resampling

POWER = 0.8
SMALL_EFFECT, USUAL_SPREAD = 0.02, 0.15  # of an AUC: a difference worth detecting, and its deviation over videos
TIE = 1e-9  # relative: sums that differ by less were added in another order


def sign_flip(data: Totals, resampling: Resampling = USUAL) -> Floats:
    """Two-sided p of each column's mean difference, (columns,): p = (1 + #>=) / (1 + B); NaN without a value.

    Under the null a video's differences are as likely with the other sign, all of them at once. B random choices.
    """
    contributed = data.contributions()
    observed = np.abs(contributed.sum(axis=0)) - TIE * np.abs(contributed).sum(axis=0)
    generator = np.random.default_rng(resampling.seed)
    rows = max(1, DRAWS_AT_ONCE // max(1, *contributed.shape))
    reached = np.zeros(contributed.shape[1])
    for start in range(0, resampling.resamples, rows):
        signs = generator.choice((-1.0, 1.0), (min(rows, resampling.resamples - start), len(contributed)))
        reached += (np.abs(signs @ contributed) >= observed).sum(axis=0)
    return np.where(data.present.any(axis=0), (1 + reached) / (1 + resampling.resamples), np.nan)


@dataclass(frozen=True, eq=False)
class Pools:
    """Each sample's own value and those against other annotation: `values[starts[i]]` own, then `counts[i] - 1` others.

    `videos` (n,) are indices, `weights` (n,) each sample's share of the mean. Higher is better.
    """

    values: Floats
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    videos: NDArray[np.intp]
    weights: Floats


def repaired(pools: Pools, resampling: Resampling = USUAL) -> float:
    """One-sided p of the weighted mean of own values against re-paired ones: p = (1 + #>=) / (1 + B).

    Each draw pairs every map with one annotation of its pool, its own among them (without it few partners would make p
    too small). Samples of one video draw the same position, for what they share. NaN without samples.
    """
    if not len(pools.starts):
        return float("nan")
    generator = np.random.default_rng(resampling.seed)
    near = TIE * float(np.abs(pools.values).max()) * float(np.abs(pools.weights).sum())
    observed = float(pools.values[pools.starts] @ pools.weights) - near
    seen = int(pools.videos.max()) + 1
    rows = max(1, DRAWS_AT_ONCE // seen)
    reached = 0
    for start in range(0, resampling.resamples, rows):
        share = generator.random((min(rows, resampling.resamples - start), seen))[:, pools.videos]
        chosen = pools.values[pools.starts + (share * pools.counts).astype(np.intp)]
        reached += int((chosen @ pools.weights >= observed).sum())
    return (1 + reached) / (1 + resampling.resamples)


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
    squares = (contributed**2).sum(axis=0)
    generator = np.random.default_rng(resampling.seed)
    observed = _t(contributed.sum(axis=0), squares, data.present.sum(axis=0)[usable])
    reached = np.zeros(len(observed))
    rows = max(1, DRAWS_AT_ONCE // max(1, *contributed.shape))
    for start in range(0, resampling.resamples, rows):
        signs = generator.choice((-1.0, 1.0), (min(rows, resampling.resamples - start), len(contributed)))
        flipped = held_against(_t(signs @ contributed, squares, data.present.sum(axis=0)[usable]))
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
