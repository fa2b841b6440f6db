"""Integrated gradients against Captum, a quadrature written here, and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as Captum
from torch import Tensor

from attrib.methods.integrated_gradients import BLUR, IntegratedGradients, baseline_of
from attrib.subject import Subject
from attrib.testing import CELL, QUESTION, RED, ToyModel, toy_clip, toy_subject
from attrib.types import Clip

TOKENS = 4 * 3 * 4
WEIGHT = 8 / (TOKENS + 1) / CELL**2  # of one red pixel in the linear toy; a green one weighs as much the other way


def linear() -> Subject:
    return toy_subject(ToyModel(sharpness=0))


def quadrature(subject: Subject, baseline: Tensor, steps: int) -> Tensor:
    """(x - x') times Gauss-Legendre nodes of the gradient on [0, 1], one point at a time, channels summed."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    change, total = subject.pixels - baseline, torch.zeros_like(subject.pixels, dtype=torch.float64)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (baseline + float(node) * change)[None].requires_grad_()
        total += float(weight) * torch.autograd.grad(subject.score(point).sum(), point)[0][0].double()
    return (change.double() * total).sum(dim=1)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-5 * scale)


def test_equals_a_direct_captum_call(subject: Subject) -> None:
    baseline = baseline_of(subject.pixels, "black")[None]
    expected = Captum(subject.score).attribute(subject.pixels[None], baseline, n_steps=6, method="gausslegendre")
    found = IntegratedGradients(steps=6, baseline="black", batch=4).values(subject).values
    assert found.shape == (3, 48, 48)
    assert_equal(found, expected[0].sum(dim=1).detach())


@pytest.mark.parametrize("baseline", ["blur", "black", "mean"])
def test_equals_a_quadrature_written_here(subject: Subject, baseline: str) -> None:
    method = IntegratedGradients(steps=5, baseline=baseline)  # type: ignore[arg-type]
    expected = quadrature(subject, baseline_of(subject.pixels, method.baseline), 5)
    assert_equal(method.values(subject).values, expected)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_changes_nothing(batch: int) -> None:
    subject = toy_subject()
    whole = IntegratedGradients(steps=7, batch=7).values(subject).values
    assert_equal(IntegratedGradients(steps=7, batch=batch).values(subject).values, whole)


def test_linear_toy_from_black_is_known_by_hand() -> None:
    """Grey and blue cells have as much red as green and count nothing; a red pixel counts 0.8 times its weight."""
    result = IntegratedGradients(steps=2, baseline="black").values(linear())
    expected = torch.zeros(4, 12, 16, dtype=torch.float64)
    frame, row, column = RED
    expected[frame, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = 0.8 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-5, atol=1e-8)
    assert result.reports["score_change"] == pytest.approx(16 * 0.8 * WEIGHT, rel=1e-5)
    assert result.reports["completeness_error"] < 1e-5


def test_linear_toy_from_the_mean_colour_is_known_by_hand() -> None:
    """Red exceeds green by 0.8 in one of 48 cells: the mean colour by 0.8 / 48, which every pixel starts from."""
    result = IntegratedGradients(steps=2, baseline="mean").values(linear())
    expected = torch.full((4, 12, 16), -0.8 / 48 * WEIGHT, dtype=torch.float64)
    frame, row, column = RED
    expected[frame, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] += 0.8 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 32])
def test_completeness_error_is_the_share_of_the_change_that_is_missing(steps: int) -> None:
    subject = toy_subject()
    result = IntegratedGradients(steps=steps, baseline="black").values(subject)
    with torch.no_grad():
        change = float(subject.score(subject.pixels[None]) - subject.score(torch.zeros_like(subject.pixels)[None]))
    expected = abs(float(result.values.double().sum()) - change) / abs(change)
    assert result.reports["score_change"] == pytest.approx(change, rel=1e-6)
    assert result.reports["completeness_error"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert (expected > 1e-3) == (steps < 32), "the few steps must leave an error, the many none"


def test_completeness_error_is_in_the_provenance() -> None:
    extras = IntegratedGradients(baseline="black").attribute(toy_subject()).provenance.extras
    assert set(extras) == {"completeness_error", "score_change"}
    assert all(math.isfinite(value) for value in extras.values())


def test_a_clip_that_equals_its_baseline_gets_zeros_and_a_finite_report() -> None:
    grey = Clip(np.full((2, 12, 16, 3), 102, np.uint8), np.array([0.0, 0.5]), end=1.0)
    volume = IntegratedGradients(baseline="mean").attribute(Subject.bind(ToyModel(), grey, QUESTION))
    assert float(np.abs(volume.values).max()) < 1e-6
    assert volume.provenance.extras["completeness_error"] == pytest.approx(0, abs=1e-6)


def test_the_mean_baseline_is_the_whole_videos_colour() -> None:
    pixels = toy_subject().pixels
    baseline = baseline_of(pixels, "mean")
    expected = [(46 * 0.4 + 1 + 0.2) / 48, (46 * 0.4 + 0.4) / 48, (46 * 0.4 + 1 + 0.2) / 48]
    for channel, value in enumerate([expected[0], expected[1], expected[2]]):
        assert baseline[:, channel].min() == baseline[:, channel].max() == pytest.approx(value, rel=1e-5)


def test_the_blurred_baseline_is_a_gaussian_of_a_tenth_of_the_height() -> None:
    """A single bright pixel spreads to the Gaussian's own profile, cut at three sigma, and each frame by itself."""
    pixels = torch.zeros(2, 3, 80, 100)
    pixels[1, :, 40, 50] = 1
    blurred = baseline_of(pixels, "blur")
    sigma = BLUR * 80
    offsets = torch.arange(-24, 25)
    profile = torch.exp(-0.5 * (offsets / sigma) ** 2)
    profile /= profile.sum()
    torch.testing.assert_close(blurred[1, 0, 16:65, 26:75], torch.outer(profile, profile), rtol=1e-4, atol=1e-8)
    assert float(blurred[0].abs().max()) == 0


def test_small_and_flat_frames_can_be_blurred() -> None:
    for shape in ((2, 3, 4, 200), (1, 3, 1, 5), (1, 3, 2, 2)):
        assert torch.isfinite(baseline_of(torch.rand(shape), "blur")).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"baseline": "blurr"}, "baseline"), ({"steps": 0}, "steps"), ({"batch": 0}, "batch")],
)
def test_impossible_parameters_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IntegratedGradients(**parameters)  # type: ignore[arg-type]


def test_the_clip_itself_is_not_changed() -> None:
    subject = toy_subject()
    before = subject.pixels.clone()
    IntegratedGradients().attribute(subject)
    assert torch.equal(subject.pixels, before)
    assert not subject.pixels.requires_grad
    assert np.array_equal(subject.clip.frames, toy_clip().frames)
