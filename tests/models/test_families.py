"""Every family on a tiny checkpoint in its official layout, against its own processor and plain forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import tiny_glm_gemma
import tiny_square_frames
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

from attrib import models, registry
from attrib.attention import flows
from attrib.attention_record import AttentionRecord, Knockout, LayerRecord
from attrib.errors import UnsupportedModel
from attrib.models.family_model import FamilyModel
from attrib.models.prompting import option_prompt
from attrib.models.randomising import randomised
from attrib.propagation.rules import propagating
from attrib.subject import Subject, Target
from attrib.types import Clip, Question

QUESTION = Question("Which cup hides the ball?", ("the left one", "B", "the right one"))
TIMES = (0.033, 0.4, 1.0, 1.71, 2.9)  # uneven, and an odd number of frames
BUILDERS = {**tiny_families.BUILDERS, **tiny_glm_gemma.BUILDERS, **tiny_square_frames.BUILDERS}
HYBRID = {"qwen3_5": "Qwen3_5TextModel: its layers 0, 1, 2 show no attention"}


@dataclass(frozen=True, eq=False)
class Case:
    """A family's checkpoint, its model bound to a clip, and what the official classes make of the same clip."""

    name: str
    folder: Path

    @cached_property
    def clip(self) -> Clip:
        frames = np.random.default_rng(0).integers(0, 256, (len(TIMES), 50, 70, 3), dtype=np.uint8)
        return Clip(frames, np.array(TIMES), 3.3)

    @cached_property
    def model(self) -> FamilyModel:
        found = models.load(str(self.folder))
        assert isinstance(found, FamilyModel)
        return found

    @cached_property
    def subject(self) -> Subject:
        return Subject.bind(self.model, self.clip, QUESTION)

    @cached_property
    def tokens(self) -> Tensor:
        return self.model.encode(self.subject.pixels[None])

    @cached_property
    def processor(self) -> Any:
        return AutoProcessor.from_pretrained(self.folder)

    @cached_property
    def network(self) -> Any:
        """The plain network, with parameters that have gradients and eager attention."""
        return AutoModelForImageTextToText.from_pretrained(self.folder, attn_implementation="eager").eval()

    def official(self, text: str) -> Mapping[str, Tensor]:
        """The official processor's output for the clip at its real size and times."""
        frames = torch.from_numpy(self.clip.frames).permute(0, 3, 1, 2)
        marker = self.model.family.content(frames)
        content = [*marker, {"type": "text", "text": text}]
        arguments: dict[str, Any] = {}
        if not self.model.family.as_images:
            indices = [round(1000 * time) for time in TIMES]
            metadata = VideoMetadata(total_num_frames=3300, fps=1000, frames_indices=indices, duration=3.3)
            arguments = {"do_sample_frames": False, "video_metadata": [[metadata]]}
        found: Mapping[str, Tensor] = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True, return_dict=True,
            return_tensors="pt", processor_kwargs=arguments,
        )  # fmt: skip
        return found

    @cached_property
    def inputs(self) -> Mapping[str, Tensor]:
        return self.official(option_prompt(QUESTION))

    @cached_property
    def plain(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits of the letters, and every layer's eager attention."""
        output = self.network(**self.inputs, output_attentions=True)
        letters = self.processor.tokenizer.convert_tokens_to_ids(list(QUESTION.letters))
        return output.logits[0, -1, letters], output.attentions


@pytest.fixture(scope="module", params=list(BUILDERS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, BUILDERS[request.param](tmp_path_factory.mktemp("tiny")))


def recorded(case: Case) -> tuple[list[LayerRecord], AttentionRecord]:
    layers: list[LayerRecord] = []
    record = AttentionRecord(on_layer=layers.append)
    with case.model.record_attention(record), torch.no_grad():
        case.subject.score_tokens(case.tokens)
    return layers, record


@pytest.fixture
def attending(case: Case) -> Case:
    if case.name in HYBRID:
        pytest.skip("its linear layers have no attention")
    return case


def test_prompt_ids_are_the_official_ones(case: Case) -> None:
    found = case.model._prompt(case.subject.question, None)
    assert torch.equal(found.ids, case.inputs["input_ids"][0])
    assert len(found.visual) == case.subject.grid.tokens == case.tokens.shape[1]


def test_logprobs_are_those_of_the_official_processor_and_the_plain_forward(case: Case) -> None:
    logits, _ = case.plain
    expected = torch.log_softmax(logits.detach(), dim=0)
    assert float(expected.std()) > 0.05
    torch.testing.assert_close(case.subject.logprobs, expected, atol=1e-5, rtol=0)


def test_rows_of_every_layer_are_those_of_eager_attention(attending: Case) -> None:
    layers, record = recorded(attending)
    _, maps = attending.plain
    assert record.answer_rows == (maps[0].shape[2] - 1,) and len(layers) == len(maps)
    for layer, expected in zip(layers, maps, strict=True):
        found = flows.rows(layer, 0, expected.shape[2])
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)


def test_rollout_and_relevance_are_those_of_stored_maps(attending: Case) -> None:
    logits, maps = attending.plain
    logprobs = torch.log_softmax(logits, dim=0)
    chosen = int(logprobs.argmax())
    score = logprobs[chosen] - torch.logsumexp(logprobs[[i for i in range(3) if i != chosen]], dim=0)
    slopes = torch.autograd.grad(score, maps, retain_graph=True)
    rollout = relevance = torch.zeros(maps[0].shape[2]).index_fill(0, torch.tensor([maps[0].shape[2] - 1]), 1.0)
    for attention, slope in zip(reversed(maps), reversed(slopes), strict=True):
        rollout = (rollout + rollout @ attention.detach()[0].mean(dim=0)) / 2
        relevance = relevance + relevance @ (attention.detach() * slope)[0].clamp(min=0).mean(dim=0)
    visual = attending.model._prompt(attending.subject.question, None).visual
    for name, row in (("attention_rollout", rollout), ("relevance", relevance)):
        found = registry.get("methods", name)().attribute(attending.subject).values
        expected = attending.subject.grid.to_volume(row[visual]).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_a_clip_that_does_not_change_keeps_all_its_tokens(case: Case) -> None:
    frames = np.broadcast_to(case.clip.frames[:1], case.clip.frames.shape).copy()
    subject = Subject.bind(case.model, replace(case.clip, frames=frames), QUESTION)
    assert len(case.model._prompt(subject.question, None).visual) == case.subject.grid.tokens
    assert bool(torch.isfinite(subject.logprobs).all())


def test_each_cell_moves_its_own_token_most(case: Case) -> None:
    """Noise in one cell of one step; the tower mixes places, so what is set to 0 is its attention."""
    grid, pixels = case.subject.grid, case.subject.pixels
    rows, columns = pixels.shape[2] // grid.rows, pixels.shape[3] // grid.columns
    generator = torch.Generator().manual_seed(0)
    versions = []
    for step in range(grid.steps):
        for row in range(grid.rows):
            for column in range(grid.columns):
                frames = slice(step * grid.frames_per_step, (step + 1) * grid.frames_per_step)
                place = (slice(row * rows, (row + 1) * rows), slice(column * columns, (column + 1) * columns))
                version = pixels.clone()
                version[frames, :, place[0], place[1]] = torch.rand(
                    version[frames, :, place[0], place[1]].shape, generator=generator
                )
                versions.append(version)
    with torch.no_grad():
        changed = torch.cat([case.model.encode(version[None]) for version in versions])
    moved = (changed - case.tokens).norm(dim=2).argmax(dim=1)
    assert (moved == torch.arange(grid.tokens)).float().mean() >= 0.95


def test_places_of_the_tower_lie_in_their_cells(case: Case) -> None:
    """A cell's noise changes a block's output at the places within the cell most, and putting back is the inverse."""
    grid, pixels, shot = case.subject.grid, case.subject.pixels, case.subject.shot
    layers = case.model.vision_layers()
    seen: dict[str, Tensor] = {}
    names = [next(iter(layers)), list(layers)[-1]]
    handles = [layers[n].register_forward_hook(lambda _, __, out, n=n: seen.update({n: out})) for n in names]  # type: ignore[misc]
    cell = (grid.steps - 1, grid.rows - 1, 1)
    version = pixels.clone()
    height, width = pixels.shape[2] // grid.rows, pixels.shape[3] // grid.columns
    part = version[cell[0] * grid.frames_per_step :, :, cell[1] * height :, width : 2 * width]
    part.copy_(torch.rand(part.shape, generator=torch.Generator().manual_seed(1)))
    maps = []
    with torch.no_grad():
        for each in (pixels, version):
            case.model._watched = True  # the whole clip at once, as with gradients
            case.model.option_logprobs(each[None], case.subject.question)
            case.model._watched = False
            maps.append({name: case.model.feature_map(name, seen[name], shot) for name in names})
    for handle in handles:
        handle.remove()
    for name in names:
        assert torch.equal(case.model.from_feature_map(name, maps[1][name], seen[name], shot), seen[name])
    change = (maps[1][names[0]] - maps[0][names[0]]).norm(dim=1)
    at = np.unravel_index(int(change.argmax()), change.shape)
    middle = (at[1] + 0.5) / change.shape[1] * grid.rows, (at[2] + 0.5) / change.shape[2] * grid.columns
    assert (at[0], int(middle[0]), int(middle[1])) == cell


def test_dropped_tokens_do_not_matter_and_keeping_all_changes_nothing(case: Case) -> None:
    question, count = case.subject.question, case.tokens.shape[1]
    with torch.no_grad():
        whole = case.model.score_tokens(case.tokens, question)
        assert torch.equal(case.model.score_tokens(case.tokens, question, torch.ones(count, dtype=torch.bool)), whole)
        keep = torch.rand(count, generator=torch.Generator().manual_seed(2)) < 0.5
        noisy = torch.where(keep[None, :, None], case.tokens, torch.randn_like(case.tokens))
        kept, other = (case.model.score_tokens(tokens, question, keep) for tokens in (case.tokens, noisy))
    assert torch.equal(kept, other)
    assert float((kept - whole).abs().max()) > 1e-3


def test_steps_and_batches_are_encoded_alike(case: Case) -> None:
    each, pixels = case.subject.grid.frames_per_step, case.subject.pixels
    with torch.no_grad():
        alone = torch.cat([case.model.encode_steps(step[None])[0] for step in pixels.split(each)])
        both = torch.stack([pixels, 1 - pixels])
        together = case.model.option_logprobs(both, case.subject.question)
        apart = torch.cat([case.model.option_logprobs(one[None], case.subject.question) for one in both])
    torch.testing.assert_close(alone, case.tokens[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_gradients_are_slopes(case: Case) -> None:
    """Directional derivative against central differences, in float64."""
    subject = replace(case.subject, model=models.load(str(case.folder), dtype="float64"))
    pixels = subject.pixels[None].double().requires_grad_()
    (slope,) = torch.autograd.grad(subject.score(pixels).sum(), pixels)
    assert (slope[0].abs().amax(dim=(1, 2, 3)) > 0).all()
    direction, step = slope / slope.norm(), 1e-3
    with torch.no_grad():
        ends = [float(subject.score(pixels + sign * step * direction)) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(slope.norm()), rel=0.03)


def test_a_knockout_of_all_visual_tokens_hides_the_video(attending: Case) -> None:
    asked = attending.model._prompt(attending.subject.question, None)
    every = (*asked.visual.tolist(), *asked.extra.tolist())
    rows = tuple(row for row in range(len(asked.ids)) if row > min(every) and row not in every)
    other = torch.randn_like(attending.tokens)
    with torch.no_grad(), attending.model.knock_out(Knockout(every, rows)):
        one, two = (attending.subject.score_tokens(tokens) for tokens in (attending.tokens, other))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    plain = attending.subject.score_tokens(other)
    assert float((plain - attending.subject.score_tokens(attending.tokens)).abs()) > 1e-3


def test_shares_of_a_conserving_rule_add_up_to_the_logit_difference(attending: Case) -> None:
    model = attending.model
    contrast = attending.subject.aimed(Target("contrast", (0, 1)))
    biases = [each for name, each in model.module.named_parameters() if name.endswith("bias")]
    before = [each.clone() for each in biases]
    with torch.no_grad():
        for each in biases:
            each.zero_()
    learnt = list(model.module.model.parameters(recurse=False))  # type: ignore[union-attr, operator]  # as a newline
    try:
        asked = model._prompt(contrast.question, None)
        embedding, kept = model.module.get_input_embeddings(), list[Tensor]()
        handle = embedding.register_forward_hook(lambda _, __, out: (kept.append(out.requires_grad_()), out)[1])
        tokens = attending.tokens.detach().clone().requires_grad_()
        with torch.enable_grad(), propagating(model.module, "cp"):
            for each in learnt:
                each.requires_grad_()
            score = contrast.score_tokens(tokens)
            inputs = [tokens, kept[0], *learnt]
            shares = torch.autograd.grad(score.sum(), inputs, materialize_grads=True)
        handle.remove()
        own = [(each.detach() * share).sum(dim=-1) for each, share in zip(inputs, shares, strict=True)]
        text = torch.ones(len(asked.ids), dtype=torch.bool)
        text[asked.visual] = False
        found = float(own[0].sum() + own[1][0, text].sum() + sum(each.sum() for each in own[2:]))
        assert found == pytest.approx(float(score), rel=1e-3, abs=1e-5)
    finally:
        for each in learnt:
            each.requires_grad_(False)
        with torch.no_grad():
            for each, value in zip(biases, before, strict=True):
                each.copy_(value)


def test_every_parameter_is_in_one_block_and_is_given_back(case: Case) -> None:
    blocks = case.model.parameter_blocks()
    found = [id(each) for part in blocks.values() for block in part.values() for each in block]
    assert sorted(found) == sorted(id(each) for each in case.model.module.parameters())
    before = {name: value.clone() for name, value in case.model.module.state_dict().items()}
    with randomised(blocks["vision"], 0), torch.no_grad():
        assert float((case.model.encode(case.subject.pixels[None]) - case.tokens).abs().max()) > 1e-3
    assert all(torch.equal(value, before[name]) for name, value in case.model.module.state_dict().items())


def test_free_answers_are_those_of_plain_generation(case: Case) -> None:
    question = replace(case.subject.question, options=())
    inputs = case.official(question.text)
    whole = case.network.generate(**inputs, do_sample=False, max_new_tokens=6)[0]
    ids = whole[inputs["input_ids"].shape[1] :].tolist()
    end = case.processor.tokenizer.eos_token_id
    expected = ids[: ids.index(end)] if end in ids else ids
    if case.model.family.placeholder in expected:
        pytest.skip("its random weights answer with a placeholder")
    assert list(case.model.generate(case.subject.pixels, question).ids) == expected


@pytest.mark.parametrize("name", ["attention_rollout", "relevance", "raw_attention"])
def test_hybrid_decoders_are_refused_by_what_needs_every_layer(case: Case, name: str) -> None:
    if case.name not in HYBRID:
        pytest.skip("each of its layers attends")
    with pytest.raises(UnsupportedModel, match=HYBRID[case.name]):
        registry.get("methods", name)().attribute(case.subject)


def test_a_frame_that_normalises_to_zero_has_its_tokens(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SmolVLM takes frames of zeros for padding; one nearly grey must have the same tokens as one exactly grey."""
    case = Case("smolvlm", BUILDERS["smolvlm"](tmp_path_factory.mktemp("tiny")))
    pixels = case.subject.pixels[None].clone()
    pixels[:, 2] = 0.5
    near = pixels.clone()
    near[:, 2] += 1e-6
    with torch.no_grad():
        exact, other = (case.model.option_logprobs(each, case.subject.question) for each in (pixels, near))
        tokens = case.model.encode(pixels)
    assert tokens.shape == case.tokens.shape
    torch.testing.assert_close(exact, other, atol=1e-3, rtol=0)
