"""Mean-value nodes on functions whose nodes are known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from attrib.inputs.path_nodes import MOST, PathProfile

Function = Callable[[float], float]


class Asked:
    """A function that keeps the points it was asked for."""

    def __init__(self, function: Function) -> None:
        self.function, self.points = function, list[float]()

    def __call__(self, points: Sequence[float]) -> list[float]:
        self.points.extend(points)
        return [self.function(point) for point in points]


def profile(function: Function) -> tuple[PathProfile, Asked]:
    asked = Asked(function)
    return PathProfile(asked, {0.0: function(0.0), 1.0: function(1.0)}), asked


def step(at: float, width: float) -> Function:
    return lambda x: math.tanh((x - at) / width)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.25, 0.75), (0.6, 0.61)])
def test_nodes_are_where_the_slope_is_the_mean_slope(start: float, end: float) -> None:
    """Of a parabola the middle; of a cubic, 3 x^2 = (b^3 - a^3) / (b - a)."""
    (middle,) = profile(lambda x: 5 * x * x - x)[0].nodes([(start, end)])
    assert middle == pytest.approx((start + end) / 2, abs=1e-6 * (end - start))
    (cubic,) = profile(lambda x: x**3)[0].nodes([(start, end)])
    assert cubic == pytest.approx(math.sqrt((start * start + start * end + end * end) / 3), abs=2e-3 * (end - start))


@pytest.mark.parametrize(
    ("function", "error"),
    [(step(0.5, 0.1), 0.01), (math.exp, 0.001), (lambda x: math.sin(9 * x), 0.01), (step(0.37, 0.01), 0.05)],
)
def test_slopes_at_the_nodes_add_up(function: Function, error: float) -> None:
    """Eight nodes; the central difference stands for the gradient."""
    found, _ = profile(function)
    segments = found.cut(8)
    nodes = found.nodes(segments)
    slopes = [(function(x + 1e-6) - function(x - 1e-6)) / 2e-6 for x in nodes]
    total = sum((end - start) * slope for (start, end), slope in zip(segments, slopes, strict=True))
    assert total == pytest.approx(function(1) - function(0), rel=error)
    assert all(start < node < end for (start, end), node in zip(segments, nodes, strict=True))


@pytest.mark.parametrize("function", [step(0.5, 0.1), step(0.123, 0.002), lambda _: 3.0, lambda x: 2 * x])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_segments_cover_the_path_once(function: Function, count: int) -> None:
    segments = profile(function)[0].cut(count)
    assert len(segments) <= count
    assert segments[0][0] == 0 and segments[-1][1] == 1
    assert all(one[1] == two[0] for one, two in pairwise(segments))
    assert all(start < end for start, end in segments)


def test_segments_are_short_where_the_score_is_steep() -> None:
    """Half of the share is variation, all of it at 0.3: half of the eight segments lie there."""
    segments = profile(step(0.3, 0.02))[0].cut(8)
    near = [end - start for start, end in segments if start < 0.36 and end > 0.24]
    assert len(near) >= 4
    assert min(near) < 0.03


def test_a_flat_path_is_cut_evenly_and_has_nodes() -> None:
    found, _ = profile(lambda _: 3.0)
    segments = found.cut(4)
    assert segments == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]
    assert all(start < node < end for (start, end), node in zip(segments, found.nodes(segments), strict=True))


def test_no_point_is_asked_for_twice_and_the_survey_is_bounded() -> None:
    found, asked = profile(step(0.3, 0.001))
    segments = found.cut(8)
    assert len(asked.points) <= MOST - 2
    found.nodes(segments)
    found.cut(8)
    assert len(asked.points) == len(set(asked.points))
    assert not {0.0, 1.0} & set(asked.points)
    assert len(asked.points) <= MOST - 2 + 8 * 5


def test_the_change_over_a_segment_is_exact() -> None:
    assert profile(lambda x: x * x)[0].change((0.25, 0.75)) == 0.5
    np.testing.assert_array_equal(profile(lambda x: x * x)[0].at([0.5, 0.0, 0.5]), [0.25, 0, 0.25])
