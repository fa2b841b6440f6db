"""The controls that know neither annotation nor question, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from attrib.method import Control
from attrib.methods.centre import Centre
from attrib.methods.edges import Edges
from attrib.methods.motion import Motion
from attrib.methods.random import Random
from attrib.methods.recency import Recency
from attrib.methods.token_norm import TokenNorm
from attrib.methods.uniform import Uniform
from attrib.subject import Subject
from attrib.testing import BLUE, QUESTION, RED, ToyModel, toy_clip, toy_subject
from attrib.types import Clip


def bind(frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], seed: int = 0) -> Subject:
    clip = Clip(frames, np.arange(len(frames)) / 2.0, end=len(frames) / 2.0)
    return Subject.bind(ToyModel(), clip, QUESTION, seed=seed)


def test_uniform_is_one_on_every_cell() -> None:
    assert torch.equal(Uniform().values(toy_subject()), torch.ones(4, 3, 4))


def test_centre_is_a_gaussian_of_the_frames_size() -> None:
    values = Centre(sigma=0.25).values(toy_subject())
    assert values.shape == (4, 32, 32)
    for frame, row, column in ((0, 16, 16), (3, 0, 5), (1, 31, 31)):
        y, x = (row + 0.5) / 32 - 0.5, (column + 0.5) / 32 - 0.5
        expected = math.exp(-(y**2 + x**2) / (2 * 0.25**2))
        assert float(values[frame, row, column]) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(values, values.flip(1).flip(2))


def test_motion_of_the_toy_is_known_by_hand() -> None:
    """A cell jumps from grey to red at frame 2 and back: (0.6^2 + 0.2^2 + 0.2^2) / 3 between the frames."""
    cells = Motion().attribute(toy_subject()).on_grid(3, 4).values
    jump = (0.36 + 0.04 + 0.04) / 3
    np.testing.assert_allclose(cells[:, 1, 2], [0, jump / 2, jump, jump], atol=1e-6)  # the red cell
    np.testing.assert_allclose(cells[:, 0, 0], [jump, jump, jump / 2, 0], atol=1e-6)  # the blue cell
    still = np.ones((3, 4), bool)
    still[1, 2] = still[0, 0] = False
    assert float(np.abs(cells[:, still]).max()) == 0


def test_recency_is_the_share_of_the_clip_that_is_over() -> None:
    """In the middle of each frame's interval, of whatever length."""
    uneven = Clip(toy_clip(3).frames, np.array([1.0, 2.0, 4.0]), end=5.0)
    values = Recency().values(Subject.bind(ToyModel(), uneven, QUESTION))
    assert values.shape == (3, 3, 4)
    np.testing.assert_allclose(values[:, 1, 2], [0.125, 0.5, 0.875])
    assert float(values.std(dim=(1, 2)).max()) == 0


def test_edges_equal_scipys_sobel() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    slopes = [sobel(frame[..., c] / 255, axis=axis, mode="nearest") / 8
              for frame in frames for c in range(3) for axis in (0, 1)]  # fmt: skip
    expected = np.sqrt(np.square(slopes).reshape(2, 6, 12, 12).sum(axis=1))
    np.testing.assert_allclose(Edges().values(bind(frames)), expected, atol=1e-6)


def test_an_edge_is_half_its_step_on_either_side_and_the_border_is_none() -> None:
    frames = np.zeros((1, 12, 12, 3), np.uint8)
    frames[:, :, 6:, 1] = 255
    values = Edges().values(bind(frames))
    np.testing.assert_allclose(values[0], np.tile([0] * 5 + [0.5, 0.5] + [0] * 5, (12, 1)), atol=1e-6)


def test_token_norm_of_the_toy_is_the_norm_of_each_cells_colour() -> None:
    expected = np.full((4, 3, 4), 0.4 * math.sqrt(3))
    expected[RED] = expected[BLUE] = math.sqrt(1 + 0.04 + 0.04)
    np.testing.assert_allclose(TokenNorm().values(toy_subject()), expected, rtol=1e-6)


def test_token_norm_keeps_rows_columns_and_frames(subject: Subject) -> None:
    tokens = subject.model.encode(subject.pixels[None])[0].double()
    values = TokenNorm().values(subject)
    assert values.shape == (3, 3, 3)
    for frame, row, column in ((0, 0, 0), (1, 2, 0), (2, 0, 1)):
        expected = math.sqrt(sum(float(x) ** 2 for x in tokens[frame * 9 + row * 3 + column]))
        assert float(values[frame, row, column]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("cls", "name"), [(Centre, "sigma"), (Random, "time"), (Random, "space")])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_impossible_widths_are_refused(cls: type[Control], name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        cls(**{name: value})


def test_motion_of_one_frame_is_nothing() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 12, 16, 3), dtype=np.uint8)
    assert float(Motion().values(bind(frames)).abs().max()) == 0


def test_random_spans_zero_to_one() -> None:
    values = Random().values(toy_subject())
    assert float(values.min()) == 0
    assert float(values.max()) == 1


def test_random_is_white_noise_under_a_gaussian() -> None:
    """Then cells d apart correlate by exp(-d^2 / 4 sigma^2): sigma 1 frame in time, 3.2 cells in space."""
    frames = np.random.default_rng(0).integers(0, 256, (256, 12, 16, 3), dtype=np.uint8)
    noise = Random().values(bind(frames)).numpy()

    def correlation(one: np.ndarray[tuple[int, ...], np.dtype[np.float64]], two: object) -> float:
        return float(np.corrcoef(one.ravel(), np.asarray(two).ravel())[0, 1])

    assert correlation(noise[:-1], noise[1:]) == pytest.approx(math.exp(-1 / 4), abs=0.05)
    inner = noise[:, :, 8:-8]  # reflection at the borders adds correlation
    assert correlation(inner[..., :-3], inner[..., 3:]) == pytest.approx(math.exp(-9 / (4 * 3.2**2)), abs=0.05)
    inner = noise[:, 8:-8]
    assert correlation(inner[:, :-3], inner[:, 3:]) == pytest.approx(math.exp(-9 / (4 * 3.2**2)), abs=0.05)


def test_random_depends_on_seed_clip_and_question_and_on_nothing_else() -> None:
    frames = toy_clip().frames
    other = frames.copy()
    other[0, 0, 0, 0] += 1
    first = Random().values(bind(frames))
    assert torch.equal(first, Random().values(bind(frames)))
    assert not torch.allclose(first, Random().values(bind(frames, seed=1)))
    assert not torch.allclose(first, Random().values(bind(other)))
    asked = replace(bind(frames), question=replace(QUESTION, text="Another question?"))
    assert not torch.allclose(first, Random().values(asked))
