from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from attrib.benchmarks.stats import permutation
from attrib.benchmarks.stats.multiple import benjamini_hochberg, holm
from attrib.benchmarks.stats.permutation import (
    Pools,
    max_t,
    repaired,
    sign_flip,
    spread,
    videos_needed,
)
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import differences, totals

NAN = float("nan")


def columns(*values: list[float]) -> np.ndarray:
    return np.array(values, float).T


def test_sign_flips_agree_with_all_of_them_and_with_scipy():
    values = np.array([0.4, -0.1, 0.3, 0.2, 0.5, -0.2, 0.1])
    (p,) = sign_flip(totals(values[:, None], range(7)), Resampling(40_000))
    sums = np.array([np.dot(signs, values) for signs in product((-1, 1), repeat=7)])
    exact = np.mean(np.abs(sums) >= abs(values.sum()) - 1e-12)
    found = stats.permutation_test(
        (values, np.zeros(7)), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples"
    )
    assert exact == pytest.approx(found.pvalue)
    assert p == pytest.approx(exact, abs=0.008)


def test_sign_flips_by_hand():
    # Two videos, differences 1 and 1: of the four sums 2, 0, 0, -2 two are as far from 0.
    (p,) = sign_flip(totals(columns([1, 1]), ["a", "b"]), Resampling(9999))
    assert p == pytest.approx(0.5, abs=0.02)
    (least,) = sign_flip(totals(np.ones((40, 1)), range(40)), Resampling(99))
    assert least == 1 / 100  # (1 + 0) / (1 + 99)
    assert sign_flip(totals(columns([0, 0, 0]), range(3)), Resampling(99)).tolist() == [1.0]  # ties count as reached


def test_a_video_flips_as_a_whole():
    once = sign_flip(totals(columns([1, 1, 1]), ["a", "b", "c"]), Resampling(5000))
    copies = sign_flip(totals(np.ones((30, 1)), ["a", "b", "c"] * 10), Resampling(5000))
    assert copies == pytest.approx(once)
    assert once[0] == pytest.approx(0.25, abs=0.03)


def test_a_worse_method_differs_too_and_nothing_gives_nothing():
    found = sign_flip(totals(columns([1] * 12, [-1] * 12, [NAN] * 12), range(12)), Resampling(999))
    assert found[0] == found[1] < 0.01
    assert np.isnan(found[2])


def pools(groups: list[list[float]], videos: list[int] | None = None, weights: list[float] | None = None) -> Pools:
    values = np.full((len(groups), 1, max(map(len, groups), default=1)), NAN)
    for index, group in enumerate(groups):
        values[index, 0, : len(group)] = group
    shares = np.array(weights or [1 / max(1, len(groups))] * len(groups))
    return Pools(values, np.array(videos or range(len(groups)), np.intp), shares[:, None])


def test_repaired_by_hand():
    # Means of the four pairings: (1 + 3) / 2 own, (1 + 2) / 2, (0 + 3) / 2, (0 + 2) / 2: only the own one reaches 2.
    assert repaired(pools([[1, 0], [3, 2]]), Resampling(20_000)) == pytest.approx(1 / 4, abs=0.01)
    # With the second sample's other value as high as its own, two of four.
    assert repaired(pools([[1, 0], [3, 3]]), Resampling(20_000)) == pytest.approx(1 / 2, abs=0.01)
    # Worse than all: every pairing reaches it.
    assert repaired(pools([[0, 1], [2, 3]]), Resampling(100)) == 1
    assert repaired(pools([[5, 0, 1, 2, 3]] * 8), Resampling(99)) == pytest.approx(1 / 100)
    assert np.isnan(repaired(pools([]), Resampling(99)))


def test_repaired_weights_samples_and_keeps_those_of_a_video_together():
    # Means .9 x + .1 y: own .9 + 0; others 0 + .1, .9 + .1, 0 + 0: one of four besides the own reaches.
    assert repaired(pools([[1, 0], [0, 1]], weights=[0.9, 0.1]), Resampling(20_000)) == pytest.approx(1 / 2, abs=0.01)
    assert repaired(pools([[1, 0], [1, 0]]), Resampling(20_000)) == pytest.approx(1 / 4, abs=0.01)
    assert repaired(pools([[1, 0], [1, 0]], videos=[0, 0]), Resampling(20_000)) == pytest.approx(1 / 2, abs=0.01)


def test_repaired_agrees_with_all_pairings_of_unequal_pools():
    groups = [[0.3, 0.1, 0.5], [0.7, 0.2], [0.4, 0.4, 0.9, 0.1]]
    own = sum(group[0] for group in groups)
    exact = np.mean([sum(chosen) >= own - 1e-12 for chosen in product(*groups)])
    assert repaired(pools(groups), Resampling(40_000)) == pytest.approx(exact, abs=0.008)


def test_columns_repaired_together_agree_with_all_pairings_of_each():
    """The first two have pools of one size where they have any, the third has others; a weight of 0 is no sample."""
    groups = [
        [[0.3, 0.1, 0.5], [0.7, 0.2], [0.4, 0.4, 0.9, 0.1]],
        [[0.6, 0.5, 0.9], [NAN], [0.2, 0.4, 0.1, 0.3]],
        [[0.1, 0.0], [0.7, 0.2, 0.8], [0.4, 0.4]],
    ]
    values, weights = np.full((3, 3, 4), NAN), np.zeros((3, 3))
    for column, pooled in enumerate(groups):
        for sample, pool in enumerate(pooled):
            values[sample, column, : len(pool)] = pool
        known = [not np.isnan(pool[0]) for pool in pooled]
        weights[:, column] = np.array(known) / sum(known)
    found = repaired(Pools(values, np.arange(3), weights), Resampling(40_000))
    for column, pooled in enumerate(groups):
        pools_of = [pool for pool in pooled if not np.isnan(pool[0])]
        own = sum(pool[0] for pool in pools_of)
        exact = np.mean([sum(chosen) >= own - 1e-12 for chosen in product(*pools_of)])
        assert found[column] == pytest.approx(exact, abs=0.008)


