from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attrib.benchmarks.stats import bootstrap, resampling
from attrib.benchmarks.stats.bootstrap import clustered_interval, intervals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import differences, joined, totals

NAN = float("nan")


def scipy_bca(data, statistic, videos: int, level: float) -> tuple[float, float]:
    """SciPy's own BCa interval at the level that a 95 % one of so many videos is widened to."""
    wide = np.sqrt(videos / (videos - 1)) * stats.t.ppf((1 + level) / 2, videos - 1)
    widened = stats.norm.cdf(wide) - stats.norm.cdf(-wide)
    found = stats.bootstrap(
        data, statistic, confidence_level=widened, n_resamples=100_000, paired=True, method="BCa",
        rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


@pytest.mark.parametrize("face", [1, -1])
def test_single_sample_videos_agree_with_scipy(face: int):
    values = face * np.random.default_rng(1).gamma(0.6, size=20)  # skewed: bias and acceleration matter
    found = clustered_interval(values, [f"v{i}" for i in range(20)], Resampling(100_000), level=0.9)
    low, high = scipy_bca((values,), np.mean, 20, 0.9)
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02 * (high - low))
    plain = stats.bootstrap((values,), np.mean, confidence_level=0.9, method="percentile", rng=np.random.default_rng(5))
    assert abs(plain.confidence_interval.high - high) > 0.05 * (high - low), (
        "the case would not tell BCa from percentile"
    )
    assert found.videos == 20


def test_few_videos_are_widened_by_their_own_degrees_of_freedom():
    values = np.random.default_rng(11).normal(size=6)
    found = clustered_interval(values, range(6), Resampling(100_000), level=0.8)
    low, high = scipy_bca((values,), np.mean, 6, 0.8)
    # Of so few values many resamples tie with the mean, which SciPy counts only where no rounding parts them: that
    # moves both ends alike, the width not.
    assert found.high - found.low == pytest.approx(high - low, rel=0.01)


def test_videos_of_unequal_size_agree_with_scipy_on_ratios():
    generator = np.random.default_rng(7)
    sizes = generator.integers(1, 6, 25)
    videos = np.repeat(np.arange(25), sizes)
    values = generator.gamma(1.0, size=25)[videos] + generator.normal(size=len(videos))
    sums = np.bincount(videos, values)
    low, high = scipy_bca((sums, sizes), lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis), 25, 0.95)
    found = clustered_interval(values, videos.tolist(), Resampling(100_000))
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02 * (high - low))


def test_the_mean_over_tasks_agrees_with_scipy():
    generator = np.random.default_rng(8)
    values, tasks = generator.gamma(1.0, size=(30, 2)), ["one", "two"]  # every video has a sample of each of two tasks
    found = totals(values.reshape(-1, 1), np.repeat(np.arange(30), 2).tolist(), tasks * 30)
    (interval,) = intervals(found, Resampling(100_000))
    low, high = scipy_bca((values.mean(axis=1),), np.mean, 30, 0.95)
    assert interval.mean == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02 * (high - low))


def test_tasks_of_unequal_size_count_alike():
    found = totals(np.array([[1.0], [1.0], [1.0], [5.0]]), ["a", "b", "c", "a"], ["x", "x", "x", "y"])
    assert found.mean().tolist() == [3.0]  # over samples it would be 2
    # a: 1/3 of task x's mean and all of task y's, halved; the others 1/3 of task x's, halved
    assert found.contributions()[:, 0] == pytest.approx([1 / 6 + 5 / 2, 1 / 6, 1 / 6])
    assert found.influence()[:, 0] == pytest.approx([0, 0, 0])
    assert found.by_video()[:, 0].tolist() == [3.0, 1.0, 1.0]


def test_influence_is_the_share_of_what_a_video_is_away_from_the_mean():
    found = totals(np.array([[0.0], [1.0], [3.0], [NAN]]), ["a", "b", "b", "c"])
    # mean 4/3; a: (0 - 4/3) / 3, b: (4 - 8/3) / 3
    assert found.influence()[:, 0] == pytest.approx([-4 / 9, 4 / 9, 0])


def test_columns_have_the_interval_that_each_has_alone():
    generator = np.random.default_rng(9)
    values = generator.gamma(1.0, size=(15, 4))
    values[2, 1] = values[[3, 4, 5], 2] = NAN
    values[1:, 3] = NAN
    videos = [f"v{i // 2}" for i in range(15)]
    together = intervals(totals(values, videos), Resampling(500))
    for column, found in enumerate(together):
        assert found == pytest.approx(clustered_interval(values[:, column], videos, Resampling(500)), nan_ok=True)


