from __future__ import annotations

import numpy as np
import pytest

from attrib.benchmarks.metrics.commitment import CommitmentMetric, Entropy, Sparseness
from attrib.testing import check_metric

from linear import blank, sample_of, volume_of

METRICS = (Sparseness(), Entropy())


def value(metric: CommitmentMetric, values: object) -> float:
    volume = volume_of(values)
    score = metric.score(volume, blank(*volume.values.shape), sample_of())
    assert not score.reason and np.isnan(score.chance)
    return score.value


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_contract(metric: CommitmentMetric):
    check_metric(metric)


def test_by_hand():
    one, two = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    one[1, 0, 1] = 5
    two[0, 0, :] = 2
    assert value(Sparseness(), one) == pytest.approx(7 / 8)
    assert value(Sparseness(), two) == pytest.approx(6 / 8)
    assert value(Entropy(), one) == 0
    assert value(Entropy(), two) == pytest.approx(np.log(2))
    # p = 1/4, 3/4: Gini 1 - 2 (1/4 * 3/2 + 3/4 * 1/2) / 2 = 1/4.
    assert value(Sparseness(), [[[1, 3]]]) == pytest.approx(1 / 4)
    assert value(Entropy(), [[[1, 3]]]) == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


def test_the_gini_index_is_half_the_relative_mean_absolute_difference():
    rng = np.random.default_rng(0)
    for shape in ((1, 2, 3), (3, 4, 4), (5, 7, 2)):
        values = rng.exponential(size=shape).astype(np.float32).astype(float) + 1e-3
        differences = np.abs(values.ravel()[:, None] - values.ravel()).mean()
        assert value(Sparseness(), values) == pytest.approx(differences / (2 * values.mean()))


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_scale_order_and_negative_values_do_not_matter(metric: CommitmentMetric):
    values = np.random.default_rng(1).normal(size=(3, 4, 4))
    plain = value(metric, values)
    assert value(metric, 8 * values) == plain
    assert value(metric, values[::-1, :, ::-1]) == pytest.approx(plain)
    assert value(metric, np.where(values < 0, 3 * values, values)) == plain


def test_cells_of_the_token_grid_are_compared_and_not_pixels():
    fine = np.zeros((1, 4, 4))
    fine[0, ::2, ::2] = 1  # one pixel in each of the four cells, and one cell with more
    fine[0, 0, 0] = 5
    volume = volume_of(fine)
    found = Sparseness().score(volume, blank(1, 2, 2), sample_of()).value
    assert found == pytest.approx(value(Sparseness(), [[[5, 1], [1, 1]]])) == pytest.approx(3 / 8)


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize(
    ("values", "words"),
    [(np.zeros((1, 2, 2)), "no positive saliency"), (-np.ones((1, 2, 2)), "no positive saliency"),
     (np.full((1, 2, 2), 0.3), "the same everywhere")],
)  # fmt: skip
def test_maps_that_say_nothing_are_undefined(metric: CommitmentMetric, values: np.ndarray, words: str):
    score = metric.score(volume_of(values), blank(1, 2, 2), sample_of())
    assert np.isnan(score.value) and words in score.reason
