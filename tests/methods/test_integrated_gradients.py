"""Integrated gradients against Captum, quadratures written here, and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as Captum
from torch import Tensor

from attrib.inputs.space import Space, baseline_of
from attrib.methods.integrated_gradients import IntegratedGradients
from attrib.runtime.selection import is_selected
from attrib.subject import Subject
from attrib.testing import CELL, QUESTION, RED, ToyModel, check_method, toy_clip, toy_sample, toy_subject
from attrib.types import Clip, Question

TOKENS = 4 * 3 * 4
WEIGHT = 8 / (TOKENS + 1) / CELL**2  # of one red pixel in the linear toy; a green one weighs as much the other way


def linear() -> Subject:
    return toy_subject(ToyModel(sharpness=0))


def quadrature(subject: Subject, baseline: Tensor, steps: int) -> Tensor:
    """Gauss-Legendre over (x - x') times the gradients along the path, colours summed, in float64."""
    nodes, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(steps))
    change = subject.pixels - baseline
    total = torch.zeros_like(change, dtype=torch.float64)
    for at, weight in zip((nodes.float() + 1).div(2).split(10), weights.div(2).split(10), strict=True):
        points = (baseline + at[:, None, None, None, None] * change).requires_grad_()
        (gradients,) = torch.autograd.grad(subject.score(points).sum(), points)
        total += torch.einsum("p,p...->...", weight, gradients.double())
    return (change.double() * total).sum(dim=1)


