"""What `attribute` checks, resamples and signs."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib.errors import AttributionError
from attrib.method import Attribution, Control, Method, require_at_least, require_choice
from attrib.subject import Subject, Target
from attrib.testing import QUESTION, ToyModel, toy_clip, toy_subject


@dataclass(frozen=True)
class Gives(Method):
    """Returns what it is told to."""

    what: Any

    def values(self, subject: Subject) -> Any:
        return self.what


@dataclass(frozen=True)
class Noise(Method):
    """Unseeded noise."""

    scale: float = 2.0

    def values(self, subject: Subject) -> Tensor:
        return self.scale * torch.randn(4, 3, 4)

    def values_and_reports(self, subject: Subject) -> Attribution:
        return Attribution(self.values(subject), {"draws": 48.0})


@dataclass(frozen=True)
class Checked(Method):
    """Says that an hour went into its report."""

    def values(self, subject: Subject) -> Tensor:
        return torch.zeros(4, 3, 4)

    def values_and_reports(self, subject: Subject) -> Attribution:
        return Attribution(self.values(subject), aside=3600.0)


def test_seconds_leave_out_what_only_the_reports_took() -> None:
    assert -3600 < Checked().attribute(toy_subject()).provenance.seconds < -3500


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (np.zeros((4, 3, 4)), r"Gives: expected a tensor of shape \(t, h, w\), got ndarray"),
        (None, "got NoneType"),
        (torch.zeros(3, 4), r"got \(3, 4\)"),
        (torch.zeros(1, 4, 3, 4), r"got \(1, 4, 3, 4\)"),
        (torch.zeros(4, 0, 4), r"got \(4, 0, 4\)"),
        (torch.zeros(3, 3, 4), "expected 4 frames or 4 token steps, got 3"),
        (torch.full((4, 3, 4), float("nan")), "48 of 48 values are not finite"),
        (torch.full((4, 3, 4), 1e300, dtype=torch.float64), "48 of 48 values are not finite"),
    ],
)
def test_what_is_no_volume_is_refused(what: object, message: str) -> None:
    with pytest.raises(AttributionError, match=message):
        Gives(what).attribute(toy_subject())


def test_errors_carry_the_rows_name() -> None:
    with pytest.raises(AttributionError, match="my_row: expected a tensor"):
        Gives(None).attribute(toy_subject(), name="my_row")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_any_type_of_number_becomes_float32(dtype: torch.dtype) -> None:
    volume = Gives(torch.ones(4, 3, 4, dtype=dtype, requires_grad=dtype.is_floating_point)).attribute(toy_subject())
    assert volume.values.dtype == np.float32
    assert np.array_equal(volume.values, np.ones((4, 3, 4)))


def test_token_steps_are_repeated_over_their_frames() -> None:
    clip = toy_clip(3)
    subject = Subject.bind(ToyModel(frames_per_step=2), clip, QUESTION)
    volume = Gives(torch.tensor([[[1.0]], [[2.0]]])).attribute(subject)
    assert volume.values.ravel().tolist() == [1, 1, 2]
    assert np.array_equal(volume.times, clip.times)


def test_one_slice_per_frame_is_taken_as_it_is() -> None:
    subject = Subject.bind(ToyModel(frames_per_step=2), toy_clip(3), QUESTION)
    assert Gives(torch.tensor([[[1.0]], [[2.0]], [[3.0]]])).attribute(subject).values.ravel().tolist() == [1, 2, 3]


def test_the_result_is_signed() -> None:
    subject = Subject.bind(ToyModel(), toy_clip(), QUESTION, Target.parse("option:1"), seed=9)
    made = Noise(scale=3.0).attribute(subject, "noisy").provenance
    assert (made.method, made.model, made.revision, made.dtype) == ("noisy", "toy", None, "float32")
    assert (made.seed, made.target) == (9, "option:1")
    assert made.parameters == {"scale": 3.0}
    assert made.reports == {"draws": 48.0}
    assert made.versions["torch"] == version("torch")
    assert made.versions["attrib"] == version("attrib")
    assert 0 < made.seconds < 60
    assert made.peak_memory is not None
    assert made.peak_memory > 50 * 2**20, "bytes, not kibibytes: torch alone needs more than 50 MiB"
    assert Noise().attribute(subject).provenance.method == "Noise"


def test_the_subjects_seed_decides_torchs_noise() -> None:
    one, two = (Noise().attribute(toy_subject(seed=seed)).values for seed in (1, 2))
    assert np.array_equal(one, Noise().attribute(toy_subject(seed=1)).values)
    assert not np.allclose(one, two)


def test_parameters_are_frozen_and_compared() -> None:
    assert Noise() == Noise(2.0)
    assert asdict(Noise()) == {"scale": 2.0}
    with pytest.raises(AttributeError):
        Noise().scale = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("base", [Method, Control])
def test_values_must_be_written(base: type[Method]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        base()


def test_parameters_can_be_checked() -> None:
    require_choice("pool", "frame", ("frame", "video"))
    require_at_least("steps", 1, 1)
    with pytest.raises(ValueError, match="pool: unknown value 'vidoe'; did you mean 'video'"):
        require_choice("pool", "vidoe", ("frame", "video"))
    with pytest.raises(ValueError, match="steps: expected 1 or more, got 0"):
        require_at_least("steps", 0, 1)


def test_the_callers_gradient_mode_is_left_alone() -> None:
    """A method that forgets to switch gradients back on must not do so for everybody."""
    weights: Tensor = torch.ones(1, requires_grad=True)
    Noise().attribute(toy_subject())
    assert (weights * 2).requires_grad


@dataclass(frozen=True)
class Draws(Method):
    """Draws from every global generator that attribution seeds, and may raise."""

    fail: bool = False

    def values(self, subject: Subject) -> Tensor:
        drawn = torch.rand(4, 3, 4) + float(np.random.rand())
        if self.fail:
            raise RuntimeError("halfway")
        return drawn


@pytest.mark.parametrize("fail", [False, True])
def test_the_callers_random_numbers_go_on_as_if_nothing_had_run(fail: bool) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    with pytest.raises(RuntimeError, match="halfway") if fail else nullcontext():
        Draws(fail).attribute(toy_subject(seed=3))
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_equal(np.random.get_state(), states[1])
    assert random.getstate() == states[2]


def test_a_method_draws_from_generators_seeded_with_the_subjects_seed() -> None:
    generator, legacy = torch.Generator().manual_seed(3), np.random.RandomState(3)
    expected = torch.rand(4, 3, 4, generator=generator) + float(legacy.rand())
    np.testing.assert_array_equal(Draws().attribute(toy_subject(seed=3)).values, expected.numpy())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_callers_random_numbers_on_the_gpu_go_on_too() -> None:
    torch.cuda.manual_seed_all(5)
    state = torch.cuda.get_rng_state()
    Draws().attribute(toy_subject(seed=3))
    assert torch.equal(torch.cuda.get_rng_state(), state)
