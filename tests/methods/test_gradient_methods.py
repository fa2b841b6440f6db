"""Saliency, input x gradient, SmoothGrad and gradient SHAP against autograd by hand and the toy's closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from attrib.inputs.space import Space, baseline_of
from attrib.method import Method
from attrib.methods.gradient_shap import GradientShap
from attrib.methods.input_x_gradient import InputXGradient
from attrib.methods.saliency import Saliency
from attrib.methods.smoothgrad import SmoothGrad
from attrib.subject import Subject
from attrib.testing import CELL, RED, ToyModel, check_method, toy_subject

SPACES: tuple[Space, ...] = ("pixels", "tokens")
TOKENS = 4 * 3 * 4
WEIGHT = 8 / (TOKENS + 1)  # of one token's red in the linear toy; its green weighs as much the other way


def point(subject: Subject, space: str) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The pixels or tokens as a batch of one, and their score."""
    if space == "pixels":
        return subject.pixels[None], subject.score
    return subject.model.encode(subject.pixels[None]), subject.score_tokens


def gradient(subject: Subject, space: str, at: Tensor | None = None) -> Tensor:
    """Gradient of the score by hand, where it is or at another point; (1, t, 3, h, w) or (1, n, d)."""
    here, score = point(subject, space)
    variable = (here if at is None else at).clone().requires_grad_()
    return torch.autograd.grad(score(variable).sum(), variable)[0]


def on_cells(values: Tensor, subject: Subject) -> np.ndarray:
    """Means in the cells of the token grid of pixels (t, h, w); of tokens (n,) the values themselves."""
    if values.ndim == 1:
        return values.numpy()
    rows, columns = subject.grid.rows, subject.grid.columns
    return values.unflatten(2, (columns, -1)).unflatten(1, (rows, -1)).mean(dim=(2, 4)).flatten().numpy()


