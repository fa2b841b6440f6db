from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attrib.benchmarks.statistics import clustered_interval

NAN = float("nan")


def test_single_sample_videos_agree_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=40)
    found = clustered_interval(values, [f"v{i}" for i in range(40)], level=0.9, resamples=20_000)
    wanted = stats.bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    width = wanted.high - wanted.low
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert found.low == pytest.approx(wanted.low, abs=0.02 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.02 * width)
    assert found.videos == 40


def test_a_result_is_four_numbers_in_the_order_mean_low_high_videos():
    mean, low, high, videos = clustered_interval([0.0, 1.0, 2.0], "abc")
    assert low < mean < high
    assert videos == 3


def test_copies_of_a_sample_in_the_same_video_do_not_narrow_the_interval():
    values = np.random.default_rng(2).normal(size=20)
    once = clustered_interval(values, range(20))
    copied = clustered_interval(np.repeat(values, 10), np.repeat(np.arange(20), 10).tolist())
    assert copied == pytest.approx(once, abs=1e-12)
    as_if_independent = clustered_interval(np.repeat(values, 10), range(200))
    assert as_if_independent.high - as_if_independent.low < 0.5 * (once.high - once.low)


def test_unequal_videos_are_weighted_by_their_samples():
    # Two videos, one value 0 and three values 1: a draw holds (0, 0), (0, 1) or (1, 1), with means 0, 3/4 and 1.
    found = clustered_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.4)
    assert found.mean == 0.75
    assert (found.low, found.high) == (0.75, 0.75)  # the middle 40 % of draws hold one of each
    wide = clustered_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.95)
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_undefined_values_are_dropped_with_the_videos_that_have_nothing_else():
    plain = clustered_interval([1.0, 2.0, 4.0], ["a", "b", "b"])
    with_gaps = clustered_interval([NAN, 1.0, 2.0, NAN, 4.0, NAN], ["c", "a", "b", "b", "b", "d"])
    assert with_gaps == plain
    assert plain.videos == 2


def test_no_video_and_one_video():
    for values, clusters in (([], []), ([NAN, NAN], ["a", "b"])):
        nothing = clustered_interval(values, clusters)
        assert np.isnan(nothing[:3]).all()
        assert nothing.videos == 0
    one = clustered_interval([1.0, 2.0, NAN], ["a", "a", "b"])
    assert one.mean == 1.5
    assert np.isnan([one.low, one.high]).all()
    assert one.videos == 1


def test_the_result_depends_on_the_seed_and_not_on_the_order_of_the_rows():
    generator = np.random.default_rng(3)
    values, clusters = generator.normal(size=30), generator.integers(0, 9, 30)
    first = clustered_interval(values, clusters.tolist())
    shuffled = generator.permutation(30)
    assert clustered_interval(values[shuffled], clusters[shuffled].tolist()) == first
    assert clustered_interval(values, clusters.tolist(), seed=1) != first


def test_many_videos_are_drawn_in_parts_that_add_up_to_all_resamples():
    values = np.random.default_rng(4).normal(size=1500)  # 10,000 x 1,500 draws do not fit in one part
    found = clustered_interval(values, range(1500))
    half = 1.96 * values.std() / np.sqrt(1500)
    assert found.low == pytest.approx(found.mean - half, rel=0.05)
    assert found.high == pytest.approx(found.mean + half, rel=0.05)


def test_one_cluster_per_value_is_required():
    with pytest.raises(ValueError, match="3 clusters"):
        clustered_interval([1.0, 2.0], ["a", "b", "c"])
