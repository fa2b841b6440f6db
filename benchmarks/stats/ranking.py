"""Methods ranked over many videos or metrics: mean ranks, the Friedman test, cliques, and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import stats

from attrib.benchmarks.stats.multiple import ALPHA, holm
from attrib.benchmarks.stats.products import Floats

ENUMERATED = 13  # blocks: 8,192 signs, up to which SciPy is exact with ties too
LEAST_SHARE = 0.5  # a method with values in fewer blocks is left out, since blocks without it would be dropped


@dataclass(frozen=True, eq=False)
class Ranking:
    """Methods by mean rank, best (1) first, over the `blocks` in which all of them have a value.

    `statistic`, `p`: Friedman's test, corrected for ties. `cliques` are (first, last) positions in this order between
    which no pair differs. `left_out`: methods without enough values; `dropped`: blocks that lack one.
    """

    methods: tuple[str, ...]
    ranks: Floats
    statistic: float
    p: float
    cliques: tuple[tuple[int, int], ...]
    blocks: int
    dropped: int
    left_out: tuple[str, ...]


def rank(values: Floats, methods: Sequence[str], alpha: float = ALPHA) -> Ranking:
    """Rank the methods in each block of `values` (blocks, methods), higher is better, ties the mean of their ranks.

    Pairs: Wilcoxon's signed-rank test, two-sided, Holm over all pairs (Demsar 2006; Benavoli et al. 2016). Where
    Friedman's test does not reject, all are one clique. NaN statistics with fewer than three methods or two blocks.
    """
    known = ~np.isnan(values)
    some = known.any(axis=1)
    usable = known[some].mean(axis=0) >= LEAST_SHARE if some.any() else np.zeros(len(methods), bool)
    whole = values[some][:, usable]
    full = ~np.isnan(whole).any(axis=1)
    names = [name for name, keep in zip(methods, usable, strict=True) if keep]
    ranks = mean_ranks(whole[full])
    order = sorted(range(len(names)), key=lambda index: (ranks[index], names[index])) if full.any() else []
    blocks = whole[full][:, order]
    statistic, p = friedman(blocks)
    return Ranking(
        tuple(names[index] for index in order), ranks[order], statistic, p, cliques(blocks, p, alpha), len(blocks),
        int(some.sum()) - len(blocks), tuple(name for name, keep in zip(methods, usable, strict=True) if not keep),
    )  # fmt: skip


def mean_ranks(blocks: Floats) -> Floats:
    """Mean over the rows of each column's rank, 1 for the highest value, ties the mean of their ranks."""
    if not blocks.size:
        return np.full(blocks.shape[1], np.nan)
    return np.asarray(stats.rankdata(-blocks, axis=1).mean(axis=0))


def friedman(blocks: Floats) -> tuple[float, float]:
    """Friedman's chi-squared, corrected for ties, and its p; NaN below three columns or two rows, or all tied."""
    if blocks.shape[0] < 2 or blocks.shape[1] < 3 or (blocks == blocks[:, :1]).all():
        return float("nan"), float("nan")
    test = stats.friedmanchisquare(*blocks.T)
    return float(test.statistic), float(test.pvalue)


def kendall_w(values: Floats) -> float:
    """Agreement of the rows (judges) on the ranks of the columns, in [0, 1], corrected for ties (Kendall, Smith 1939).

    Friedman's chi-squared over its greatest value. Rows with a NaN are dropped; NaN as for `friedman`.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    return friedman(whole)[0] / max(1, len(whole) * (whole.shape[1] - 1))


def cliques(blocks: Floats, p: float, alpha: float = ALPHA) -> tuple[tuple[int, int], ...]:
    """Maximal runs (first, last) of two or more columns, ordered by rank, of which no pair differs after Holm."""
    count = blocks.shape[1]
    if count < 2 or len(blocks) < 2:
        return ()
    if count > 2 and not p < alpha:
        return ((0, count - 1),)
    alike = pairs_adjusted(blocks) >= alpha
    runs: list[tuple[int, int]] = []
    for first in range(count):
        last = first
        while last + 1 < count and alike[first : last + 1, last + 1].all():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return tuple(runs)


def pairs_adjusted(blocks: Floats) -> Floats:
    """Holm-adjusted p of Wilcoxon's test for every pair of columns, symmetric, 1 on the diagonal and for equal ones."""
    count = blocks.shape[1]
    one, two = np.array(list(combinations(range(count), 2))).T
    away = blocks[:, one] - blocks[:, two]
    p = np.ones(len(one))
    differ = (away != 0).any(axis=0)
    if differ.any():
        p[differ] = _signed_rank(away[:, differ])
    result = np.ones((count, count))
    result[one, two] = result[two, one] = holm(p)
    return result


def _signed_rank(away: Floats) -> Floats:
    """Two-sided p of Wilcoxon's signed-rank test of each column, without its zeros.

    Up to ENUMERATED rows exact, ties included: by all signs of the ranks at once. SciPy's is the same number, computed
    sign by sign.
    """
    if len(away) > ENUMERATED:
        return np.asarray(stats.wilcoxon(away, axis=0).pvalue)
    ranks = np.nan_to_num(stats.rankdata(np.where(away == 0, np.nan, np.abs(away)), axis=0, nan_policy="omit"))
    observed = (ranks * (away > 0)).sum(axis=0)
    positive = np.array(list(product((0.0, 1.0), repeat=len(away)))) @ ranks  # multiples of .5, so that sums are exact
    tails = np.minimum((positive <= observed).mean(axis=0), (positive >= observed).mean(axis=0))
    return np.minimum(2 * tails, 1.0)


def rank_correlation(one: Floats, two: Floats) -> tuple[float, float, int]:
    """Spearman's correlation of two lists of values over the values that both have, its p, and their number.

    NaN below three, or where one of them is constant.
    """
    both = ~np.isnan(one) & ~np.isnan(two)
    first, second = one[both], two[both]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan"), float("nan"), len(first)
    test = stats.spearmanr(first, second)
    return float(test.statistic), float(test.pvalue), len(first)
