"""The four controls, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from attrib.method import Control
from attrib.methods.centre import Centre
from attrib.methods.motion import Motion
from attrib.methods.random import Random
from attrib.methods.uniform import Uniform
from attrib.subject import Subject
from attrib.testing import QUESTION, ToyModel, toy_clip, toy_subject
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