def assert_equal(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_equals_a_direct_captum_call(subject: Subject, space: Space) -> None:
    baseline = baseline_of(subject, space, "black")
    pixels = subject.pixels[None]
    score, inputs, shape = {
        "pixels": (subject.score, pixels, (3, 48, 48)),
        "tokens": (subject.score_tokens, subject.model.encode(pixels), (3, 3, 3)),
    }[space]
    captum = Captum(score)
    expected = captum.attribute(inputs, baseline, n_steps=6, method="gausslegendre", internal_batch_size=4)[0].detach()
    places = expected.sum(dim=1) if space == "pixels" else expected.sum(dim=1).view(shape)
    found = IntegratedGradients(steps=6, baseline="black", space=space, batch=4).values_and_reports(subject)
    assert found.values.shape == shape
    assert torch.equal(found.values, places)
    whole = captum.attribute(inputs, baseline, n_steps=6)[0].detach().sum(dim=1).view_as(places)
    assert_equal(found.values, whole)  # all steps at once, Captum's default
    assert found.reports["gradient_evaluations"] == 6


@pytest.mark.parametrize("baseline", ["blur", "black", "mean", "frozen"])
def test_equals_a_quadrature_written_here(subject: Subject, baseline: str) -> None:
    method = IntegratedGradients(steps=5, baseline=baseline)  # type: ignore[arg-type]
    expected = quadrature(subject, baseline_of(subject, "pixels", method.baseline)[0], 5)
    assert_equal(method.values(subject), expected)


@pytest.mark.parametrize("baseline", ["blur", "black", "mean", "frozen"])
def test_chosen_nodes_give_the_converged_map(subject: Subject, baseline: str) -> None:
    """At most 16 gradients, beside a quadrature of 100; the map is meant, not only its sum."""
    method = IntegratedGradients(baseline=baseline, tolerance=0.005)  # type: ignore[arg-type]
    found = method.values_and_reports(subject)
    expected = quadrature(subject, baseline_of(subject, "pixels", method.baseline)[0], 100)
    assert found.reports["completeness_error"] <= 0.005
    assert found.reports["gradient_evaluations"] <= 16
    assert float((found.values - expected).abs().sum() / expected.abs().sum()) < 0.1


class Counting(ToyModel):
    """Counts the videos that it scores with and without a gradient."""

    with_gradient = without = 0

    def option_logprobs(self, pixels: Tensor, question: Question) -> Tensor:
        asked = pixels.requires_grad and torch.is_grad_enabled()
        self.with_gradient += len(pixels) * asked
        self.without += len(pixels) * (not asked)
        return super().option_logprobs(pixels, question)


@pytest.mark.parametrize("parameters", [{}, {"batch": 3}, {"steps": 5, "batch": 2}, {"tolerance": 0.0}], ids=str)
def test_all_evaluations_are_reported(parameters: dict[str, Any]) -> None:
    model = Counting()
    subject = toy_subject(model)
    model.without = 0
    reports = IntegratedGradients(**parameters).values_and_reports(subject).reports
    assert reports["gradient_evaluations"] == model.with_gradient
    assert reports["forward_evaluations"] == model.without
    assert model.with_gradient <= 64


@pytest.mark.parametrize("most", [1, 3, 8, 13])
def test_max_steps_bounds_the_gradients_and_the_error_is_told(most: int) -> None:
    """A tolerance that cannot be met: the rule ends, still made of whole segments."""
    model = Counting()
    result = IntegratedGradients(max_steps=most, tolerance=0, baseline="black").values_and_reports(toy_subject(model))
    assert most - 1 <= model.with_gradient <= most
    missing = abs(float(result.values.double().sum()) - result.reports["score_change"])
    assert result.reports["completeness_error"] == pytest.approx(
        missing / abs(result.reports["score_change"]), abs=1e-5
    )


def test_a_smaller_tolerance_takes_more_gradients_and_leaves_less(subject: Subject) -> None:
    loose = IntegratedGradients(tolerance=0.5).values_and_reports(subject).reports
    half = loose["completeness_error"] / 2  # which the same nodes cannot meet
    tight = IntegratedGradients(tolerance=half).values_and_reports(subject).reports
    assert loose["gradient_evaluations"] < tight["gradient_evaluations"]
    assert tight["completeness_error"] < half


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_changes_nothing(batch: int) -> None:
    subject = toy_subject()
    for steps in (0, 7):
        whole = IntegratedGradients(steps=steps, batch=7).values(subject)
        assert_equal(IntegratedGradients(steps=steps, batch=batch).values(subject), whole, 1e-4)


@pytest.mark.parametrize("steps", [0, 2])
def test_linear_toy_from_black_is_known_by_hand(steps: int) -> None:
    """Grey and blue cells have as much red as green and count nothing; a red pixel counts 0.8 times its weight."""
    result = IntegratedGradients(steps=steps, baseline="black").values_and_reports(linear())
    expected = torch.zeros(4, 12, 16, dtype=torch.float64)
    frame, row, column = RED
    expected[frame, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = 0.8 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-5, atol=1e-8)
    assert result.reports["score_change"] == pytest.approx(16 * 0.8 * WEIGHT, rel=1e-5)
    assert result.reports["completeness_error"] < 1e-5


def test_linear_toy_tokens_from_the_mean_token_are_known_by_hand() -> None:
    """The red cell exceeds the mean token's redness by all but a 48th, every other falls short of it by that."""
    result = IntegratedGradients(baseline="mean_token", space="tokens").values_and_reports(linear())
    expected = torch.full((4, 3, 4), -0.8 / 48 * 16 * WEIGHT, dtype=torch.float64)
    expected[RED] += 0.8 * 16 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-4, atol=1e-7)
    assert result.reports["gradient_evaluations"] == 8


def test_linear_toy_from_the_first_frame_is_known_by_hand() -> None:
    """Content that has not changed since the first frame counts nothing."""
    result = IntegratedGradients(baseline="frozen").values_and_reports(linear())
    expected = torch.zeros(4, 12, 16, dtype=torch.float64)
    frame, row, column = RED
    expected[frame, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = 0.8 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-4, atol=1e-8)


def test_linear_toy_from_the_mean_colour_is_known_by_hand() -> None:
    """Red exceeds green by 0.8 in one of 48 cells: the mean colour by 0.8 / 48, which every pixel starts from."""
    result = IntegratedGradients(steps=2, baseline="mean").values_and_reports(linear())
    expected = torch.full((4, 12, 16), -0.8 / 48 * WEIGHT, dtype=torch.float64)
    frame, row, column = RED
    expected[frame, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] += 0.8 * WEIGHT
    torch.testing.assert_close(result.values.double(), expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 32])
