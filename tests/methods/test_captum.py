"""The bridge to Captum against plain Captum calls and the toy's closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from attrib import config
from attrib.errors import ConfigError, InputError
from attrib.inputs.space import baseline_of
from attrib.methods.captum import GRADIENT, PERTURBATION, Captum
from attrib.subject import Subject
from attrib.testing import CELL, COLUMNS, QUESTION, RED, ROWS, ToyModel, check_method, toy_clip, toy_subject
from attrib.types import Question


class Counting(ToyModel):
    """Counts the videos that it scores."""

    videos = 0

    def option_logprobs(self, pixels: torch.Tensor, question: Question) -> torch.Tensor:
        self.videos += len(pixels)
        return super().option_logprobs(pixels, question)


def square(model: ToyModel) -> Subject:
    """The toy's clip cut to a square of 12 pixels, with noise, so that no two cells are alike."""
    clip = toy_clip()
    frames = clip.frames[:, :, : ROWS * CELL] // 2 + np.random.default_rng(0).integers(0, 99, (4, 12, 12, 3))
    return Subject.bind(model, replace(clip, frames=frames.astype(np.uint8)), QUESTION)


WEIGHT = 8 / (4 * ROWS * COLUMNS + 1)  # of one cell's red in the linear toy
CALLS: dict[str, dict[str, Any]] = {
    "Saliency": {"abs": False},
    "InputXGradient": {},
    "IntegratedGradients": {"n_steps": 5, "method": "riemann_middle"},
    "GradientShap": {"n_samples": 3, "stdevs": 0.1},
    "FeatureAblation": {"perturbations_per_eval": 4},
    "Occlusion": {"sliding_window_shapes": [1, 3, 24, 24], "strides": [1, 3, 24, 24]},
    "ShapleyValueSampling": {"n_samples": 3},
    "Lime": {"n_samples": 20},
    "KernelShap": {"n_samples": 20},
}


def cells(frames: int, side: int, count: int) -> torch.Tensor:
    """(1, t, 3, side, side) numbers of count x count cells a frame, by np.kron."""
    numbers = np.arange(frames * count * count).reshape(frames, count, count)
    size = side // count
    parts = np.stack([np.kron(frame, np.ones((size, size), int)) for frame in numbers])
    return torch.from_numpy(parts)[None, :, None].repeat(1, 1, 3, 1, 1)


@pytest.mark.parametrize("name", CALLS)
def test_equals_the_plain_call(subject: Subject, name: str) -> None:
    """The same arguments with the black baseline and 2 x 2 cells a frame, where the class takes them."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in CALLS[name].items()}
    if name not in ("Saliency", "InputXGradient"):
        given["baselines"] = torch.zeros_like(subject.pixels)[None]
    if name in PERTURBATION and name != "Occlusion":
        given["feature_mask"] = cells(3, 48, 2)
    torch.manual_seed(subject.seed)
    np.random.seed(subject.seed)
    expected = getattr(captum.attr, name)(subject.score).attribute(subject.pixels[None].requires_grad_(), **given)
    reduced = (expected.sum(dim=2) if name in GRADIENT else expected.mean(dim=2))[0].detach().numpy()
    found = Captum(name, CALLS[name], baseline="black", cells=2).attribute(subject).values
    assert float(np.abs(reduced).max()) > 1e-6
    np.testing.assert_allclose(found, reduced, rtol=1e-4, atol=1e-5 * float(np.abs(reduced).max()))


def plain_maps(name: str, subject: Subject, *calls: dict[str, Any]) -> list[np.ndarray]:
    """Maps of plain calls in one stream of random numbers, from black."""
    torch.manual_seed(subject.seed)
    np.random.seed(subject.seed)
    given: dict[str, Any] = {"baselines": torch.zeros_like(subject.pixels)[None]}
    if name in PERTURBATION:
        given["feature_mask"] = cells(4, 12, 3)
    plain = getattr(captum.attr, name)(subject.score)
    maps = [plain.attribute(subject.pixels[None].requires_grad_(), **given, **call)[0].detach() for call in calls]
    return [(each.sum(dim=1) if name in GRADIENT else each.mean(dim=1)).flatten().numpy() for each in maps]


def rank_correlation(*maps: np.ndarray) -> float:
    """Spearman correlation of two maps' means in the 3 x 4 cells of the token grid."""
    return float(
        spearmanr(*(each.reshape(4, ROWS, 4, COLUMNS, 3).mean(axis=(2, 4)).ravel() for each in maps)).statistic
    )


@pytest.mark.parametrize(("name", "count"), [("GradientShap", 6), ("Lime", 60), ("KernelShap", 60)])
def test_a_second_run_tells_how_far_another_seed_agrees(name: str, count: int) -> None:
    model = Counting()
    subject, call = square(model), {"n_samples": count}
    expected = rank_correlation(*plain_maps(name, subject, call, call))
    method = Captum(name, call, baseline="black", cells=3)
    model.videos = 0
    volume = method.attribute(subject)
    assert volume.provenance.reports == {"monte_carlo_agreement": pytest.approx(expected, abs=1e-3)}
    assert -1 < expected < 0.999
    twice, model.videos = model.videos, 0
    once = replace(method, repeat=False).attribute(subject)
    assert not once.provenance.reports and np.array_equal(once.values, volume.values)
    assert twice == 2 * model.videos > 0


