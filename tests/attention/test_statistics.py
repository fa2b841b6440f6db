"""Statistics of attention against stored maps: eager attention in the decoder, unfused attention in the tower."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from torch import Tensor

from attrib.attention.statistics import answer_statistics, spatial_entropy, tower_statistics
from attrib.attention_record import AttentionRecord, Knockout, LayerRecord, sinks
from attrib.capabilities import RecordsAttention, require
from attrib.errors import InputError, UnsupportedModel
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.perception_lm_init import Shape
from attrib.subject import Subject
from attrib.testing import toy_subject
from attrib.types import Clip, Question

FRAMES, QUESTION = 3, Question("Which cup hides the ball?", ("left", "middle", "right"))


@pytest.fixture(scope="module", params=[True, False], ids=["class token", "no class token"])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    shape = Shape(class_token=request.param, init_std=0.2)
    checkpoint: Path = write_checkpoint(tmp_path_factory.mktemp("model"), shape, seed=3)
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 60, 80, 3), dtype=np.uint8)
    return Subject.bind(
        load_family(PerceptionLM, checkpoint), Clip(frames, np.arange(FRAMES) / 2, FRAMES / 2), QUESTION
    )


@pytest.fixture
def decoder_maps(subject: Subject) -> tuple[Tensor, list[Tensor], slice]:
    """(layers, heads, n, n) of eager attention, the layers' inputs, and where the video stands."""
    decoder = subject.model.module.model.language_model
    inputs: list[Tensor] = []
    kept: list[Tensor] = []
    decoder.set_attn_implementation("eager")
    handles = [layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for layer in decoder.layers]
    handles += [layer.self_attn.register_forward_hook(lambda *given: kept.append(given[-1][1]))
                for layer in decoder.layers]  # fmt: skip
    with torch.no_grad():
        subject.score(subject.pixels[None])
    for handle in handles:
        handle.remove()
    decoder.set_attn_implementation("sdpa")
    start = subject.model._prompt(subject.question, None).visual[0]
    return torch.cat(kept), inputs, torch.arange(int(start), int(start) + subject.grid.tokens)


def test_answer_statistics_equal_the_eager_attentions(
    subject: Subject, decoder_maps: tuple[Tensor, list[Tensor], Tensor]
) -> None:
    maps, inputs, visual = decoder_maps
    found, answer = answer_statistics(subject), maps[:, :, -1]
    expected = answer[..., visual].unflatten(2, (FRAMES, 3, 3))
    torch.testing.assert_close(found.attention, expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.visual_mass, answer[..., visual].sum(2), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.mean, expected.mean((0, 1)), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.max, expected.amax((0, 1)), rtol=1e-4, atol=1e-7)
    marked = torch.stack([sinks(hidden, visual)[0] for hidden in inputs])
    assert marked[:, 0].all()
    torch.testing.assert_close(found.sink_share, (answer * marked[:, None]).sum(2), rtol=1e-4, atol=1e-7)
    assert found.spatial_entropy.tolist() == [[pytest.approx(spatial_entropy(part)) for part in layer]
                                              for layer in expected]  # fmt: skip


def test_tower_statistics_equal_timms_unfused_attention(subject: Subject) -> None:
    """timm keeps its probabilities only where fusing is switched off by hand; its dropout then sees them."""
    found = tower_statistics(subject)
    blocks = subject.model.module.model.vision_tower.timm_model.blocks
    kept: list[Tensor] = []
    handles = [block.attn.attn_drop.register_forward_hook(lambda _, __, output: kept.append(output))
               for block in blocks]  # fmt: skip
    for block in blocks:
        block.attn.fused_attn = False
    with torch.no_grad():
        subject.model.encode(subject.pixels[None])
    for block in blocks:
        block.attn.fused_attn = True
    for handle in handles:
        handle.remove()
    received = torch.stack(kept).mean(dim=3)  # (layers, t, heads, n)
    prefix = received.shape[3] - 36
    expected = received[..., prefix:].transpose(1, 2).unflatten(3, (6, 6))
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(found.attention, expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.visual_mass, expected.sum((2, 3, 4)) / FRAMES, rtol=1e-4, atol=1e-7)
    if prefix:
        assert (found.sink_share >= received[..., 0].mean(1) - 1e-6).all()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in blocks.modules())


def test_recorded_tower_layers_do_not_change_the_tokens(subject: Subject) -> None:
    model, layers = subject.model, list[LayerRecord]()
    assert isinstance(model, FamilyModel)
    record = AttentionRecord(on_layer=layers.append, find_sinks=True)
    with torch.no_grad():
        before = model.encode(subject.pixels[None])
        with model.record_vision_attention(record, subject.shot):
            assert torch.equal(model.encode(subject.pixels[None]), before)
    assert [layer.index for layer in layers] == [0, 1]
    with pytest.raises(RuntimeError, match="inside"), model.record_vision_attention(record, subject.shot):
        raise RuntimeError("inside")
    model.encode(subject.pixels[None])
    assert len(layers) == 2


def test_models_without_a_tower_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="tower_statistics: model 'toy' does not expose its vision encoder's"):
        tower_statistics(toy_subject())


def test_spatial_entropy_by_hand() -> None:
    values = torch.zeros(2, 4, 5)
    assert spatial_entropy(values) == math.inf
    values[0, 0, 0] = values[0, 1, 1] = values[1, 2, 2] = 1  # one part of three, joined by corners and by time
    assert spatial_entropy(values) == 0
    values[1, 0, 4] = 2
    assert spatial_entropy(values) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_knocking_the_evidence_out_takes_the_toys_answer() -> None:
    """The red cell is token 2 * 12 + 1 * 4 + 2 = 30; another cell says nothing."""
    subject = toy_subject()
    model = require(subject.model, RecordsAttention, "test")
    whole = float(subject.score(subject.pixels[None]))
    with model.knock_out(Knockout((30,))):
        without = float(subject.score(subject.pixels[None]))
    with model.knock_out(Knockout((29,))):
        other = float(subject.score(subject.pixels[None]))
    assert without == pytest.approx(0, abs=1e-5)
    assert other == pytest.approx(whole, rel=0.05)
    assert float(subject.score(subject.pixels[None])) == whole


def test_a_knockout_of_all_visual_tokens_is_a_video_that_the_answer_does_not_see(subject: Subject) -> None:
    model = subject.model
    assert isinstance(model, FamilyModel)
    visual = model._prompt(subject.question, None).visual
    length = len(model._prompt(subject.question, None).ids)
    cut = Knockout(tuple(visual.tolist()), tuple(range(int(visual[-1]) + 1, length)))
    with model.knock_out(cut):
        one, two = (subject.score(pixels[None]) for pixels in (subject.pixels, 1 - subject.pixels))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
    assert float((subject.score(subject.pixels[None]) - subject.score(1 - subject.pixels[None])).abs()) > 1e-3


def test_a_layer_that_is_not_there_is_refused(subject: Subject) -> None:
    model = require(subject.model, RecordsAttention, "test")
    with (
        pytest.raises(InputError, match="expected a layer from 0 to 1, got 2"),
        model.knock_out(Knockout((1,), heads={2: ()})),
    ):
        pass