def assert_map(subject: Subject, space: str, found: Tensor, expected: Tensor) -> None:
    """Places in rows of (t, h, w), tokens in the grid's order; not a reference of zeros."""
    laid = expected[0] if space == "pixels" else expected[0].reshape(found.shape)
    scale = float(laid.abs().max())
    assert scale > 1e-8
    torch.testing.assert_close(found, laid, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("space", SPACES)
def test_saliency_is_the_gradients_magnitude(subject: Subject, space: Space) -> None:
    slope = gradient(subject, space)
    assert_map(subject, space, Saliency(space).values(subject), slope.abs().max(dim=2).values)
    assert_map(subject, space, Saliency(space, "norm").values(subject), slope.square().sum(dim=2).sqrt())


@pytest.mark.parametrize("space", SPACES)
def test_input_x_gradient_is_their_product(subject: Subject, space: Space) -> None:
    expected = (point(subject, space)[0] * gradient(subject, space)).sum(dim=2)
    assert_map(subject, space, InputXGradient(space).values(subject), expected)


def test_linear_toy_is_known_by_hand() -> None:
    """Every cell weighs the same; red minus green is 0.8 in the red cell and nought elsewhere."""
    linear = toy_subject(ToyModel(sharpness=0))
    flat = torch.full((4, 12, 16), WEIGHT / CELL**2)
    torch.testing.assert_close(Saliency().values(linear), flat, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(Saliency(magnitude="norm").values(linear), 2**0.5 * flat, rtol=1e-5, atol=1e-8)
    cells = torch.zeros(4, 3, 4)
    cells[RED] = 0.8 * WEIGHT
    torch.testing.assert_close(InputXGradient("tokens").values(linear), cells, rtol=1e-5, atol=1e-7)
    shap = GradientShap(samples=3, sigma=0, baselines=("black",), space="tokens").values(linear)
    torch.testing.assert_close(shap, cells, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("average", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_smoothgrad_averages_the_gradients_of_noisy_copies(subject: Subject, space: Space, average: str) -> None:
    here, _ = point(subject, space)
    sigma = 0.1 if space == "pixels" else 0.1 * float(here.std())
    torch.manual_seed(5)
    slopes = torch.cat([gradient(subject, space, here + torch.normal(0, torch.full_like(here, sigma)))
                        for _ in range(3)])  # fmt: skip
    expected = {
        "smoothgrad": slopes.mean(dim=0),
        "smoothgrad_sq": slopes.square().mean(dim=0),
        "vargrad": slopes.var(dim=0, correction=0),
    }[average]
    torch.manual_seed(5)
    found = SmoothGrad(samples=3, sigma=0.1, average=average, space=space).values(subject)  # type: ignore[arg-type]
    assert_map(subject, space, found, expected[None].abs().amax(dim=2))


def test_smoothgrad_without_noise_is_saliency(subject: Subject) -> None:
    found = SmoothGrad(samples=3, sigma=0, batch=2).values(subject)
    torch.testing.assert_close(found, Saliency().values(subject), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("space", SPACES)
def test_gradient_shap_averages_points_between_clip_and_baseline(subject: Subject, space: Space) -> None:
    """Its draws repeated: two halves of four samples, with one point of either baseline in each half of the path."""
    here, _ = point(subject, space)
    baselines = [baseline_of(subject, space, kind) for kind in ("black", "mean")]
    torch.manual_seed(7)
    order, places = torch.randperm(2), torch.rand(8)
    maps = [torch.zeros_like(here), torch.zeros_like(here)]
    for i in range(8):
        baseline, along = baselines[order[i % 2]], (i // 4 + float(places[i])) / 2
        maps[i // 2 % 2] += (here - baseline) * gradient(subject, space, along * here + (1 - along) * baseline) / 8
    torch.manual_seed(7)
    method = GradientShap(samples=8, sigma=0, baselines=("black", "mean"), space=space)
    found = method.values_and_reports(subject)
    assert_map(subject, space, found.values, (maps[0] + maps[1]).sum(dim=2))
    r = spearmanr(*(on_cells(part.sum(dim=2)[0], subject) for part in maps)).statistic
    assert found.reports["monte_carlo_agreement"] == pytest.approx(2 * r / (1 + r), abs=1e-3)


@pytest.mark.parametrize("samples", [1, 2, 4, 5, 7])
def test_gradient_shap_weighs_baselines_alike_whatever_the_number_of_samples(samples: int) -> None:
    """In the linear toy every sample of one baseline gives the same map."""
    linear = toy_subject(ToyModel(sharpness=0))
    maps = [GradientShap(samples=1, sigma=0, baselines=(kind,)).values(linear) for kind in ("black", "mean")]
    found = GradientShap(samples=samples, sigma=0, baselines=("black", "mean")).values(linear)
    expected = [(maps[0] + maps[1]) / 2] if samples > 1 else maps
    assert any(torch.allclose(found, wanted, rtol=1e-4, atol=1e-7) for wanted in expected)


def test_smoothgrad_reports_how_far_its_halves_agree(subject: Subject) -> None:
    here, _ = point(subject, "pixels")
    torch.manual_seed(5)
    slopes = [gradient(subject, "pixels", here + torch.normal(0, torch.full_like(here, 0.1))) for _ in range(6)]
    halves = [torch.stack(slopes[start::2]).mean(dim=0).abs().amax(dim=2)[0] for start in (0, 1)]
    r = spearmanr(*(on_cells(half, subject) for half in halves)).statistic
    assert abs(r - spearmanr(*(half.flatten().numpy() for half in halves)).statistic) > 0.01, "pixels differ from cells"
    torch.manual_seed(5)
    reports = SmoothGrad(samples=6, batch=4).values_and_reports(subject).reports
    assert reports["monte_carlo_agreement"] == pytest.approx(2 * r / (1 + r), abs=1e-3)


@pytest.mark.parametrize("make", [SmoothGrad, GradientShap])
def test_more_samples_agree_better_as_the_report_says(subject: Subject, make: type[SmoothGrad | GradientShap]) -> None:
    found = []
    for samples in (6, 48):
        method = make(samples=samples, batch=12, sigma=0.3, space="tokens")
        volumes = [method.attribute(replace(subject, seed=seed)) for seed in range(4)]
        pairs = [spearmanr(a.values.ravel(), b.values.ravel()).statistic for a, b in combinations(volumes, 2)]
        said = [volume.provenance.reports["monte_carlo_agreement"] for volume in volumes]
        found.append((np.mean(pairs), np.mean(said)))
    assert found[0][0] < found[1][0]
    assert found[1][1] == pytest.approx(found[1][0], abs=0.1)


def test_too_few_samples_report_no_agreement() -> None:
    assert not SmoothGrad(samples=3).values_and_reports(toy_subject()).reports
    assert not GradientShap(samples=5).values_and_reports(toy_subject()).reports


def test_gradient_shap_adds_up_on_average() -> None:
    """Many samples between clip and one baseline leave little of f(x) - f(x') out, whatever the batch."""
    subject = toy_subject()
    with torch.no_grad():
        change = float(subject.score(subject.pixels[None]) - subject.score(torch.zeros_like(subject.pixels)[None]))
    volume = GradientShap(samples=400, sigma=0, baselines=("black",), batch=30).attribute(subject)
    assert float(volume.values.sum()) == pytest.approx(change, rel=0.1)


def test_noise_is_drawn_from_the_subjects_seed() -> None:
    for method in (SmoothGrad(samples=2), GradientShap(samples=2)):
        one, two = (method.attribute(toy_subject(seed=seed)).values for seed in (0, 1))
        assert not np.allclose(one, two)


@pytest.mark.parametrize("method", [Saliency("tokens"), Saliency(magnitude="norm"), InputXGradient("tokens"),
                                    SmoothGrad(space="tokens"), SmoothGrad(batch=5),
                                    SmoothGrad(average="smoothgrad_sq"),
                                    GradientShap(space="tokens", baselines=("mean_token", "blur")),
                                    GradientShap(batch=7)], ids=str)  # fmt: skip
def test_variants_keep_the_contract(method: Method) -> None:
    check_method(method)


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (Saliency, {"space": "token"}, "did you mean 'tokens'"),
        (Saliency, {"magnitude": "min"}, "magnitude"),
        (InputXGradient, {"space": "pixel"}, "did you mean 'pixels'"),
        (SmoothGrad, {"samples": 0}, "samples"),
        (SmoothGrad, {"sigma": -0.1}, "sigma"),
        (SmoothGrad, {"average": "smoothgrad_sp"}, "did you mean 'smoothgrad_sq'"),
        (SmoothGrad, {"batch": 0}, "batch"),
        (GradientShap, {"baselines": ()}, "baselines"),
        (GradientShap, {"baselines": ("blurr",)}, "did you mean 'blur'"),
        (GradientShap, {"baselines": ("mean_token",)}, "set space to 'tokens'"),
        (GradientShap, {"samples": 0}, "samples"),
        (GradientShap, {"sigma": -1.0}, "sigma"),
        (GradientShap, {"batch": 0}, "batch"),
    ],
)
def test_impossible_parameters_are_refused(make: type[Method], parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**parameters)
