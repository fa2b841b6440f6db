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
SMALL_EFFECT, USUAL_SPREAD = 0.02, 0.15  # of an AUC: what one would like to see, and its deviation over videos
TIE = 1e-9  # relative: sums that differ by less were added in another order


def sign_flip(found: Totals, resampling: Resampling = USUAL) -> Floats:
    """Two-sided p of each column's mean difference, (columns,): p = (1 + #>=) / (1 + B); NaN without a value.

    Under the null a video's differences are as likely with the other sign, all of them at once. B random choices.
    """
    parts = found.contributions()
    observed = np.abs(parts.sum(axis=0)) - TIE * np.abs(parts).sum(axis=0)
    generator = np.random.default_rng(resampling.seed)
    rows = max(1, DRAWS_AT_ONCE // max(1, *parts.shape))
    reached = np.zeros(parts.shape[1])
    for start in range(0, resampling.resamples, rows):
        signs = generator.choice((-1.0, 1.0), (min(rows, resampling.resamples - start), len(parts)))
        reached += (np.abs(signs @ parts) >= observed).sum(axis=0)
    return np.where(found.present.any(axis=0), (1 + reached) / (1 + resampling.resamples), np.nan)


@dataclass(frozen=True, eq=False)
class Pools:
    """Each sample's own value and those against other annotation: `values[starts[i]]` own, then `counts[i] - 1` others.

    `videos` (n,) are places, `weights` (n,) what a sample adds to the mean. Higher is better.
    """

    values: Floats
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    videos: NDArray[np.intp]
    weights: Floats


def repaired(pools: Pools, resampling: Resampling = USUAL) -> float:
    """One-sided p of the weighted mean of own values against re-paired ones: p = (1 + #>=) / (1 + B).

    Each draw pairs every map with one annotation of its pool, its own among them (without it few partners would make p
    too small). Samples of one video take the same place, for what they share. NaN without samples.
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


def max_t(found: Totals, resampling: Resampling = USUAL) -> Floats:
    """One-sided p of each column's mean above 0, corrected for all columns by the largest t (Westfall and Young 1993).

    Sign flips of whole videos, the same for all columns, so that what they share is used. (columns,); single step.
    NaN for a column with fewer than two videos; videos without a value count as 0.
    """
    return _above(found, resampling, lambda flipped: flipped.max(axis=1, keepdims=True, initial=-np.inf))


def one_sided(found: Totals, resampling: Resampling = USUAL) -> Floats:
    """As `max_t`, each column by itself: not corrected."""
    return _above(found, resampling, lambda flipped: flipped)


def _above(found: Totals, resampling: Resampling, held_against: Callable[[Floats], Floats]) -> Floats:
    """p of each column's t among what `held_against` makes of the flipped ones, (draws, columns)."""
    parts = found.contributions()
    usable = found.present.sum(axis=0) > 1
    parts = parts[:, usable]
    squares = (parts**2).sum(axis=0)
    generator = np.random.default_rng(resampling.seed)
    observed = _t(parts.sum(axis=0), squares, found.present.sum(axis=0)[usable])
    reached = np.zeros(len(observed))
    rows = max(1, DRAWS_AT_ONCE // max(1, *parts.shape))
    for start in range(0, resampling.resamples, rows):
        signs = generator.choice((-1.0, 1.0), (min(rows, resampling.resamples - start), len(parts)))
        flipped = held_against(_t(signs @ parts, squares, found.present.sum(axis=0)[usable]))
        reached += (flipped >= observed - TIE * np.abs(observed)).sum(axis=0)
    result = np.full(len(usable), np.nan)
    result[usable] = (1 + reached) / (1 + resampling.resamples)
    return result


def _t(sums: Floats, squares: Floats, videos: NDArray[Any]) -> Floats:
    """Student's t of sums whose squares do not change with the signs; 0 where all parts are 0."""
    spread = np.sqrt(np.maximum(squares - sums**2 / videos, TIE * squares) * videos / (videos - 1))
    return np.divide(sums, spread, out=np.zeros_like(sums), where=np.broadcast_to(spread > 0, sums.shape))


def spread(found: Totals) -> Floats:
    """Standard deviation over videos of each column, (columns,): sqrt(videos) standard errors of its mean.

    With one sample a video, that of the values, with n - 1; NaN below two videos.
    """
    videos = found.present.sum(axis=0)
    away = found.influence() * videos
    return np.sqrt(np.divide((away**2).sum(axis=0), videos - 1, out=np.full(len(videos), np.nan), where=videos > 1))


def videos_needed(difference: Floats, deviation: Floats, alpha: float = ALPHA, power: float = POWER) -> Floats:
    """Videos with which a two-sided test at `alpha`, unadjusted, sees `difference` with `power`; normal approximation.

    ((z(1 - alpha / 2) + z(power)) deviation / difference) ^ 2, rounded up; infinite for no difference, NaN for NaN.
    """
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.ceil((quantiles * deviation / difference) ** 2)
    return np.where(np.asarray(difference) == 0, np.inf, found)


def videos_for_usual() -> int:
    """Videos with which a difference of SMALL_EFFECT is seen where videos vary by USUAL_SPREAD."""
    return int(videos_needed(np.array([SMALL_EFFECT]), np.array([USUAL_SPREAD]))[0])
