"""Object occlusion on the linear toy, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from attrib.errors import AttributionError
from attrib.methods.object_occlusion import ObjectOcclusion
from attrib.testing import BLUE, COLUMNS, FRAMES, RED, ROWS, ToyModel, toy_sample, toy_subject
from attrib.types import Track

DROP = 8 * 0.8 / (4 * ROWS * COLUMNS + 1)  # of the linear toy's score without the red cell's 0.8 more red than green


def found(*tracks: Track, seconds: float = 1.0) -> NDArray[np.float32]:
    """The blue cell has as much red as green, so black costs it nothing."""
    subject = replace(toy_subject(ToyModel(sharpness=0)), sample=replace(toy_sample(), tracks=tracks))
    return ObjectOcclusion(seconds, baseline="black").attribute(subject).values


def everywhere(value: float = 0.0) -> NDArray[np.float64]:
    return np.full((FRAMES, ROWS, COLUMNS), value)


@pytest.mark.parametrize(("seconds", "frames"), [(0, [0, 1, 2, 3]), (1.0, [2, 3]), (0.5, [2]), (1.5, [0, 1, 2])])
def test_the_fall_lies_on_the_object_during_the_stretch(seconds: float, frames: list[int]) -> None:
    """Two frames a second; the cell is red in frame 2."""
    expected = everywhere()
    expected[frames, RED[1], RED[2]] = DROP
    np.testing.assert_allclose(found(*toy_sample().tracks, seconds=seconds), expected, atol=1e-6)


def test_overlapping_objects_share_a_cell() -> None:
    red, blue, _ = toy_sample().tracks
    table = replace(red, id=3, boxes=np.tile([0.0, 0, 1, 1], (FRAMES, 1)))
    expected = everywhere()
    expected[2:] = DROP  # the table takes the red with it
    expected[2:, BLUE[1], BLUE[2]] = DROP / 2
    np.testing.assert_allclose(found(red, blue, table), expected, atol=1e-6)


def test_half_a_cell_is_half_the_fall_on_half_the_cell() -> None:
    red = toy_sample().tracks[0]
    half = replace(red, boxes=red.boxes - [0, 0, 0.5 / COLUMNS, 0])
    expected = everywhere()
    expected[2:, RED[1], RED[2]] = DROP / 4
    np.testing.assert_allclose(found(half), expected, atol=1e-6)


def test_a_hidden_object_is_not_taken_away() -> None:
    red = replace(toy_sample().tracks[0], hidden=np.array([False, False, True, False]))
    expected = everywhere()
    np.testing.assert_allclose(found(red), expected, atol=1e-6)
    assert found(red, seconds=0)[2].max() == 0


def test_without_objects_it_is_zero_and_without_a_sample_it_says_what_it_needs() -> None:
    assert not found().any()
    with pytest.raises(AttributionError, match="object_occlusion: expected an annotated sample"):
        ObjectOcclusion().attribute(replace(toy_subject(), sample=None))
