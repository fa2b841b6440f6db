"""Agreement of a sampled map with one of another seed, from two halves of its samples."""

from __future__ import annotations

from scipy.stats import rankdata
from torch import Tensor, corrcoef, from_numpy, stack


def agreement(first: Tensor, second: Tensor) -> float:
    """Return 2 r / (1 + r) for the rank correlation r of two halves' maps: that of two whole maps (Spearman-Brown).

    NaN for a map of equal values.
    """
    ranks = [from_numpy(rankdata(half.cpu().float().flatten().numpy())) for half in (first, second)]
    r = float(corrcoef(stack(ranks))[0, 1])
    return 2 * r / (1 + r) if r != -1 else -1.0
