"""The path's integral for reference against a closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from attrib.inputs.path import FEWEST, MOST, Path, Reference
from attrib.inputs.space import Inputs


def path(steepness: float) -> Path:
    """One frame of two pixels from 0 to 1; a step of this steepness in the first, at .3, and a line in the second."""

    def score(pixels: Tensor) -> Tensor:
        first, second = pixels[:, 0, 0, 0].unbind(dim=-1)
        return torch.sigmoid(steepness * (first - 0.3)) + 2 * second

    return Path(Inputs(torch.ones(1, 1, 1, 1, 2), score, None), torch.zeros(1, 1, 1, 1, 2), batch=32)


@pytest.mark.parametrize(("steepness", "halvings"), [(5, 1), (100, 1), (1000, 4)])
def test_intervals_are_halved_until_the_integral_stands(steepness: float, halvings: int) -> None:
    rise = 1 / (1 + math.exp(-0.7 * steepness)) - 1 / (1 + math.exp(0.3 * steepness))
    way = path(steepness)
    found = way.integral(rise + 2)
    assert found.gradients == way.gradients == FEWEST * 2**halvings + 1
    torch.testing.assert_close(found.values.flatten(), torch.tensor([rise, 2.0]).double(), rtol=0.01, atol=0)
    assert found.moved <= 0.01


def test_a_sum_that_is_not_reached_ends_at_the_most_intervals() -> None:
    found = path(5).integral(-1.0)
    assert found.gradients == MOST + 1 and found.moved < 1e-3


def test_distance_is_relative_to_the_reference() -> None:
    reference = Reference(torch.tensor([3.0, 4.0]).double(), 0, 1)
    assert reference.distance(torch.tensor([3.0, 5.0])) == pytest.approx(0.2)
    zeros = Reference(torch.zeros(2).double(), 0, 1)
    assert (zeros.distance(torch.zeros(2)), zeros.distance(torch.ones(2))) == (0, math.inf)
