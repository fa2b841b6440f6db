"""The token grid: tokens to volumes and boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attrib.model import TokenGrid
from attrib.runtime.memory import batches


@pytest.mark.parametrize(("frames", "per_step", "steps"), [(4, 1, 4), (4, 2, 2), (5, 2, 3), (1, 2, 1), (7, 3, 3)])
def test_steps_cover_all_frames(frames: int, per_step: int, steps: int) -> None:
    grid = TokenGrid(frames, 2, 3, per_step)
    assert grid.steps == steps
    assert grid.tokens == steps * 6
    volume = grid.to_volume(torch.arange(float(grid.tokens)))
    assert volume.shape == (frames, 2, 3)
    assert volume[:, 0, 0].tolist() == [6.0 * (frame // per_step) for frame in range(frames)]


def test_tokens_are_row_major_and_leading_axes_stay() -> None:
    grid = TokenGrid(2, 2, 3)
    volume = grid.to_volume(torch.stack([torch.arange(12.0), -torch.arange(12.0)]))
    assert volume.shape == (2, 2, 2, 3)
    assert volume[0, 1].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert torch.equal(volume[1], -volume[0])


def test_boxes_are_where_the_volume_puts_the_tokens() -> None:
    boxes = TokenGrid(1, 2, 3).boxes()
    np.testing.assert_allclose(boxes[4], [1 / 3, 1 / 2, 2 / 3, 1])
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], np.tile([1 / 3, 1 / 2], (6, 1)))


def test_batches_cover_the_range() -> None:
    assert list(batches(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(batches(4, 9)) == [slice(0, 4)]
    assert list(batches(0, 3)) == []
