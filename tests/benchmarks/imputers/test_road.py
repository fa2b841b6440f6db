from __future__ import annotations

import numpy as np
import pytest

from attrib.benchmarks.imputers.road import imputed_colours, neighbours


def test_weights_of_neighbours():
    """Of the middle of 3 x 3 x 3: direct ones in space and time 2, diagonals of its own frame 1, others none."""
    weights = neighbours((3, 3, 3)).toarray()
    own = weights[13].reshape(3, 3, 3)
    assert own[1].tolist() == [[1, 2, 1], [2, 0, 2], [1, 2, 1]]
    assert own[0].tolist() == own[2].tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert np.array_equal(weights, weights.T)


def test_what_is_over_the_border_does_not_count():
    corner = neighbours((2, 2, 3)).toarray()[0].reshape(2, 2, 3)
    assert corner.tolist() == [[[0, 2, 0], [2, 1, 0]], [[2, 0, 0], [0, 0, 0]]]


def test_a_single_hole_is_the_weighted_mean_of_its_neighbours():
    colours = np.random.default_rng(0).random((3, 3, 3, 3))
    removed = np.zeros((3, 3, 3), bool)
    removed[1, 1, 1] = True
    frame = colours[1]
    direct = frame[0, 1] + frame[1, 0] + frame[1, 2] + frame[2, 1] + colours[0, 1, 1] + colours[2, 1, 1]
    diagonal = frame[0, 0] + frame[0, 2] + frame[2, 0] + frame[2, 2]
    found = imputed_colours(colours, removed)
    assert found[1, 1, 1] == pytest.approx((2 * direct + diagonal) / 16)
    assert np.array_equal(found[~removed], colours[~removed])


def test_neighbouring_holes_are_solved_together():
    """A row of four, the middle two removed: x = (2 a + 2 y) / 4 and y = (2 x + 2 b) / 4 give thirds."""
    colours = np.array([1.0, 0.9, 0.9, 4.0]).reshape(1, 1, 4, 1)
    found = imputed_colours(colours, np.array([[[False, True, True, False]]]))
    assert found.ravel() == pytest.approx([1, 2, 3, 4])


def test_time_joins_as_space_does():
    colours = np.array([1.0, 0.9, 0.9, 4.0]).reshape(4, 1, 1, 1)
    found = imputed_colours(colours, np.array([False, True, True, False]).reshape(4, 1, 1))
    assert found.ravel() == pytest.approx([1, 2, 3, 4])


def test_from_one_kept_cell_all_take_its_colour():
    removed = np.ones((3, 4, 5), bool)
    removed[2, 1, 3] = False
    colours = np.random.default_rng(1).random((3, 4, 5, 3))
    assert imputed_colours(colours, removed) == pytest.approx(np.broadcast_to(colours[2, 1, 3], colours.shape))


def test_it_agrees_with_relaxation():
    """Gauss-Seidel sweeps over plain loops, an independent solver of the same mean-value property."""
    rng = np.random.default_rng(2)
    colours, removed = rng.random((3, 4, 4, 3)), rng.random((3, 4, 4)) < 0.6
    found, shape = colours.copy(), removed.shape
    for _ in range(300):
        for t, y, x in np.argwhere(removed):
            total, weight = np.zeros(3), 0.0
            for dt, dy, dx in ((1, 0, 0), (-1, 0, 0), *((0, a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)):
                there = (t + dt, y + dy, x + dx)
                if all(0 <= place < size for place, size in zip(there, shape, strict=True)):
                    share = 1 if dy and dx else 2
                    total, weight = total + share * found[there], weight + share
            found[t, y, x] = total / weight
    assert imputed_colours(colours, removed) == pytest.approx(found, abs=1e-9)