def test_completeness_error_is_the_share_of_the_change_that_is_missing(steps: int) -> None:
    subject = toy_subject()
    result = IntegratedGradients(steps=steps, baseline="black").values_and_reports(subject)
    with torch.no_grad():
        change = float(subject.score(subject.pixels[None]) - subject.score(torch.zeros_like(subject.pixels)[None]))
    expected = abs(float(result.values.double().sum()) - change) / abs(change)
    assert result.reports["score_change"] == pytest.approx(change, rel=1e-6)
    assert result.reports["completeness_error"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert (expected > 1e-3) == (steps < 32), "the few steps must leave an error, the many none"


def test_completeness_error_is_in_the_provenance() -> None:
    reports = IntegratedGradients(baseline="black").attribute(toy_subject()).provenance.reports
    expected = {"completeness_error", "score_change", "gradient_evaluations", "forward_evaluations"}
    assert set(reports) == expected
    assert all(math.isfinite(value) for value in reports.values())


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_the_distance_to_a_dense_reference_is_reported(space: Space) -> None:
    """Beside a quadrature of another kind, of Captum: too few steps leave a distance, enough leave next to none."""
    subject = toy_subject()
    score, inputs = (subject.score, subject.pixels[None]) if space == "pixels" else (
        subject.score_tokens, subject.model.encode(subject.pixels[None]))  # fmt: skip
    baseline = baseline_of(subject, space, "black")
    dense = Captum(score).attribute(inputs, baseline, n_steps=200, method="gausslegendre")[0].detach().sum(dim=1)
    for steps in (1, 2, 30):
        found = IntegratedGradients(steps=steps, baseline="black", space=space, checked=1).values_and_reports(subject)
        expected = float((found.values.flatten() - dense.flatten()).norm() / dense.norm())
        assert found.reports["reference_error"] == pytest.approx(expected, abs=2e-3)
        assert (expected > 0.02) == (steps < 30)
        assert 0 < found.reports["reference_change"] <= 0.01 and found.reports["gradient_evaluations"] == steps


def test_a_share_of_the_samples_is_compared_by_their_ids() -> None:
    subject, method = toy_subject(ToyModel(sharpness=0)), IntegratedGradients(steps=1, checked=0.25)
    ids = [f"video_{number}_0" for number in range(12)]
    subjects = [replace(subject, sample=replace(toy_sample(), id=name)) for name in ids]
    found = [name for name, each in zip(ids, subjects, strict=True) if is_compared(method, each)]
    assert found == [name for name in ids if is_selected(name, 0.25)] and 0 < len(found) < 8
    assert not is_compared(method, subject) and is_compared(replace(method, checked=1), subject)
    none, every = (sum(is_compared(replace(method, checked=share), each) for each in subjects[:3]) for share in (0, 1))
    assert (none, every) == (0, 3)


def is_compared(method: IntegratedGradients, subject: Subject) -> bool:
    return "reference_error" in method.values_and_reports(subject).reports


def test_a_clip_that_equals_its_baseline_gets_zeros_and_a_finite_report() -> None:
    grey = Clip(np.full((2, 12, 16, 3), 102, np.uint8), np.array([0.0, 0.5]), end=1.0)
    volume = IntegratedGradients(baseline="mean").attribute(Subject.bind(ToyModel(), grey, QUESTION))
    assert float(np.abs(volume.values).max()) < 1e-6
    assert volume.provenance.reports["completeness_error"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"baseline": "blurr"}, "baseline"),
        ({"steps": -1}, "steps"),
        ({"batch": 0}, "batch"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"max_steps": 0}, "max_steps"),
        ({"checked": 1.5}, "checked: expected a share from 0 to 1, got 1.5"),
        ({"space": "token"}, "tokens"),
        ({"baseline": "mean_token"}, "set space to 'tokens'"),
    ],
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


@pytest.mark.parametrize("parameters", [{"baseline": "black"}, {"baseline": "mean"}, {"baseline": "frozen"},
                                        {"space": "tokens"}, {"space": "tokens", "baseline": "mean_token"},
                                        {"steps": 32}, {"batch": 5}], ids=str)  # fmt: skip
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(IntegratedGradients(**parameters))
