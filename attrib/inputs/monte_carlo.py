"""Report of how far a sampled map would agree with one of another seed."""

from __future__ import annotations

from math import isnan, nan

from scipy.stats import spearmanr
from torch import Tensor

NAME = "monte_carlo_agreement"


def report_of_halves(first: Tensor, second: Tensor) -> dict[str, float]:
    """Return the report from the maps of two halves of the samples; empty where one has equal values everywhere.

    It is 2 r / (1 + r) for their rank correlation r: that of two whole maps (Spearman-Brown).
    """
    r = correlation(first, second)
    return {} if isnan(r) else {NAME: 2 * r / (1 + r) if r != -1 else -1.0}


def report_of_runs(first: Tensor, second: Tensor) -> dict[str, float]:
    """Return the report from the maps of two whole runs: their rank correlation; empty for a map of equal values."""
    r = correlation(first, second)
    return {} if isnan(r) else {NAME: r}


def correlation(first: Tensor, second: Tensor) -> float:
    """Return the rank correlation of two maps (Spearman); NaN for a map of equal values."""
    one, two = (values.detach().cpu().float().flatten().numpy() for values in (first, second))
    if not one.size or one.min() == one.max() or two.min() == two.max():
        return nan
    return float(spearmanr(one, two).statistic)
