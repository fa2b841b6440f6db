"""Report of how far a sampled map would agree with one of another seed, on the token grid, as metrics score maps."""

from __future__ import annotations

from math import isnan, nan

from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from attrib.model import TokenGrid

NAME = "monte_carlo_agreement"


def report_of_halves(first: Tensor, second: Tensor, grid: TokenGrid) -> dict[str, float]:
    """Return the report from maps (t, h, w) of two halves of the samples; empty where one has equal values everywhere.

    It is 2 r / (1 + r) for their rank correlation r: that of two whole maps (Spearman-Brown).
    """
    r = correlation(first, second, grid)
    return {} if isnan(r) else {NAME: 2 * r / (1 + r) if r != -1 else -1.0}


def report_of_runs(first: Tensor, second: Tensor, grid: TokenGrid) -> dict[str, float]:
    """Return the report from the maps of two whole runs: their rank correlation; empty for a map of equal values."""
    r = correlation(first, second, grid)
    return {} if isnan(r) else {NAME: r}


def correlation(first: Tensor, second: Tensor, grid: TokenGrid) -> float:
    """Return the rank correlation (Spearman) of two maps' means in the grid's cells; NaN for a map of equal values."""
    volumes = (volume.detach().cpu().double() for volume in (first, second))
    one, two = (adaptive_avg_pool2d(volume, (grid.rows, grid.columns)).flatten().numpy() for volume in volumes)
    if one.min() == one.max() or two.min() == two.max():
        return nan
    return float(spearmanr(one, two).statistic)
