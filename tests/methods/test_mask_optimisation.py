"""Optimised masks against exhaustive search, finite differences, and what a model of known effects must give."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from attrib import config
from attrib.config import ExplainConfig
from attrib.demo.dataset import Demo
from attrib.errors import ConfigError
from attrib.explaining.binding import bind_sample, load
from attrib.methods.mask_optimisation import MaskOptimisation, gaussian, of_area
from attrib.subject import Subject
from attrib.testing import COLUMNS, FRAMES, RED, ROWS, ToyModel, check_method, toy_subject

CELLS = FRAMES * ROWS * COLUMNS


def test_the_mean_of_a_mask_is_its_area() -> None:
    logits = torch.randn(3, 2, 3, 4, dtype=torch.float64) * 20
    found = of_area(logits, (0.05, 0.3, 0.9))
    np.testing.assert_allclose(found.mean(dim=(1, 2, 3)), [0.05, 0.3, 0.9], atol=1e-9)
    order = logits[0].flatten().argsort()
    assert (found[0].flatten()[order].diff() >= 0).all()


def test_its_gradient_includes_the_threshold() -> None:
    """By finite differences; moving all logits alike changes nothing."""
    logits = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 2, 2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: of_area(given, (0.2,)), (logits,), atol=1e-6)
    (slope,) = torch.autograd.grad((of_area(logits, (0.2,)) * weights).sum(), logits)
    assert abs(float(slope.sum())) < 1e-9 < float(slope.abs().max())


def test_smoothing_keeps_the_sum_of_each_step() -> None:
    torch.testing.assert_close(gaussian(4, 0.0), torch.eye(4, dtype=torch.float64))
    found = gaussian(5, 0.7)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(5, dtype=torch.float64))
    assert found[1, 2] / found[2, 2] == pytest.approx(np.exp(-1 / (2 * 0.49)))


@pytest.mark.parametrize(
    "objective", ["both", *(pytest.param(each, marks=pytest.mark.slow) for each in ("preserve", "delete"))]
)
def test_it_finds_the_best_cells_of_an_exhaustive_search(subject: Subject, objective: Any) -> None:
    """Two of the nine tokens of one frame: the mask's two largest are among the best 3 of all 36 pairs."""
    one = Subject.bind(subject.model, replace(subject.clip, frames=subject.clip.frames[:1],
                                              times=subject.clip.times[:1]), subject.question)  # fmt: skip
    tokens, mean = one.visual, one.visual.mean(1, keepdim=True)

    def gain(kept: tuple[int, ...]) -> float:
        mask = torch.zeros(9, dtype=torch.bool)
        mask[list(kept)] = True
        only, without = (torch.where(each[None, :, None], tokens, mean) for each in (mask, ~mask))
        preserved, deleted = float(one.score_tokens(only)[0]), float(one.score_tokens(without)[0])
        return {"both": preserved - deleted, "preserve": preserved, "delete": -deleted}[objective]

    gains = {pair: gain(pair) for pair in combinations(range(9), 2)}
    volume = MaskOptimisation((2 / 9,), objective=objective, sigma=0, steps=80).attribute(one)
    values = volume.values.ravel()
    assert float(values.mean()) == pytest.approx(2 / 9, abs=1e-6)
    assert values.max() > 0.8, "a mask that decides for nothing"
    found = tuple(sorted(np.argsort(-values)[:2].tolist()))
    assert sum(gains[found] < each for each in gains.values()) < 3
    reports = volume.provenance.reports
    whole = float(one.log_odds(one.logprobs[None]))
    if objective == "both":
        assert reports["deleted"] - reports["preserved"] == pytest.approx(gains[found], abs=0.3 * abs(gains[found]))
    assert reports["preserved"] == pytest.approx(whole - gain_of(one, values), abs=1e-3)


def gain_of(subject: Subject, values: Any) -> float:
    """The score of what the mask keeps."""
    tokens, mean = subject.visual, subject.visual.mean(1, keepdim=True)
    kept = mean + torch.from_numpy(values)[None, :, None] * (tokens - mean)
    return float(subject.score_tokens(kept)[0])


@pytest.mark.parametrize("space", ["tokens", "pixels"])
def test_on_an_additive_model_the_mask_lies_on_the_only_effect(space: Any) -> None:
    method = MaskOptimisation((1 / CELLS,), space=space, baseline="black", sigma=0)
    found = method.attribute(toy_subject(ToyModel(sharpness=0)))
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[RED] = 1
    np.testing.assert_allclose(found.values, expected, atol=0.05)
    drop = 8 * 0.8 / (CELLS + 1)
    share = 1 if space == "tokens" else 0.75**2  # of the red pixels: theirs is the mask between the cells' middles
    assert found.provenance.reports["deleted"] == pytest.approx(share * drop, rel=0.05)
    assert found.provenance.reports["preserved"] == pytest.approx((1 - share) * drop, abs=0.05 * drop)


def test_passes_are_those_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes, kept = toy_subject(), [], ToyModel.score_tokens

    def counted(self: ToyModel, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.extend([tokens.requires_grad] * len(tokens))
        return kept(self, tokens, *rest)

    monkeypatch.setattr(ToyModel, "score_tokens", counted)
    first = MaskOptimisation((0.1, 0.2, 0.3), steps=5, batch=4).attribute(subject).values
    assert (sum(sizes), len(sizes)) == (5 * 3 * 2, 5 * 3 * 2 + 2 * 3)
    again = MaskOptimisation((0.1, 0.2, 0.3), steps=5, batch=1).attribute(subject).values
    np.testing.assert_allclose(again, first, atol=1e-5)


def test_on_the_built_in_world_the_masks_keep_and_lose_the_answer() -> None:
    """With a fifth of the tokens at most; masks of their final size from the first step on did neither."""
    samples = tuple(Demo(videos=2, counterfactuals=False))
    settings = ExplainConfig()
    subject = bind_sample(load(settings.model), settings, samples[1])
    reports = MaskOptimisation(steps=25).attribute(subject).provenance.reports
    whole = float(subject.log_odds(subject.logprobs[None]))
    assert whole > 2
    assert reports["preserved"] < whole / 2 < reports["deleted"]


@pytest.mark.parametrize(
    ("baseline", "space", "seen"),
    [("mean_token", "tokens", {"token"}), ("blur", "pixels", {"blur"}), ("frozen", "tokens", {"freeze"}),
     ("mean", "pixels", {"mean"}), ("black", "pixels", set())],
)  # fmt: skip
def test_it_says_which_imputers_show_what_it_saw(baseline: Any, space: Any, seen: set[str]) -> None:
    method = MaskOptimisation(space=space, baseline=baseline)
    assert method.seen_imputers == seen
    assert method.optimises == {"deletion", "insertion"}


@pytest.mark.parametrize("parameters", [{"space": "pixels", "baseline": "blur"}, {"objective": "delete"}], ids=str)
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(MaskOptimisation(steps=20, **parameters))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"areas": [0.1, 1]}, "areas: expected shares between 0 and 1, got 1"),
        ({"areas": []}, "number of areas: expected 1 or more"),
        ({"objective": "keep"}, "objective: input should be 'both', 'preserve' or 'delete'"),
        ({"baseline": "dropped"}, "baseline"),
        ({"sigma": -1}, "sigma: expected 0 or more"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "mask_optimisation", parameters)
