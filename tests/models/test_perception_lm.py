"""The adapter against the official processor and the plain transformers forward, on a made checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.errors import InputError
from attrib.models import load
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.perception_lm_init import Shape
from attrib.models.prompting import option_prompt
from attrib.types import Clip, Question, Shot

FRAMES = 3
SHOT = Shot(48, 48, (0.0, 0.5, 1.0), 1.5)
QUESTION = Question("Which cup hides the ball?", ("the left one", "B", "the <b>right</b> one"), answer=2, shot=SHOT)
LETTERS = ("A", "B", "C")


@pytest.fixture(scope="module", params=[True, False], ids=["class token", "no class token"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(class_token=request.param, init_std=0.2)  # large weights: attention far from uniform
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), shape, seed=3)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> FamilyModel:
    return load_family(PerceptionLM, checkpoint)


@pytest.fixture(scope="module")
def clip() -> Clip:
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 90, 130, 3), dtype=np.uint8)
    return Clip(frames, np.arange(FRAMES) / 2, end=FRAMES / 2)


@pytest.fixture(scope="module")
def official(checkpoint: Path, clip: Clip) -> dict[str, torch.Tensor]:
    """Output of the checkpoint's own processor for the clip and the prompt."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": option_prompt(QUESTION)}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = [torch.from_numpy(clip.frames).permute(0, 3, 1, 2)]
    found = processor(
        text=[text], videos=[video[0]], do_sample_frames=False, return_tensors="pt", add_special_tokens=False
    )
    return dict(found)