def test_halves_of_the_permutations_tell_how_far_another_seed_agrees() -> None:
    """At no more than the evaluations of the plain call's start, twice."""
    model = Counting()
    subject = square(model)
    one, two = plain_maps("ShapleyValueSampling", subject, {"n_samples": 2}, {"n_samples": 3})
    r = rank_correlation(one, two)
    model.videos = 0
    (whole,) = plain_maps("ShapleyValueSampling", subject, {"n_samples": 5})
    plain, model.videos = model.videos, 0
    volume = Captum("ShapleyValueSampling", {"n_samples": 5}, baseline="black", cells=3).attribute(subject)
    assert volume.provenance.reports == {"monte_carlo_agreement": pytest.approx(2 * r / (1 + r), abs=1e-3)}
    np.testing.assert_allclose(volume.values.ravel(), whole, atol=1e-6)
    assert model.videos - plain <= 3
    assert not Captum("ShapleyValueSampling", {"n_samples": 1}, cells=3).attribute(subject).provenance.reports


@pytest.mark.parametrize(("name", "arguments"), [("Saliency", {}), ("FeatureAblation", {}), ("Lime", {"n_samples": 2})])
def test_nothing_is_reported_without_draws_or_for_a_map_of_zeros(name: str, arguments: dict[str, Any]) -> None:
    assert not Captum(name, arguments).attribute(square(ToyModel())).provenance.reports


@pytest.mark.parametrize("space", ["pixels", "tokens"])
@pytest.mark.parametrize("name", ["FeatureAblation", "ShapleyValueSampling", "KernelShap"])
def test_cells_of_the_linear_toy_are_known_by_hand(space: str, name: str) -> None:
    """The red cell counts 0.8 of a cell's weight from black, and no other cell anything."""
    arguments = {"FeatureAblation": {}, "ShapleyValueSampling": {"n_samples": 1}, "KernelShap": {"n_samples": 400}}
    method = Captum(name, arguments[name], space=space, baseline="black", repeat=False)  # type: ignore[arg-type]
    found = method.attribute(toy_subject(ToyModel(sharpness=0))).on_grid(ROWS, COLUMNS).values
    expected = np.zeros((4, ROWS, COLUMNS))
    expected[RED] = 0.8 * WEIGHT
    np.testing.assert_allclose(found, expected, atol=0.02 * WEIGHT if name == "KernelShap" else 1e-5)


def test_coarse_cells_hold_merged_frames_together() -> None:
    """Two frames a step and one cell a step: one value for each half of the clip."""
    subject = Subject.bind(ToyModel(frames_per_step=2), toy_clip(), QUESTION)
    found = Captum("FeatureAblation", cells=1, baseline="black").values(subject)
    assert found.shape == (4, ROWS * CELL, COLUMNS * CELL)
    assert len(found.unique()) == 2
    assert torch.equal(found[0], found[1]) and float(found[2, 0, 0]) > float(found[0, 0, 0])


def test_more_cells_than_tokens_are_the_tokens() -> None:
    subject = toy_subject()
    one, two = (Captum("FeatureAblation", space="tokens", cells=n).values(subject) for n in (0, 9))
    assert torch.equal(one, two)


def test_arguments_win_over_what_is_filled_in(subject: Subject) -> None:
    filled = Captum("IntegratedGradients", {"n_steps": 4}, baseline="mean").values(subject)
    given = {"n_steps": 4, "baselines": baseline_of(subject, "pixels", "mean")}
    torch.testing.assert_close(Captum("IntegratedGradients", given, baseline="black").values(subject), filled)


@pytest.mark.parametrize("method", [Captum("Saliency"), Captum("FeatureAblation"), Captum("FeatureAblation", cells=9),
                                    Captum("Occlusion", {"sliding_window_shapes": [1, 3, 4, 4]}),
                                    Captum("ShapleyValueSampling", {"n_samples": 2}), Captum(space="tokens"),
                                    Captum("FeatureAblation", space="tokens", baseline="mean_token")],
                         ids=str)  # fmt: skip
def test_variants_keep_the_contract(method: Captum) -> None:
    check_method(method)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "Oclusion"}, r"methods\.captum: name: unknown value 'Oclusion'; did you mean 'Occlusion'\?"),
        ({"name": "DeepLift"}, "name: unknown value 'DeepLift'; "),
        ({"arguments": {"n_step": 5}}, r"arguments\.n_step: unknown argument of .*; did you mean 'n_steps'\?"),
        ({"arguments": {"inputs": 5}}, "arguments.inputs: unknown argument"),
        ({"space": "token"}, "space: input should be 'pixels' or 'tokens'"),
        ({"cells": -1}, "cells: expected 0 or more"),
    ],
)
def test_what_captum_would_not_take_is_refused_at_once(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "captum", parameters)


def test_a_value_that_captum_refuses_is_one_line() -> None:
    with pytest.raises(InputError, match=r"captum: Occlusion: .*sliding_window_shapes") as told:
        Captum("Occlusion").values(toy_subject())
    assert "\n" not in str(told.value)