def test_flips_of_the_mean_over_tasks_agree_with_all_of_them():
    values, tasks = np.array([0.4, -0.1, 0.9, 0.2, -0.3, 0.5]), ["x", "x", "x", "x", "y", "y"]
    (p,) = sign_flip(totals(values[:, None], range(6), tasks), Resampling(40_000))
    weights = np.array([1 / 8] * 4 + [1 / 4] * 2)
    sums = np.array([np.dot(signs, values * weights) for signs in product((-1, 1), repeat=6)])
    assert p == pytest.approx(np.mean(np.abs(sums) >= abs(values @ weights) - 1e-12), abs=0.008)


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 (not less than before) .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.01, NAN, 0.04]) == pytest.approx([0.02, NAN, 0.04], nan_ok=True)
    assert holm([]).tolist() == []


def test_benjamini_hochberg_by_hand():
    # Sorted .01 .02 .03 .5 times 4/1 4/2 4/3 4/4: .04 .04 .04 .5, from the right never greater
    assert benjamini_hochberg([0.02, 0.5, 0.01, NAN, 0.03]) == pytest.approx([0.04, 0.5, 0.04, NAN, 0.04], nan_ok=True)
    assert benjamini_hochberg([NAN]) == pytest.approx([NAN], nan_ok=True)


def test_max_t_agrees_with_all_sign_flips():
    values = np.random.default_rng(3).normal(0.4, 1, size=(8, 3)) * [1, 10, 0.1]
    found = max_t(totals(values, range(8)), Resampling(40_000))
    observed = stats.ttest_1samp(values, 0).statistic
    largest = np.array([
        stats.ttest_1samp(values * np.array(signs)[:, None], 0).statistic.max() for signs in product((-1, 1), repeat=8)
    ])  # fmt: skip
    assert found == pytest.approx([(largest >= t - 1e-9).mean() for t in observed], abs=0.01)


def test_max_t_of_one_column_is_a_single_test_and_copies_cost_nothing():
    values = np.random.default_rng(4).normal(0.7, 1, size=(10, 1))
    one = max_t(totals(values, range(10)), Resampling(5000))
    assert max_t(totals(np.tile(values, 6), range(10)), Resampling(5000)) == pytest.approx(np.tile(one, 6))
    with_gap = np.column_stack([values, [1.0] + [NAN] * 9])
    assert max_t(totals(with_gap, range(10)), Resampling(5000)) == pytest.approx([one[0], NAN], nan_ok=True)
    assert max_t(totals(-values, range(10)), Resampling(5000))[0] > 0.5


def test_spread_is_the_deviation_over_videos():
    values = np.random.default_rng(5).normal(size=12)
    assert spread(totals(values[:, None], range(12)))[0] == pytest.approx(values.std(ddof=1))
    copied = totals(np.repeat(values, 3)[:, None], np.repeat(np.arange(12), 3).tolist())
    assert spread(copied)[0] == pytest.approx(values.std(ddof=1))
    assert np.isnan(spread(totals(np.ones((2, 1)), ["a", "a"]))[0])


def test_videos_needed_as_in_metrics():
    # ((1.959964 + .841621) x .15 / .02) ^ 2 = 441.5
    assert videos_needed(np.array([0.02, -0.02]), np.array([0.15, 0.15])).tolist() == [442, 442]
    assert videos_needed(np.array([0.0, NAN]), np.array([0.15, 1.0])) == pytest.approx([np.inf, NAN], nan_ok=True)
    # With no power but .5, the difference is as large as what is just significant.
    assert videos_needed(np.array([1.96]), np.array([10.0]), power=0.5).tolist() == [100]


def test_flips_of_many_videos_agree_with_a_plain_product_also_where_most_differences_are_nothing():
    """From 100 videos on in single precision: columns that differ from the first everywhere, hardly, in 3 videos."""
    generator = np.random.default_rng(16)
    base = generator.gamma(1.0, size=240)
    away = np.column_stack([generator.normal(0.1, 1, 240), generator.normal(1e-7, 1e-6, 240), np.zeros(240)])
    away[[5, 50, 200], 2] = 0.1
    values = np.column_stack([base, base[:, None] + away])
    one, two = np.array([1, 2, 3]), np.array([0, 0, 0])
    data = differences(totals(values[:, one] - values[:, two], range(240)), totals(values, range(240)), one, two)
    signs = np.random.default_rng(17).choice((-1.0, 1.0), (20_000, 240))
    wanted = (np.abs(signs @ away) >= np.abs(away.sum(axis=0)) * (1 - 1e-9)).mean(axis=0)
    assert wanted[2] == pytest.approx(0.25, abs=0.01)  # of the eight choices of three signs, two
    assert sign_flip(data, Resampling(20_000)) == pytest.approx(wanted, abs=0.012)


def test_re_paired_sums_of_more_samples_than_are_summed_at_once_agree_with_a_loop(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(18)
    share, values = generator.random((4, 7)), generator.normal(size=(7, 3, 2))
    counts = np.array([1, 2, 3, 3, 2, 1, 3])
    wanted = [
        sum(values[sample, int(draw[sample] * counts[sample])] for sample in range(7)) for draw in share
    ]  # fmt: skip
    monkeypatch.setattr(permutation, "CACHED", 12)  # two samples
    assert permutation._sums(share, counts, values) == pytest.approx(np.array(wanted))
