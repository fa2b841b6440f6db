"""Every family on a tiny checkpoint in its official layout, by the checks that `attrib check` makes, and by others."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tiny_families
import tiny_glm_gemma
import tiny_square_frames
import torch
from torch import Tensor

from attrib import models, registry
from attrib.attention import flows
from attrib.attention.statistics import tower_statistics
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.errors import InputError, UnsupportedModel
from attrib.models import BUILT_IN
from attrib.models.checking.checks import CHECKS, ModelCheck, compare
from attrib.models.checking.official import Case
from attrib.models.family_model import FamilyModel
from attrib.models.prompting import option_prompt
from attrib.models.randomising import randomised
from attrib.types import Clip

TIMES = (0.033, 0.4, 1.0, 1.71, 2.9)  # uneven, and an odd number of frames
BUILDERS = {**tiny_families.BUILDERS, **tiny_glm_gemma.BUILDERS, **tiny_square_frames.BUILDERS}
UNRULED = {("glm4v_moe", "libra"): "do not cover div", ("glm4v_moe", "attnlrp"): "do not cover div"}  # rules of lrp
HYBRID = {"qwen3_5": "Qwen3_5TextModel: its layers 0, 1, 2 show no attention"}
PROJECTIONS = {"proj", "out_proj", "o_proj", "projection_layer"}  # after a vision layer's attention
TOWERS = {"qwen2_5_vl": "does not attend frame by frame", "gemma4": "pads its patches"}
CROPPED = {"llava_next_video"}  # takes square clips
EVERY_LAYER = {"attention rows", "rollout", "relevance", "knock-out hides", "knock-out changes"}  # need all to attend
REFUSED = {**{(family, check): reason for family, reason in HYBRID.items() for check in EVERY_LAYER},
           **{(family, "lrp shares"): "the rules of 'cp' do not cover" for family in HYBRID}}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FamilyCase(Case):
    """A family's tiny checkpoint."""

    name: str = ""


def made(name: str, tmp_path_factory: pytest.TempPathFactory) -> FamilyCase:
    size = (60, 60) if name in CROPPED else (50, 70)
    frames = np.random.default_rng(0).integers(0, 256, (len(TIMES), *size, 3), dtype=np.uint8)
    model = models.load(str(BUILDERS[name](tmp_path_factory.mktemp("tiny"))))
    assert isinstance(model, FamilyModel)
    return FamilyCase(model, Clip(frames, np.array(TIMES), 3.3), name=name)


