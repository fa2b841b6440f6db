from __future__ import annotations

import numpy as np
import pytest

from attrib import registry
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.metrics.flips import FlipRate, random_others
from attrib.testing import check_metric, toy_answer, toy_volume

from linear import sample_of, subject_of, volume_of

# f is 400 less 300; 260 less 300 without cell 7, so that the other option is chosen; 350 less 300 without cell 6.
RED = np.arange(0, 160, 20).reshape(2, 2, 2)
WEIGHTS = np.array([0, 0, 0, 0, 0, 0, 255, 510.0]).reshape(2, 2, 2)
BEST_FIRST = np.arange(8.0).reshape(2, 2, 2)
FLIP = FlipRate(Mean())


@pytest.mark.parametrize("name", registry.names("imputers"))
def test_contract(name: str):
    check_metric(FlipRate(registry.get("imputers", name)()))


def test_the_top_tenth_changes_the_choice():
    subject = subject_of(WEIGHTS, RED, bias=-300.0)
    found = [FLIP.score(volume_of(sign * BEST_FIRST), subject, sample_of()) for sign in (1, -1)]
    assert [score.value for score in found] == [1, 0]
    assert found[0].chance == 0  # the top cell alone does it, and the random one is another
    assert found[0].vision is True  # f falls by 190


def test_what_counts_is_the_models_own_choice():
    """It chooses option 1 with f = -100, though option 0 is explained; without cell 7 it still does."""
    subject = subject_of(WEIGHTS, RED, bias=-500.0)
    assert subject.predicted == 1 and subject.option == 0
    assert FLIP.score(volume_of(BEST_FIRST), subject, sample_of()).value == 0


def test_chance_is_one_of_the_other_cells_as_likely():
    volume = volume_of(-BEST_FIRST)  # cell 0 is the top: of the seven others one changes the choice
    found = [FLIP.score(volume, subject_of(WEIGHTS, RED, bias=-300.0, seed=seed), sample_of()) for seed in range(300)]
    assert {score.value for score in found} == {0}
    assert np.mean([score.chance for score in found]) == pytest.approx(1 / 7, abs=0.06)


def test_random_cells_are_apart_from_the_top_and_seeded():
    order = np.random.default_rng(0).permutation(40)
    seen = set()
    for seed in range(100):
        found = random_others(order, 4, seed)
        assert len(set(found.tolist())) == 4
        assert not set(found.tolist()) & set(order[:4].tolist())
        seen |= set(found.tolist())
    assert seen == set(order[4:].tolist())
    assert random_others(order, 4, 7).tolist() == random_others(order, 4, 7).tolist()
    rest = np.random.default_rng(1).permutation(order[4:])  # the order of what is not the top makes no difference
    assert random_others(np.r_[order[:4], rest], 4, 7).tolist() == random_others(order, 4, 7).tolist()


def test_two_versions_are_evaluated():
    subject = subject_of(WEIGHTS, RED, bias=-300.0)
    FLIP.score(volume_of(BEST_FIRST), subject, sample_of())
    assert subject.model.evaluated == 1 + 2 + 1  # when bound, both versions, and the removed video for `vision`


@pytest.mark.parametrize(
    ("values", "reason"), [(np.zeros((2, 2, 2)), "zero everywhere"), (np.ones((2, 2, 2)), "the same everywhere")]
)
def test_a_volume_that_ranks_nothing_is_undefined(values: np.ndarray, reason: str):
    found = FLIP.score(volume_of(values), subject_of(WEIGHTS, RED), sample_of())
    assert np.isnan(found.value) and reason in found.reason


def test_a_tenth_of_four_cells_is_none():
    found = FLIP.score(volume_of(BEST_FIRST[:1]), subject_of(WEIGHTS[:1], RED[:1]), sample_of())
    assert np.isnan(found.value) and found.reason == "10 % of 4 cells are none"


def test_a_free_answer_is_undefined():
    subject = toy_answer()
    assert subject.sample is not None
    found = FLIP.score(toy_volume(np.random.default_rng(0).random((4, 3, 4))), subject, subject.sample)
    assert np.isnan(found.value) and "free answer" in found.reason


def test_an_answer_that_is_not_finite_is_undefined():
    found = FLIP.score(volume_of(BEST_FIRST), subject_of(np.full((2, 2, 2), np.inf), RED), sample_of())
    assert np.isnan(found.value) and "not finite" in found.reason
