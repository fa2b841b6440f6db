"""Inputs of gradient methods and their baselines against what is known by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attrib.inputs.space import BLUR, Inputs, baseline_of, require_space
from attrib.subject import Subject
from attrib.testing import QUESTION, ToyModel, toy_clip, toy_subject
from attrib.types import Question


def of_pixels(pixels: Tensor) -> Subject:
    """The toy subject with other pixels."""
    return replace(toy_subject(), pixels=pixels)


def test_the_mean_baseline_is_the_whole_videos_colour() -> None:
    baseline = baseline_of(toy_subject(), "pixels", "mean")[0]
    expected = [(46 * 0.4 + 1 + 0.2) / 48, (46 * 0.4 + 0.4) / 48, (46 * 0.4 + 1 + 0.2) / 48]
    for channel, value in enumerate(expected):
        assert baseline[:, channel].min() == baseline[:, channel].max() == pytest.approx(value, rel=1e-5)


def test_the_blurred_baseline_is_a_gaussian_of_a_tenth_of_the_height() -> None:
    """A single bright pixel spreads to the Gaussian's own profile, cut at three sigma, and each frame by itself."""
    pixels = torch.zeros(2, 3, 80, 100)
    pixels[1, :, 40, 50] = 1
    blurred = baseline_of(of_pixels(pixels), "pixels", "blur")[0]
    sigma = BLUR * 80
    offsets = torch.arange(-24, 25)
    profile = torch.exp(-0.5 * (offsets / sigma) ** 2)
    profile /= profile.sum()
    torch.testing.assert_close(blurred[1, 0, 16:65, 26:75], torch.outer(profile, profile), rtol=1e-4, atol=1e-8)
    assert float(blurred[0].abs().max()) == 0


def test_small_and_flat_frames_can_be_blurred() -> None:
    for shape in ((2, 3, 4, 200), (1, 3, 1, 5), (1, 3, 2, 2)):
        assert torch.isfinite(baseline_of(of_pixels(torch.rand(shape)), "pixels", "blur")).all()


def test_the_frozen_video_is_its_first_frame() -> None:
    subject = toy_subject()
    baseline = baseline_of(subject, "pixels", "frozen")[0]
    assert torch.equal(baseline[3], subject.pixels[0]) and not torch.equal(baseline[3], subject.pixels[2])
    assert baseline.shape == subject.pixels.shape


def test_tokens_of_a_pixel_baseline_are_its_encoding() -> None:
    subject = toy_subject()
    cells = torch.nn.functional.avg_pool2d(subject.pixels[0], 4).permute(1, 2, 0).flatten(0, 1)
    torch.testing.assert_close(baseline_of(subject, "tokens", "frozen"), cells.repeat(4, 1)[None])


def test_the_mean_token_is_everywhere() -> None:
    baseline = baseline_of(toy_subject(), "tokens", "mean_token")
    expected = torch.tensor([(46 * 0.4 + 1 + 0.2) / 48, (46 * 0.4 + 0.4) / 48, (46 * 0.4 + 1 + 0.2) / 48])
    torch.testing.assert_close(baseline, expected.expand(1, 48, 3))


def test_tokens_lie_in_the_grids_order_and_time() -> None:
    """Merged steps: a token's value is shown in both of its frames."""
    subject = Subject.bind(ToyModel(frames_per_step=2), toy_clip(3), QUESTION)
    inputs = Inputs.of(subject, "tokens")
    assert inputs.values.shape == (1, 24, 3)
    volume = inputs.volume(torch.arange(24.0)[None])
    assert volume.shape == (3, 3, 4)
    assert volume[:, 1, 2].tolist() == [6.0, 6.0, 18.0]
    torch.testing.assert_close(inputs.score(inputs.values), subject.score(subject.pixels[None]))


def test_tokens_of_a_model_of_low_precision_are_float32() -> None:
    class Half(ToyModel):
        def encode(self, pixels: Tensor) -> Tensor:
            return super().encode(pixels).bfloat16()

        def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
            return super().score_tokens(tokens.float(), question, keep)

    subject = toy_subject(Half())
    assert Inputs.of(subject, "tokens").values.dtype == baseline_of(subject, "tokens", "blur").dtype == torch.float32


def test_the_variable_is_a_copy() -> None:
    subject = toy_subject()
    inputs = Inputs.of(subject, "pixels")
    assert inputs.variable.requires_grad and not subject.pixels.requires_grad
    assert inputs.variable.data_ptr() != subject.pixels.data_ptr()


@pytest.mark.parametrize(
    ("space", "baseline", "message"),
    [("token", "blur", "'tokens'"), ("tokens", "frosen", "'frozen'"), ("pixels", "mean_token", "set space")],
)
def test_impossible_pairs_are_refused(space: str, baseline: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_space(space, baseline)
