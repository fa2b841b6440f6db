from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import (
    Curves,
    chance_curves,
    curves,
    needs_video,
    saliency_order,
    step_counts,
)
from attrib.benchmarks.perturb.evaluator import cell_shape
from attrib.errors import InputError

from linear import blank, subject_of, volume_of

# Eight cells, 2 x 2 x 2. Red is 0, 20, ..., 140 of 255, its mean 70: replacing a cell changes f by w (70 - red) / 255.
RED = np.arange(0, 160, 20).reshape(2, 2, 2)
WEIGHTS = np.array([0, 0, 0, 0, 0, 0, 255, 510.0]).reshape(2, 2, 2)
# f(x) = 120 + 2 * 140 = 400; without cell 7: 400 + 2 * (70 - 140) = 260; without 7 and 6: 210, as with all removed.
BEST_FIRST = np.arange(8.0).reshape(2, 2, 2)


def test_steps_are_shares_of_the_cells_rounded_half_up_and_taken_once():
    assert step_counts(1000).tolist() == [0, 10, 20, 50, 100, 200, 300, 500, 750, 1000]
    assert step_counts(50).tolist() == [0, 1, 3, 5, 10, 15, 25, 38, 50]  # 0.5 and 1 coincide; 2.5 -> 3, 37.5 -> 38
    assert step_counts(8).tolist() == [0, 1, 2, 4, 6, 8]


def test_curves_equal_numbers_worked_by_hand():
    found = curves(volume_of(BEST_FIRST), subject_of(WEIGHTS, RED), Mean())
    for curve in (found.most_first, found.least_first, found.insertion):
        assert curve.fractions.tolist() == [0, 0.125, 0.25, 0.5, 0.75, 1]
    assert found.most_first.log_odds == pytest.approx([400, 260, 210, 210, 210, 210], abs=1e-3)
    assert found.least_first.log_odds == pytest.approx([400, 400, 400, 400, 400, 210], abs=1e-3)
    # Inserting cell 7 first gives 210 + 140, then cell 6 the rest.
    assert found.insertion.log_odds == pytest.approx([210, 350, 400, 400, 400, 400], abs=1e-3)


def test_areas_are_trapezoids_over_the_true_fractions():
    found = curves(volume_of(BEST_FIRST), subject_of(WEIGHTS, RED), Mean())
    assert found.most_first.auc() == pytest.approx((660 + 470) / 16 + 210 * 0.75, abs=1e-3)
    assert found.least_first.auc() == pytest.approx(400 * 0.75 + 610 / 8, abs=1e-3)
    assert found.insertion.auc() == pytest.approx((560 + 750) / 16 + 400 * 0.75, abs=1e-3)


def test_the_area_of_a_flat_curve_is_its_height():
    found = curves(volume_of(BEST_FIRST), subject_of(WEIGHTS * 0, RED, bias=1.25), Blur())
    assert [c.auc() for c in (found.most_first, found.least_first, found.insertion)] == pytest.approx([1.25] * 3)


def test_the_probability_curve_is_the_options_own():
    found = curves(volume_of(BEST_FIRST), subject_of(WEIGHTS / 255, RED, bias=-1.0), Mean()).most_first
    heights = 1 / (1 + np.exp(-found.log_odds))
    assert found.log_odds[0] == pytest.approx(400 / 255 - 1, abs=1e-5)
    assert found.probability == pytest.approx(heights, abs=1e-6)
    assert found.auc("probability") == pytest.approx(np.trapezoid(heights, found.fractions), abs=1e-6)


def test_order_is_by_descending_signed_saliency():
    values = np.array([0.5, -9, 3, 0, -0.1, 7, 1, 2]).reshape(2, 2, 2)
    assert saliency_order(volume_of(values), blank()).tolist() == [5, 2, 7, 6, 0, 3, 4, 1]


def test_only_ties_are_settled_by_the_seed():
    values = np.array([1, 1, 5, 1, 1, 1, 1, 1 - 1e-5]).reshape(2, 2, 2)  # the last is less by a hair, not a tie
    orders = [saliency_order(volume_of(values), subject_of(WEIGHTS, seed=seed)).tolist() for seed in range(20)]
    assert {order[0] for order in orders} == {2}
    assert {order[-1] for order in orders} == {7}
    assert {order[1] for order in orders} == {0, 1, 3, 4, 5, 6}  # no cell is favoured for standing first
    assert orders[3] == saliency_order(volume_of(values), subject_of(WEIGHTS, seed=3)).tolist()


def test_cells_are_8_by_8_or_the_token_grid_where_that_is_coarser():
    assert cell_shape(blank(3, 16, 16)) == (3, 8, 8)
    assert cell_shape(blank(3, 5, 12)) == (3, 5, 8)


def test_a_cell_stands_for_its_own_pixels():
    # 16 x 24 tokens of 2 x 2 pixels: the cell (1, 2, 5) covers tokens 4:6, 15:18 of frame 1.
    weights = np.zeros((2, 16, 24))
    weights[1, 4:6, 15:18] = [[1, 2, 3], [4, 2, 3]]
    values = np.zeros((2, 8, 8))
    values[1, 2, 5] = 1
    found = curves(volume_of(values), subject_of(weights, 255 * (weights > 0)), Mean())
    share = 6 / 768  # the video's mean red
    assert found.most_first.fractions[1] == 1 / 128
    assert found.most_first.log_odds[:2] == pytest.approx([15, 15 * share], abs=1e-4)
    assert found.insertion.log_odds[:2] == pytest.approx([15 * share, 15], abs=1e-4)


