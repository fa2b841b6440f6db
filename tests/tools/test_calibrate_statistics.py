"""The simulation of skewed differences: mean 0, and levels that the tests' assumption of symmetry explains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tools.calibrate_statistics import SKEWED, skewed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("shape", "skewness"), [("lognormal", 1), ("exponential", 1), ("left-skewed", -1),
                                                 ("log of lognormal", 0)])  # fmt: skip
def test_simulated_differences_have_mean_0_and_the_skewness_of_their_name(shape: str, skewness: int) -> None:
    values = SKEWED[shape](np.random.default_rng(0), 200_000)
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert abs(stats.skew(values)) < 0.05 if not skewness else np.sign(stats.skew(values)) == skewness


def test_skewed_differences_are_rejected_too_often_and_their_logarithms_are_not() -> None:
    rows = {(row.test, row.shape): row.at_05 for row in skewed(300, 0) if row.videos == 12}
    assert rows["two-sided", "lognormal"][1] > 0.07  # the lower end of the interval
    assert rows["one-sided", "left-skewed"][1] > 0.06 and rows["one-sided", "exponential"][2] < 0.06
    for test in ("two-sided", "one-sided"):
        assert rows[test, "log of lognormal"][1] < 0.05 < rows[test, "log of lognormal"][2] + 0.02
