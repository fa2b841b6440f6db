"""Agreement of a sampled map with one of another seed, from two halves of its samples."""

from __future__ import annotations

from scipy.stats import spearmanr
from torch import Tensor


def agreement(first: Tensor, second: Tensor) -> float:
    """Return 2 r / (1 + r) for the rank correlation r of two halves' maps: that of two whole maps (Spearman-Brown).

    NaN for a map of equal values.
    """
    one, two = (half.detach().cpu().float().flatten().numpy() for half in (first, second))
    if not one.size or one.min() == one.max() or two.min() == two.max():
        return float("nan")
    r = float(spearmanr(one, two).statistic)
    return 2 * r / (1 + r) if r != -1 else -1.0
