"""Corrections of p-values for many tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ALPHA = 0.05
Floats = NDArray[np.float64]


def holm(values: Sequence[float] | Floats) -> Floats:
    """Return Holm's step-down adjusted p-values (Holm 1979), in the given order; NaNs stay and do not count."""
    given = np.asarray(values, np.float64)
    order = np.argsort(given)  # NaNs last
    tests = int((~np.isnan(given)).sum())
    first = order[:tests]
    steps = np.maximum.accumulate(given[first] * (tests - np.arange(tests)))
    result = np.full(given.shape, np.nan)
    result[first] = np.minimum(steps, 1)
    return result


def benjamini_hochberg(values: Sequence[float] | Floats) -> Floats:
    """Return p-values adjusted for the false discovery rate (Benjamini, Hochberg 1995); NaNs stay and do not count."""
    result = np.array(values, np.float64)
    known = ~np.isnan(result)
    if known.any():
        result[known] = stats.false_discovery_control(result[known])
    return result