def test_saliency_of_another_size_is_averaged_into_the_cells():
    values = np.zeros((2, 3, 4))
    values[1, 0, 2:] = 1  # 3 rows into 2: the top right cell of frame 1 gets a share, no other cell does
    values[0, 1, :2] = 1  # a middle row, shared by both left cells of frame 0
    order = saliency_order(volume_of(values), blank())
    assert order[0] == 5
    assert set(order[1:3].tolist()) == {0, 2}


def read_all(found: Curves) -> None:
    assert len(found.most_first.log_odds) == len(found.least_first.log_odds) == len(found.insertion.log_odds)


def test_nothing_is_evaluated_twice():
    rng = np.random.default_rng(0)
    subject = subject_of(rng.random((2, 8, 8)), rng.integers(0, 255, (2, 8, 8)))
    assert subject.model.evaluated == 1  # the full video, when the subject was bound
    first, second = (volume_of(rng.random((2, 8, 8))) for _ in range(2))
    # Counts 1, 3, 6, 13, 26, 38, 64, 96 of 128: 8 from the top, 8 from the bottom, 7 more for insertion, all removed.
    read_all(curves(first, subject, Mean()))
    assert subject.model.evaluated == 1 + 8 + 8 + 7 + 1
    read_all(curves(first, subject, Mean()))
    assert subject.model.evaluated == 25
    read_all(curves(second, subject, Mean()))
    assert subject.model.evaluated == 25 + 23  # the removed video is known by now
    read_all(curves(first, subject, Blur()))
    assert subject.model.evaluated == 48 + 24
    read_all(chance_curves(subject, Blur()))
    read_all(chance_curves(subject, Blur()))
    assert subject.model.evaluated == 72 + 23


def test_a_curve_that_nobody_reads_is_not_evaluated():
    rng = np.random.default_rng(0)
    subject = subject_of(rng.random((2, 8, 8)), rng.integers(0, 255, (2, 8, 8)))
    found = curves(volume_of(rng.random((2, 8, 8))), subject, Mean())
    assert subject.model.evaluated == 1
    assert found.insertion is found.insertion
    assert subject.model.evaluated == 1 + 8 + 1  # of 9 steps with cells removed the one of 100 % is all removed


def test_curves_of_another_subject_are_its_own():
    volume = volume_of(BEST_FIRST)
    one, two = subject_of(WEIGHTS, RED), subject_of(-WEIGHTS, RED)
    assert curves(volume, two, Mean()).insertion.auc() == pytest.approx(-curves(volume, one, Mean()).insertion.auc())


def test_a_curve_is_read_at_a_share_of_the_cells():
    found = curves(volume_of(BEST_FIRST), subject_of(WEIGHTS, RED), Mean()).most_first
    # Of 8 cells 1 % are none, 5 % are 0.4 and so none, 10 % are 0.8 and so one, 20 % are 1.6 and so two.
    assert [found.at(share) for share in (0, 0.01, 0.05, 0.1, 0.2, 1)] == pytest.approx(
        [400, 400, 400, 260, 210, 210], abs=1e-3
    )
    assert found.at(0.1, "probability") == found.probability[1]


@pytest.mark.parametrize(("fall", "needed"), [(0.501, True), (0.499, False), (-2.0, False)])
def test_the_video_is_needed_where_its_removal_costs_more_than_the_gate(fall: float, needed: bool):
    # Of two cells, 0 and 1, the mean is 0.5: f falls by half the weight of the second.
    subject = subject_of(np.array([[[0.0, 2 * fall]]]), np.array([[[0, 255]]]))
    assert needs_video(subject, Mean()) is needed


def test_the_chance_order_is_random_and_seeded():
    wanted = (400 + 210) / 2  # in an additive model each cell is as likely gone as not
    found = [chance_curves(subject_of(WEIGHTS, RED, seed=seed), Mean()) for seed in range(200)]
    assert np.mean([c.most_first.auc() for c in found]) == pytest.approx(wanted, abs=8)
    assert np.mean([c.insertion.auc() for c in found]) == pytest.approx(wanted, abs=8)
    assert np.std([c.most_first.auc() for c in found]) > 30
    again = chance_curves(subject_of(WEIGHTS, RED, seed=7), Mean())
    assert again.most_first.log_odds.tolist() == found[7].most_first.log_odds.tolist()


@pytest.mark.parametrize(
    ("values", "reason"),
    [(np.zeros((2, 2, 2)), "zero everywhere"), (np.full((2, 3, 3), -0.3), "the same everywhere")],
)
def test_a_volume_that_ranks_nothing_has_no_order(values: np.ndarray, reason: str):
    subject = blank()
    with pytest.raises(UndefinedError, match=reason):
        curves(volume_of(values), subject, Mean())
    assert subject.model.evaluated == 1


def test_a_volume_of_another_clip_is_refused():
    with pytest.raises(InputError, match="expected the clip's 2 frames"):
        curves(volume_of(np.ones((3, 2, 2))), blank(), Mean())
    late = replace(volume_of(BEST_FIRST), times=np.array([0.0, 0.6]))
    with pytest.raises(InputError, match=r"got 2 from 0\.000 to 0\.600"):
        curves(late, blank(), Mean())


def test_one_frame_of_one_by_two_cells_is_enough():
    found = curves(volume_of([[[1.0, 0.0]]]), subject_of(np.array([[[3.0, 1.0]]]), np.array([[[255, 0]]])), Mean())
    assert found.most_first.fractions.tolist() == [0, 0.5, 1]
    assert found.most_first.log_odds == pytest.approx([3, 1.5, 2])
    assert found.least_first.log_odds == pytest.approx([3, 3.5, 2])
    assert found.insertion.log_odds == pytest.approx([2, 3.5, 3])