def test_a_constant_has_an_interval_of_no_width():
    assert clustered_interval([0.3] * 9, range(9), Resampling(300)) == pytest.approx((0.3, 0.3, 0.3, 9))


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
    found = clustered_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.2)
    assert found.mean == 0.75
    assert (found.low, found.high) == (0.75, 0.75)  # widened to .35: the middle of the draws holds one of each
    wide = clustered_interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.95)
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_undefined_values_are_dropped_with_the_videos_that_have_nothing_else():
    plain = clustered_interval([1.0, 2.0, 4.0], ["a", "b", "b"])
    with_gaps = clustered_interval([NAN, 1.0, 2.0, NAN, 4.0, NAN], ["c", "a", "b", "b", "b", "d"])
    assert with_gaps == plain
    assert plain.videos == 2


def test_a_column_that_lacks_few_videos_agrees_with_scipy_on_those_it_has():
    generator = np.random.default_rng(12)
    sizes = generator.integers(1, 4, 60)
    videos = np.repeat(np.arange(60), sizes)
    values = np.column_stack([generator.gamma(0.6, size=len(videos)), generator.gamma(0.6, size=len(videos))])
    values[np.isin(videos, generator.permutation(60)[:12]), 1] = NAN  # drawn with the other column: 1/48 - 1/60 < .01
    known = ~np.isnan(values[:, 1])
    sums, counts = np.bincount(videos[known], values[known, 1]), np.bincount(videos[known])
    present = counts > 0
    ratio = (sums[present], counts[present])
    low, high = scipy_bca(ratio, lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis), 48, 0.95)
    found = intervals(totals(values, videos.tolist()), Resampling(50_000))[1]
    assert (found.mean, found.videos) == (pytest.approx(values[known, 1].mean()), 48)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02 * (high - low))


def test_the_numbers_of_draws_kept_for_the_next_columns_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(13).normal(size=(300, 2))  # more videos than a byte has values
    kept = intervals(totals(values, range(300)), Resampling(1000))
    monkeypatch.setattr(resampling, "KEPT", 0)
    monkeypatch.setattr(bootstrap, "VALUES_AT_ONCE", 1)
    assert np.array(intervals(totals(values, range(300)), Resampling(1000))) == pytest.approx(np.array(kept))


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
    assert clustered_interval(values, clusters.tolist(), Resampling(seed=1)) != first


def test_many_videos_are_drawn_in_parts_that_add_up_to_all_resamples():
    values = np.random.default_rng(4).normal(size=1500)  # 4,000 x 1,500 draws do not fit in one part
    found = clustered_interval(values, range(1500), Resampling(4000))
    half = 1.96 * values.std() / np.sqrt(1500)
    assert found.low == pytest.approx(found.mean - half, rel=0.05)
    assert found.high == pytest.approx(found.mean + half, rel=0.05)


def test_one_cluster_per_value_is_required():
    with pytest.raises(ValueError, match="3 clusters"):
        clustered_interval([1.0, 2.0], ["a", "b", "c"])


@pytest.mark.parametrize("strata", [None, ["one" if index % 4 else "two" for index in range(150)]])
def test_single_precision_gives_the_intervals_of_double_precision(
    strata: list[str] | None, monkeypatch: pytest.MonkeyPatch
):
    """Also of numbers beside whose level the deviations would lose their digits, and of hits, of which draws tie."""
    generator = np.random.default_rng(15)
    values = generator.gamma(1.0, size=(150, 5)) * [1, 1e-3, 1e3, 1, 1] + [0, 1e4, 0, -7, 0]
    values[:, 4] = values[:, 4] > 1
    values[generator.random(values.shape) < 0.02] = NAN
    one, two = np.array([0, 0, 1, 4]), np.array([3, 2, 0, 0])
    given = totals(values, range(150), strata)
    away = differences(totals(values[:, one] - values[:, two], range(150), strata), given, one, two)
    assert resampling.precision(150) is np.float32
    found = np.array(intervals(joined(given, away), Resampling(2000)))
    monkeypatch.setattr(resampling, "SINGLE", 151)
    wanted = np.array(intervals(joined(given, away), Resampling(2000)))
    assert (found != wanted).any(), "both were of one precision"
    assert (np.abs(found - wanted) <= 1e-3 * (wanted[:, 2] - wanted[:, 1])[:, None]).all()
