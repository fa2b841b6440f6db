from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attrib.benchmarks.stats.ranking import (
    cliques,
    friedman,
    kendall_w,
    mean_ranks,
    pairs_adjusted,
    rank,
    rank_correlation,
)

NAN = float("nan")
# Demsar 2006, table 6: AUC of C4.5 and three variants on 14 data sets. He gives the mean ranks 3.143, 2.000, 2.893,
# 1.964 and Friedman's chi-squared 9.28.
DEMSAR = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip


def test_mean_ranks_and_friedman_of_a_published_example():
    assert mean_ranks(DEMSAR) == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=5e-4)
    # His 9.28 is not corrected for ties; the correction divides by 1 - sum(t^3 - t) / (N k (k^2 - 1)).
    ties = (2**3 - 2) * 3 + (4**3 - 4)
    statistic, p = friedman(DEMSAR)
    assert statistic * (1 - ties / (14 * 4 * 15)) == pytest.approx(9.28, abs=0.02)
    assert p == pytest.approx(stats.chi2.sf(statistic, 3))


def test_rank_orders_methods_by_name_when_they_tie_and_high_is_best():
    found = rank(np.array([[1.0, 3.0, 3.0], [1.0, 3.0, 3.0]]), ["low", "zeta", "alpha"])
    assert found.methods == ("alpha", "zeta", "low")
    assert found.ranks.tolist() == [1.5, 1.5, 3.0]


def test_methods_without_values_are_left_out_and_blocks_with_gaps_dropped():
    values = np.random.default_rng(0).normal(size=(10, 4))
    values[:, 1] = NAN
    values[:6, 2] = NAN  # in fewer than half of the nine blocks that have any
    values[9] = NAN
    values[0, 3] = NAN
    found = rank(values, list("abcd"))
    assert found.left_out == ("b", "c")
    assert set(found.methods) == {"a", "d"}
    assert (found.blocks, found.dropped) == (8, 1)
    kept = values[1:9][:, [0, 3]]
    assert dict(zip(found.methods, found.ranks, strict=True))["a"] == pytest.approx(
        np.mean(1 + (kept[:, 1] > kept[:, 0]))
    )


def test_the_order_of_methods_and_blocks_does_not_matter():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(15, 5)) + np.arange(5)
    one = rank(values, list("abcde"))
    columns, rows = generator.permutation(5), generator.permutation(15)
    two = rank(values[rows][:, columns], ["abcde"[place] for place in columns])
    assert one.methods == two.methods == tuple("edcba")
    assert one.cliques == two.cliques
    assert (one.ranks == two.ranks).all()


def test_pairs_are_wilcoxon_tests_with_holm():
    values = np.random.default_rng(2).normal(size=(12, 3)) + np.array([0, 0.7, 3])
    p = {pair: stats.wilcoxon(values[:, pair[0]], values[:, pair[1]]).pvalue for pair in ((0, 1), (0, 2), (1, 2))}
    first, second, third = sorted(p, key=lambda pair: p[pair])
    wanted = {first: 3 * p[first]}
    wanted[second] = max(wanted[first], 2 * p[second])
    wanted[third] = max(wanted[second], p[third])
    found = pairs_adjusted(values)
    for pair, value in wanted.items():
        assert found[pair] == found[pair[::-1]] == pytest.approx(min(1, value))
    assert pairs_adjusted(np.ones((5, 2)))[0, 1] == 1


@pytest.mark.parametrize("blocks", [2, 5, 9, 13, 14])
def test_pairs_with_ties_and_zeros_have_scipys_p(blocks: int) -> None:
    """Differences of few values, up to where SciPy's test is exact and beyond; one pair at a time."""
    values = np.random.default_rng(blocks).integers(-2, 4, size=(blocks, 2)) * np.array([1.0, 0.5])
    values[0] = 3.0, 0.0  # they differ somewhere
    wanted = stats.wilcoxon(values[:, 0] - values[:, 1]).pvalue
    assert pairs_adjusted(values)[0, 1] == pytest.approx(wanted, rel=1e-12)


def test_cliques_are_maximal_runs_of_methods_that_do_not_differ():
    steps = np.arange(20)[:, None] % 5 * 0.001  # breaks ties only
    # Differences of one sign in 20 blocks give p = 2 / 2^20; equal columns differ in nothing.
    apart = (
        np.hstack([np.full((20, 1), 9.0), np.full((20, 1), 5.0), np.full((20, 1), 5.0), np.full((20, 1), 1.0)]) + steps
    )
    assert cliques(apart, p=0.001) == ((1, 2),)
    assert cliques(apart, p=0.2) == ((0, 3),), "without a difference among all, all are one"
    assert cliques(apart[:, [0, 1, 3]], p=0.001) == ()
    assert cliques(apart[:, [0]], p=0.001) == ()


def test_cliques_overlap_and_one_inside_another_is_not_drawn():
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(30, 1))
    chain = np.hstack([noise + 0.02 * generator.normal(size=(30, 1)) - 0.011 * place for place in range(4)])
    alike = pairs_adjusted(chain) >= 0.05
    wanted = []
    for first in range(4):
        for last in range(first + 1, 4):
            whole = alike[first : last + 1, first : last + 1].all()
            if whole and not any(a <= first and last <= b for a, b in wanted):
                wanted = [pair for pair in wanted if not (first <= pair[0] and pair[1] <= last)] + [(first, last)]
    assert len(wanted) > 1, "the case has overlapping cliques"
    assert cliques(chain, p=0.001) == tuple(wanted)


def test_kendall_w_by_hand():
    # Three judges, four items: rank sums 4, 5, 9, 12, mean 7.5, S = 12.25 + 6.25 + 2.25 + 20.25 = 41;
    # W = 12 x 41 / (9 x (64 - 4)) = .9111
    ranks = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 3, 4]], float)
    assert ranks.sum(axis=0).tolist() == [4, 5, 9, 12]
    assert kendall_w(ranks) == pytest.approx(12 * 41 / (9 * 60))
    assert kendall_w(np.array([[1.0, 2, 3], [5, 6, 9]])) == pytest.approx(1)
    assert kendall_w(np.array([[1.0, 2, 3], [3, 2, 1]])) == pytest.approx(0)
    assert kendall_w(np.array([[1.0, 2, 3], [NAN, 2, 1], [1, 2, 3]])) == pytest.approx(1)
    assert np.isnan(kendall_w(np.array([[1.0, 2, 3]])))
    assert np.isnan(kendall_w(np.ones((3, 4))))
    assert np.isnan(kendall_w(np.ones((3, 1))))


def test_rank_correlation_is_of_what_both_have():
    one, two = np.array([1.0, 2, NAN, 4, 8]), np.array([1.0, 3, 9, NAN, 2])
    statistic, p, count = rank_correlation(one, two)
    assert count == 3
    assert statistic == pytest.approx(0.5)  # ranks 1 2 3 against 1 3 2: 1 - 6 x 2 / (3 x 8)
    assert p == pytest.approx(stats.spearmanr([1, 2, 8], [1, 3, 2]).pvalue)
    assert np.isnan(rank_correlation(one, np.array([1.0, 1, 1, 1, 1]))[0])
    assert rank_correlation(one[:2], two[:2])[2] == 2
