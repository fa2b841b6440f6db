"""GradCAM against a hand-written gradient-weighted activation, for every layer and both ways of pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib.errors import UnknownName
from attrib.method import Method
from attrib.methods.grad_cam import GradCAM
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject
from attrib.testing import toy_subject


def by_hand(subject: Subject, layer: torch.nn.Module, prefix: int, pool: str) -> Tensor:
    """(t, places): sum over channels of activation times mean gradient; tokens (t, prefix + places, channels)."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, output: kept.append(output))
    pixels = subject.pixels[None].clone().requires_grad_()
    score = subject.score(pixels)
    handle.remove()
    (slope,) = torch.autograd.grad(score.sum(), kept[0])
    activation, slope = (part.detach()[:, prefix:].double() for part in (kept[0], slope))
    weights = slope.mean(dim=1, keepdim=True) if pool == "frame" else slope.mean(dim=(0, 1), keepdim=True)
    return (activation * weights).sum(dim=2)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("pool", ["frame", "video"])
@pytest.mark.parametrize(("name", "prefix"), [("blocks.0", 1), ("blocks.1", 1), ("projector", 0)])
def test_perception_lm_equals_the_hand_written_map(subject: Subject, name: str, prefix: int, pool: str) -> None:
    assert isinstance(subject.model, FamilyModel)
    expected = by_hand(subject, subject.model.vision_layers()[name], prefix, pool)
    side = 3 if name == "projector" else 6
    found = GradCAM(name, pool).values(subject)  # type: ignore[arg-type]
    assert_equal(found, expected.unflatten(1, (side, side)))


@pytest.mark.parametrize("pool", ["frame", "video"])
def test_a_decoder_layer_equals_the_hand_written_map_at_the_visual_tokens(subject: Subject, pool: str) -> None:
    kept: list[Tensor] = []
    layer = subject.model.module.model.language_model.layers[0]
    handle = layer.register_forward_hook(lambda _, __, output: kept.append(output))
    score = subject.score(subject.pixels[None].clone().requires_grad_())
    handle.remove()
    (slope,) = torch.autograd.grad(score.sum(), kept[0])
    start = subject.model._prompt(subject.question, None).visual[0]
    activation, slope = (part.detach()[0, start : start + 27].view(3, 9, -1).double() for part in (kept[0], slope))
    weights = slope.mean(dim=1, keepdim=True) if pool == "frame" else slope.mean(dim=(0, 1), keepdim=True)
    expected = (activation * weights).sum(dim=2).view(3, 3, 3)
    assert_equal(GradCAM("decoder.0", pool).values(subject), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("pool", ["frame", "video"])
def test_toy_equals_the_hand_written_map(pool: str) -> None:
    subject = toy_subject()
    cells = torch.nn.functional.avg_pool2d(subject.pixels, 4).requires_grad_()
    tokens = cells.permute(0, 2, 3, 1).flatten(0, 2)[None]
    (slope,) = torch.autograd.grad(subject.score_tokens(tokens).sum(), cells)
    axes = (2, 3) if pool == "frame" else (0, 2, 3)
    expected = (cells * slope.mean(dim=axes, keepdim=True)).sum(1).detach().double()
    assert_equal(GradCAM(pool=pool).values(subject), expected)  # type: ignore[arg-type]


def test_last_is_the_last_block(subject: Subject) -> None:
    assert torch.equal(GradCAM().values(subject), GradCAM("blocks.1").values(subject))
    assert not torch.allclose(GradCAM().values(subject), GradCAM("blocks.0").values(subject))


def test_the_sign_is_kept(subject: Subject) -> None:
    assert float(GradCAM().values(subject).min()) < 0


def test_an_unknown_layer_names_the_nearest(subject: Subject) -> None:
    with pytest.raises(UnknownName, match=r"unknown vision layer 'blocks\.7'; did you mean 'blocks\.[01]'\?"):
        GradCAM("blocks.7").values(subject)


def test_an_unknown_pool_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="pool"):
        GradCAM(pool="vidoe")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [GradCAM(), GradCAM(pool="video")], ids=["frame", "video"])
def test_the_model_is_as_it_was(subject: Subject, method: Method) -> None:
    before = subject.score(subject.pixels[None])
    method.attribute(subject)
    assert torch.equal(subject.score(subject.pixels[None]), before)
    assert not any(module._forward_hooks for module in subject.model.module.modules())


def test_provenance_names_layer_and_pool(subject: Subject) -> None:
    volume = GradCAM("projector", "video").attribute(subject)
    assert volume.provenance.parameters == {"layer": "projector", "pool": "video"}
    assert volume.values.shape == (3, 3, 3)
    assert np.ptp(volume.values) > 0