@pytest.fixture(scope="module", params=list(BUILDERS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FamilyCase:
    return made(request.param, tmp_path_factory)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_it_holds(case: FamilyCase, check: ModelCheck) -> None:
    """By the official processor and the plain network; refused only where a reason is known."""
    found = compare(check, case)
    if (case.name, check.name) in REFUSED:
        assert found.verdict == "refused" and REFUSED[case.name, check.name] in found.reason
    else:
        assert found.verdict == "holds", found


def test_every_prompt_ends_with_the_same_token(case: FamilyCase) -> None:
    """So that letters and given answers are tokenised as what continues it."""
    asked = case.model._prompt(case.subject.question, None)
    assert case.model._last == asked.ids[-1]


def test_a_clip_that_does_not_change_keeps_all_its_tokens(case: FamilyCase) -> None:
    frames = np.broadcast_to(case.clip.frames[:1], case.clip.frames.shape).copy()
    still = Case(case.model, replace(case.clip, frames=frames))
    assert len(still.prompt.visual) == case.subject.grid.tokens
    assert bool(torch.isfinite(still.subject.logprobs).all())


def test_places_of_the_tower_lie_in_their_cells(case: FamilyCase) -> None:
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


@torch.no_grad()
def test_the_lens_reads_the_users_words_after_the_video(case: FamilyCase) -> None:
    lens = case.model.token_lens(case.tokens, case.subject.question, case.model.reply("left"))
    assert case.processor.tokenizer.decode(lens.ids).strip() == option_prompt(case.question) + "left"
    plain = case.network(**case.asked).logits[0, case.asked["input_ids"][0] == case.model.family.placeholder]
    torch.testing.assert_close(lens.visual, plain[: len(lens.visual), list(lens.ids)], atol=1e-4, rtol=1e-4)


def test_a_question_with_any_reserved_token_is_refused(case: FamilyCase) -> None:
    tokenizer = case.processor.tokenizer
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    for token in added - {tokenizer.unk_token}:
        with pytest.raises(InputError, match="reserves"):
            case.model.text_tokens(replace(case.subject.question, text=f"Which {token}?"))


def test_steps_are_encoded_alike(case: FamilyCase) -> None:
    each, pixels = case.subject.grid.frames_per_step, case.subject.pixels
    with torch.no_grad():
        alone = torch.cat([case.model.encode_steps(step[None])[0] for step in pixels.split(each)])
    torch.testing.assert_close(alone, case.tokens[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rule", ["cp", "libra", "attnlrp"])
def test_rules_of_relevance_propagation_run_or_are_refused(case: FamilyCase, rule: str) -> None:
    reason = UNRULED.get((case.name, rule), "do not cover" if case.name in HYBRID else "")
    method = registry.get("methods", "lrp")(rule=rule)
    if reason:
        with pytest.raises(UnsupportedModel, match=reason):
            method.attribute(case.subject)
    else:
        found = method.attribute(case.subject).values
        assert np.isfinite(found).all() and np.abs(found).sum() > 0


FEW: dict[str, dict[str, Any]] = {  # methods with what makes them quick
    "rise": {"samples": 4, "space": "tokens", "baseline": "dropped"}, "grad_eclip": {},
    "shapley": {"players": "frames", "forwards": 1, "space": "tokens", "baseline": "mean_token"},
    "mask_optimisation": {"areas": (0.1,), "steps": 2}, "greedy_regions": {"cells": 1, "regions": 2},
    "prompt_contrast": {"name": "saliency", "arguments": {"space": "tokens"}},
}  # fmt: skip


@pytest.mark.parametrize("name", FEW)
def test_methods_explain_every_family_or_are_refused(case: FamilyCase, name: str) -> None:
    method = registry.get("methods", name)(**FEW[name])
    if name == "grad_eclip" and case.name in HYBRID:
        with pytest.raises(UnsupportedModel, match=HYBRID[case.name]):
            method.attribute(case.subject)
        return
    found = method.attribute(case.subject)
    assert np.isfinite(found.values).all() and np.ptp(found.values) > 0
    assert found.provenance.reports.get("completeness_error", 0) < 1e-3


def test_the_vision_encoders_attention_gives_its_own_output(case: FamilyCase) -> None:
    """Recorded rows times values are what each layer projects; the tokens stay the same to the last bit."""
    tower, layers, projected = case.model.family.tower(), list[LayerRecord](), dict[int, Tensor]()
    handles = []
    for index, block in enumerate(tower.blocks):
        named = [(name.split("."), part) for name, part in block.named_modules()]
        (last,) = [part for name, part in named if name[-1] in PROJECTIONS and "att" in name[0]]
        handles.append(last.register_forward_pre_hook(lambda _, given, at=index: projected.update({at: given[0]})))
    record = AttentionRecord(on_layer=layers.append)
    try:
        with torch.no_grad(), case.model.record_vision_attention(record, case.subject.shot):
            refused = TOWERS.get(case.name)
            with pytest.raises(UnsupportedModel, match=refused) if refused else nullcontext():
                tokens = case.model.encode(case.subject.pixels[None])
    finally:
        for handle in handles:
            handle.remove()
    assert torch.equal(case.model.encode(case.subject.pixels[None]), case.tokens)
    if refused:
        return
    assert torch.equal(tokens, case.tokens) and [layer.index for layer in layers] == list(range(len(tower.blocks)))
    for layer in layers:
        rows = flows.rows(layer, 0, layer.query.shape[2])
        found = (rows @ layer.value).transpose(1, 2).flatten(2)
        torch.testing.assert_close(found, projected[layer.index].reshape(found.shape), rtol=1e-3, atol=1e-4)
    statistics = tower_statistics(case.subject)
    assert statistics.attention.shape[2:] == (case.subject.grid.steps, *record.cells)
    assert float(statistics.visual_mass.max()) <= 1 + 1e-5


def test_every_parameter_is_in_one_block_and_is_given_back(case: FamilyCase) -> None:
    blocks = case.model.parameter_blocks()
    found = [id(each) for part in blocks.values() for block in part.values() for each in block]
    assert sorted(found) == sorted(id(each) for each in case.model.module.parameters())
    before = {name: value.clone() for name, value in case.model.module.state_dict().items()}
    tokens = case.tokens  # computed at its first use, which must not be by the random network
    with randomised(blocks["vision"], 0), torch.no_grad():
        assert float((case.model.encode(case.subject.pixels[None]) - tokens).abs().max()) > 1e-3
    assert all(torch.equal(value, before[name]) for name, value in case.model.module.state_dict().items())


@pytest.mark.parametrize("family", HYBRID)
def test_hybrid_decoders_are_refused_by_what_needs_every_layer(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = made(family, tmp_path_factory)
    for method in ("attention_rollout", "relevance", "raw_attention"):
        with pytest.raises(UnsupportedModel, match=HYBRID[family]):
            registry.get("methods", method)().attribute(case.subject)


def test_every_family_but_that_of_the_first_built_in_model_has_a_tiny_checkpoint() -> None:
    families = {name: registry.get("models", name) for name in registry.names("models") if name not in BUILT_IN}
    tested = {families[name] for name in BUILDERS}
    assert {name for name, family in families.items() if family not in tested} == {"perception_lm"}


def test_a_frame_that_normalises_to_zero_has_its_tokens(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SmolVLM takes frames of zeros for padding; one nearly grey must have the same tokens as one exactly grey."""
    case = made("smolvlm", tmp_path_factory)
    pixels = case.subject.pixels[None].clone()
    pixels[:, 2] = 0.5
    near = pixels.clone()
    near[:, 2] += 1e-6
    with torch.no_grad():
        exact, other = (case.model.option_logprobs(each, case.subject.question) for each in (pixels, near))
        tokens = case.model.encode(pixels)
    assert tokens.shape == case.tokens.shape
    torch.testing.assert_close(exact, other, atol=1e-3, rtol=0)


def test_a_clip_whose_sides_would_be_cut_off_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    case = made("llava_next_video", tmp_path_factory)
    wide = Clip(np.zeros((2, 50, 75, 3), np.uint8), np.arange(2.0), 2.0)
    with pytest.raises(InputError, match="would cut frames of 72 x 48 pixels to the 48 x 48 in their centre"):
        case.model.preprocess(wide)
