from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from attrib import registry
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.metrics.infidelity import Infidelity, residuals, without_sizes
from attrib.testing import check_metric

from linear import sample_of, subject_of, volume_of

# In the linear model removing cell i costs w_i (red_i - 70) / 255, and cells add up.
RED = np.arange(0, 160, 20).reshape(2, 2, 2)
WEIGHTS = np.array([3, 0, -2, 1, 0, 5, 255, 510.0]).reshape(2, 2, 2)
COSTS = WEIGHTS * (RED - 70) / 255
METRIC = Infidelity(Mean())


@pytest.mark.parametrize("name", registry.names("imputers"))
def test_contract(name: str):
    check_metric(Infidelity(registry.get("imputers", name)()))


def test_what_is_left_by_hand():
    sums, falls = np.array([[1.0], [2.0]]), np.array([2.0, 1.0])
    # beta = (1 * 2 + 2 * 1) / (4 + 1) = 0.8, left (1 - 1.6)^2 + (2 - 0.8)^2 = 1.8 of 1 + 4.
    assert residuals(sums, falls) == pytest.approx([0.36])
    assert residuals(-sums, falls) == pytest.approx([1.0])  # no beta below 0
    assert residuals(np.array([[2.0], [-4.0]]), falls) == pytest.approx([1.0])  # at right angles
    assert residuals(np.column_stack([sums, falls]), falls) == pytest.approx([0.36, 0])


def test_exact_values_leave_nothing_and_their_inverse_everything():
    subject = subject_of(WEIGHTS, RED)
    found = [METRIC.score(volume_of(factor * COSTS), subject, sample_of()).value for factor in (1, 0.01, -1)]
    assert found == pytest.approx([0, 0, 1], abs=1e-6)


def reference(sets: np.ndarray, values: np.ndarray, costs: np.ndarray = COSTS) -> float:
    """Share left by non-negative least squares of the residuals that least squares on the sets' sizes leaves."""
    sizes = sets.sum(axis=1, keepdims=True)
    a, b = (each - sizes @ np.linalg.lstsq(sizes, each)[0] for each in (sets @ values.ravel(), sets @ costs.ravel()))
    return float(nnls(b[:, None], a)[1] ** 2 / (a @ a))


def test_it_is_the_least_square_over_beta():
    rng, subject = np.random.default_rng(0), subject_of(WEIGHTS, RED)
    sets = METRIC.sets(subject).reshape(64, 8).astype(float)
    for values in (COSTS + 60 * rng.normal(size=(2, 2, 2)), COSTS + 300 * rng.normal(size=(2, 2, 2)) + 500):
        found = METRIC.score(volume_of(values), subject, sample_of())
        assert 0.05 < found.value < 0.99
        assert found.value == pytest.approx(reference(sets, values.astype(np.float32).astype(float)), abs=1e-5)


@pytest.mark.parametrize("offset", [-3.0, 0.5, 40.0])
def test_a_constant_added_to_the_map_changes_nothing(offset: float):
    values, subject = np.random.default_rng(7).normal(size=(2, 2, 2)) + COSTS / 100, subject_of(WEIGHTS, RED)
    plain, moved = (METRIC.score(volume_of(each), subject, sample_of()) for each in (values, values + offset))
    assert moved.value == pytest.approx(plain.value, abs=1e-5) and 0.05 < plain.value < 0.95
    assert moved.chance == pytest.approx(plain.chance, abs=1e-5)


def test_an_inverted_map_scores_one_however_much_is_added_to_it():
    """Without the regression on sizes, an inverted map of large positive values scored like a good one."""
    subject = subject_of(WEIGHTS + 20, RED)  # every cell costs something: a larger set costs more
    exact = (WEIGHTS + 20) * (RED - 70) / 255
    for offset in (0.0, 100.0, 1000.0):
        assert METRIC.score(volume_of(offset - exact), subject, sample_of()).value == pytest.approx(1, abs=1e-9)
        assert METRIC.score(volume_of(offset + exact), subject, sample_of()).value == pytest.approx(0, abs=1e-4)


def test_the_size_alone_explains_nothing():
    even = subject_of(np.full((2, 2, 2), 3.0), np.full((2, 2, 2), 50) + 100 * np.eye(2)[None].astype(int))
    assert METRIC.score(volume_of(COSTS), even, sample_of()).value <= 1
    values = np.ones(8)
    assert not without_sizes(values * 7, values).any()
    sizes = np.array([1.0, 2, 3, 4])
    assert without_sizes(np.array([2.0, 0, 0, 0]), sizes) == pytest.approx([2 - 2 / 30, -4 / 30, -6 / 30, -8 / 30])
    assert not without_sizes(0.1 * sizes, sizes).any()


