"""Tests of differences: those of ratios on the logarithm, against SciPy's exact permutation test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attrib import config
from attrib.benchmarks.jobs.roles import MetricRoles, metric_roles
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.differences import against_controls, beats_every_control, paired
from attrib.benchmarks.tables.matrix import Matrix, matrix

from board_cases import results

VIDEOS = 8
MANY = Resampling(100_000)
LIFT = MetricRoles({"lift": "high", "mass": "high"}, ("lift",), ratios=frozenset({"lift"}))


def scores_of(method: np.ndarray, control: np.ndarray, metric: str = "lift") -> Matrix:
    rows = [
        (f"s{video}", f"v{video}", "t", name, metric, None, float(value))
        for name, values in (("m", method), ("centre", control)) for video, value in enumerate(values)
    ]  # fmt: skip
    return matrix(results(rows), LIFT)


def p_of(scores: Matrix) -> float:
    return float(paired(scores, against_controls(scores, frozenset({"centre"})), MANY)["p"].iloc[0])


def exact(differences: np.ndarray) -> float:
    test = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    return float(test.pvalue)


def lifts(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(0.3, 1.2, VIDEOS), rng.lognormal(0.0, 0.4, VIDEOS)


def test_lifts_are_tested_on_their_logarithms_and_other_metrics_as_they_are() -> None:
    method, control = lifts()
    logs = np.log2(0.999 * method + 0.001) - np.log2(0.999 * control + 0.001)
    assert p_of(scores_of(method, control)) == pytest.approx(exact(logs), abs=0.005)
    assert p_of(scores_of(method, control, "mass")) == pytest.approx(exact(method - control), abs=0.005)
    assert abs(exact(logs) - exact(method - control)) > 0.02


def test_the_logarithm_of_a_lift_is_that_of_the_metric_log2_lift_and_a_lift_of_0_is_finite() -> None:
    tested = scores_of(np.array([0.0, 2.0]), np.array([1.0, 1.0])).tested
    assert tested[:, 0] == pytest.approx([np.log2(0.001), np.log2(1.999)]) and not tested[:, 1].any()


def test_the_difference_and_its_interval_stay_in_the_metrics_own_units() -> None:
    method, control = lifts()
    scores = scores_of(method, control)
    row = paired(scores, against_controls(scores, frozenset({"centre"})), MANY).iloc[0]
    assert row["difference"] == pytest.approx(float((method - control).mean()))
    assert row["low"] < row["difference"] < row["high"] and row["sd"] == pytest.approx((method - control).std(ddof=1))


def test_a_method_whose_mean_and_logarithms_disagree_beats_no_control() -> None:
    """One enormous lift and seven below the control's: the mean is greater, the logarithms are less."""
    method, control = np.array([60.0, *[0.2] * 7]), np.ones(VIDEOS)
    scores = scores_of(method, control)
    pairs = paired(scores, against_controls(scores, frozenset({"centre"})), MANY)
    assert pairs["difference"].iloc[0] > 0 and pairs["p"].iloc[0] == 1
    assert beats_every_control(pairs, frozenset(), ["lift"])["p"].tolist() == [1.0]


def test_both_lifts_of_the_shipped_metrics_are_ratios() -> None:
    names = ["lift", "segment_lift", "mass", "log2_lift", "nss"]
    entries = config.metric_entries(config.parse({"methods": {"centre": None}, "metrics": dict.fromkeys(names)}))
    assert metric_roles(entries).ratios == {"lift", "segment_lift"}