def plain_logprobs(checkpoint: Path, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    network = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()
    processor = AutoProcessor.from_pretrained(checkpoint)
    letters = [processor.tokenizer.convert_tokens_to_ids(letter) for letter in LETTERS]
    return torch.log_softmax(network(**inputs).logits[0, -1, letters], dim=0)


def test_pixels_equal_the_official_processor(model: FamilyModel, clip: Clip, official: dict[str, torch.Tensor]) -> None:
    normalised = (model.preprocess(clip) - 0.5) / 0.5
    torch.testing.assert_close(normalised, official["pixel_values_videos"][0], atol=1e-6, rtol=0)


def test_logprobs_equal_the_plain_forward(
    model: FamilyModel, checkpoint: Path, clip: Clip, official: dict[str, torch.Tensor]
) -> None:
    found = model.option_logprobs(model.preprocess(clip)[None], QUESTION)[0]
    torch.testing.assert_close(found, plain_logprobs(checkpoint, official).detach(), atol=1e-5, rtol=0)


def test_prompt_ids_equal_the_official_processor(model: FamilyModel, official: dict[str, torch.Tensor]) -> None:
    asked = model._prompt(QUESTION, None)
    assert torch.equal(asked.ids, official["input_ids"][0])
    assert len(asked.visual) == FRAMES * 3 * 3


def test_batch_equals_one_by_one(model: FamilyModel, clip: Clip) -> None:
    pixels = torch.stack([model.preprocess(clip), 1 - model.preprocess(clip)])
    together = model.option_logprobs(pixels, QUESTION)
    alone = torch.cat([model.option_logprobs(one[None], QUESTION) for one in pixels])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


def test_dropped_tokens_keep_the_others_positions(model: FamilyModel, clip: Clip) -> None:
    """Dropping equals hiding the tokens' keys from every query with an explicit 4D mask."""
    tokens = model.encode(model.preprocess(clip)[None])
    keep = torch.rand(tokens.shape[1], generator=torch.Generator().manual_seed(0)) < 0.5
    asked = model._prompt(QUESTION, None)
    ids, visual = asked.ids, asked.visual
    letters = model._letters(QUESTION)
    network = model.module
    embedded = network.get_input_embeddings()(ids)[None].clone()
    embedded[:, visual] = tokens
    allowed = torch.ones(len(ids), dtype=torch.bool)
    allowed[visual] = keep
    mask = torch.tril(torch.ones(len(ids), len(ids), dtype=torch.bool)) & allowed[None, :]
    mask |= torch.eye(len(ids), dtype=torch.bool)  # hidden rows look at themselves; nobody looks at them
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    hidden = network.model.language_model(inputs_embeds=embedded, attention_mask=bias).last_hidden_state
    expected = torch.log_softmax(network.lm_head(hidden[:, -1])[:, letters], dim=-1)
    found = model.score_tokens(tokens, QUESTION, keep)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(found, model.score_tokens(tokens, QUESTION), atol=1e-3)


def test_recording_changes_nothing_and_is_undone(model: FamilyModel, clip: Clip) -> None:
    pixels = model.preprocess(clip)[None]
    before = model.option_logprobs(pixels, QUESTION)
    layers: list[LayerRecord] = []
    record = AttentionRecord(on_layer=layers.append)
    with model.record_attention(record):
        during = model.option_logprobs(pixels, QUESTION)
    assert torch.equal(before, during)
    assert [layer.index for layer in layers] == [0, 1]
    assert record.answer_rows == (layers[0].query.shape[2] - 1,)
    with pytest.raises(RuntimeError, match="inside"), model.record_attention(record):
        raise RuntimeError("inside")
    assert model.module.model.language_model.config._attn_implementation == "sdpa"
    assert torch.equal(before, model.option_logprobs(pixels, QUESTION))
    assert len(layers) == 2


def test_pixel_gradient_equals_the_plain_forwards(
    model: FamilyModel, checkpoint: Path, clip: Clip, official: dict[str, torch.Tensor]
) -> None:
    """Through normalisation: d/d pixel = d/d normalised / 0.5."""
    normalised = official["pixel_values_videos"].clone().requires_grad_()
    plain = plain_logprobs(checkpoint, {**official, "pixel_values_videos": normalised})
    (expected,) = torch.autograd.grad(plain[0], normalised)
    pixels = model.preprocess(clip)[None].requires_grad_()
    (found,) = torch.autograd.grad(model.option_logprobs(pixels, QUESTION)[0, 0], pixels)
    assert float(expected.abs().max()) > 1e-4
    torch.testing.assert_close(found, expected / 0.5, atol=1e-6, rtol=1e-3)


def test_feature_maps_put_places_back(model: FamilyModel, clip: Clip) -> None:
    layers = model.vision_layers()
    assert list(layers) == ["blocks.0", "blocks.1", "norm", "projector", "decoder.0", "decoder.1"]
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _, __, output: seen.update({name: output})

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    model.option_logprobs(model.preprocess(clip)[None], QUESTION)
    for handle in handles:
        handle.remove()
    for name, side in (("blocks.1", 6), ("projector", 3)):
        features = model.feature_map(name, seen[name], SHOT)
        assert features.shape[0] == FRAMES
        assert features.shape[2:] == (side, side)
        assert torch.equal(model.from_feature_map(name, features, seen[name], SHOT), seen[name])
        prefix = seen[name].shape[1] - side * side
        assert torch.equal(features[1, :, 1, 2], seen[name][1, prefix + side + 2])  # row-major
    features, hidden = model.feature_map("decoder.0", seen["decoder.0"], SHOT), seen["decoder.0"]
    first = model._prompt(QUESTION, None).visual[0]
    assert features.shape[0] == FRAMES
    assert torch.equal(features[1, :, 1, 2], hidden[0, first + 9 + 3 + 2])
    assert torch.equal(model.from_feature_map("decoder.0", features, hidden, SHOT), hidden)


def test_the_projector_multiplies_whole_frames(model: FamilyModel, clip: Clip) -> None:
    """Strided input would make a copy of its weight for each token: gigabytes at full size."""
    linear, strided = model.module.model.multi_modal_projector.linear_1, list[bool]()
    handle = linear.register_forward_hook(lambda _, given, __: strided.append(not given[0].is_contiguous()))
    model.encode(model.preprocess(clip)[None])
    handle.remove()
    assert strided == [False]


def test_special_tokens_in_the_question_are_refused(model: FamilyModel, clip: Clip) -> None:
    sly = Question("What is <|video|> here?", ("a", "b"), shot=SHOT)
    with pytest.raises(InputError, match=r"<\|video\|>"):
        model.option_logprobs(model.preprocess(clip)[None], sly)


def test_load_goes_by_the_checkpoints_own_family(checkpoint: Path, clip: Clip, model: FamilyModel) -> None:
    loaded = load(str(checkpoint))
    pixels = model.preprocess(clip)[None]
    torch.testing.assert_close(loaded.option_logprobs(pixels, QUESTION), model.option_logprobs(pixels, QUESTION))


@pytest.mark.parametrize(
    ("name", "message"),
    [("dmeo", "unknown model 'dmeo'"), ("/nowhere/at/all", "unknown model"), ("perception_lm", "is a family")],
)
def test_unknown_models_are_told_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(name, offline=True)
    assert "\n" not in str(caught.value)


def test_broken_checkpoints_are_told_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load(str(tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="model_type"):
        load(str(tmp_path))