def test_no_scale_matters():
    rng = np.random.default_rng(1)
    values, subject = rng.normal(size=(2, 2, 2)), subject_of(WEIGHTS, RED)
    one, two = (METRIC.score(volume_of(scale * values), subject, sample_of()) for scale in (1, 2.0**-40))
    assert one == two
    odd = METRIC.score(volume_of(3.7e5 * values), subject, sample_of())
    assert odd.value == pytest.approx(one.value, abs=1e-6)


def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse():
    rng = np.random.default_rng(0)
    weights, red = rng.normal(size=(4, 4, 4)), rng.integers(0, 256, (4, 4, 4))
    subject = subject_of(weights, red)
    oracle = weights * (red - red.mean())
    noise = rng.normal(size=oracle.shape) * oracle.std()
    sets = METRIC.sets(subject).reshape(64, -1).astype(float)
    a, b = (without_sizes(sets @ each.ravel(), sets.sum(axis=1)) for each in (noise, oracle))
    noise *= np.sign(a @ b)  # of the noise and its negative, the one that leans to the evidence
    values = [
        METRIC.score(volume_of(values), subject, sample_of()).value
        for values in (oracle, oracle + noise, noise, -oracle)
    ]
    assert values == sorted(values) and len(set(values)) == 4


def test_sets_are_seeded_and_of_every_size():
    subject = subject_of(np.ones((2, 3, 4)))
    sets = Infidelity(subsets=500).sets(subject)
    assert sets.shape == (500, 2, 3, 4)
    sizes = sets.sum(axis=(1, 2, 3))
    assert set(sizes.tolist()) == set(range(1, 24))
    assert sets.mean(axis=0) == pytest.approx(np.full((2, 3, 4), 0.5), abs=0.1)
    assert np.array_equal(sets, Infidelity(subsets=500).sets(subject))
    other = Infidelity(subsets=500).sets(subject_of(np.ones((2, 3, 4)), seed=1))
    assert not np.array_equal(sets, other)


def test_sets_are_evaluated_once_for_all_volumes():
    subject = subject_of(np.random.default_rng(0).normal(size=(4, 4, 4)), np.arange(64).reshape(4, 4, 4))
    rng = np.random.default_rng(1)
    for _ in range(3):
        METRIC.score(volume_of(rng.normal(size=(4, 4, 4))), subject, sample_of())
    assert subject.model.evaluated == 1 + 64 + 1  # when bound, the sets, and the removed video for `vision`


def test_chance_is_the_mean_over_shuffled_values():
    """Chance of the exact values is near 1."""
    weights, red = np.random.default_rng(2).normal(size=(4, 4, 4)), np.random.default_rng(3).integers(0, 256, (4, 4, 4))
    exact = weights * (red - red.mean())
    found = METRIC.score(volume_of(exact), subject_of(weights, red), sample_of())
    assert found.value < 1e-4 and found.chance > 0.7


def test_chance_by_another_solver():
    values, subject = np.random.default_rng(4).normal(size=(2, 2, 2)).astype(np.float32), subject_of(WEIGHTS, RED)
    sets = METRIC.sets(subject).reshape(64, 8).astype(float)
    shuffles = np.random.default_rng([0, 4]).permuted(np.tile(values.ravel().astype(float), (100, 1)), axis=1)
    shares = [reference(sets, one) for one in shuffles]
    found = METRIC.score(volume_of(values), subject, sample_of())
    assert np.ptp(shares) > 0.05
    assert found.chance == pytest.approx(np.mean(shares), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "reason"), [(np.zeros((2, 2, 2)), "zero everywhere"), (np.ones((2, 2, 2)), "the same everywhere")]
)
def test_a_volume_that_ranks_nothing_is_undefined(values: np.ndarray, reason: str):
    found = METRIC.score(volume_of(values), subject_of(WEIGHTS, RED), sample_of())
    assert np.isnan(found.value) and reason in found.reason


def test_an_answer_that_nothing_changes_is_undefined():
    found = METRIC.score(volume_of(COSTS), subject_of(WEIGHTS * 0, RED), sample_of())
    assert np.isnan(found.value) and found.reason == "no random set of cells changes the answer"


def test_an_answer_that_is_not_finite_is_undefined():
    found = METRIC.score(volume_of(COSTS), subject_of(np.full((2, 2, 2), np.inf), RED), sample_of())
    assert np.isnan(found.value) and "not finite" in found.reason


def test_one_set_is_refused():
    with pytest.raises(ValueError, match="subsets: expected 2 or more, got 1"):
        Infidelity(subsets=1)
