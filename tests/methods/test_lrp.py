"""Layer-wise relevance propagation: complete where theory says so, bit-identical forward, nothing left behind."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attrib.methods.lrp import LRP
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.propagation.rules import Rule, propagating
from attrib.subject import Subject, Target
from attrib.testing import CELL, ToyModel, check_method, toy_subject


@pytest.fixture
def contrast(subject: Subject) -> Subject:
    """Option 2 against option 0: its score is a difference of two logits, which are linear once repaired."""
    return Subject.bind(subject.model, subject.clip, subject.question, Target.parse("contrast:2,0"))


CONSERVING: tuple[Rule, ...] = ("cp", "libra")
RULES: tuple[Rule, ...] = (*CONSERVING, "attnlrp")


def whole_sequence(subject: Subject, tokens: Tensor, rule: Rule | None) -> Tensor:
    """Embedding times gradient of every token of the decoder's sequence, text included, (n,)."""
    model: Any = subject.model
    kept: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        kept.append(kwargs["inputs_embeds"].detach().requires_grad_())
        return args, {**kwargs, "inputs_embeds": kept[0]}

    handle = model.module.model.language_model.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with propagating(model.module, rule) if rule else nullcontext():
            score = subject.score_tokens(tokens)
        (gradient,) = torch.autograd.grad(score.sum(), kept[0])
    finally:
        handle.remove()
    return (kept[0] * gradient)[0].sum(dim=1).detach()


@pytest.mark.parametrize("rule", RULES)
def test_shares_of_all_tokens_add_up_to_the_score(contrast: Subject, rule: Rule) -> None:
    """Those of AttnLRP and of plain gradients do not; the visual tokens' part is the method's map."""
    tokens = contrast.model.encode(contrast.pixels[None])
    score = float(contrast.score_tokens(tokens))
    shares = whole_sequence(contrast, tokens, rule)
    if rule in CONSERVING:
        assert float(shares.sum()) == pytest.approx(score, rel=1e-4)
    for other in ("attnlrp", None):
        assert abs(float(whole_sequence(contrast, tokens, other).sum()) - score) > 0.1 * abs(score)  # type: ignore[arg-type]
    found = LRP(rule).values(contrast)
    visual = contrast.model._prompt(contrast.question, None).visual  # type: ignore[attr-defined]
    torch.testing.assert_close(found.flatten(), shares[visual], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rule", CONSERVING)
def test_a_log_odds_of_three_follows_its_own_slopes(subject: Subject, rule: Rule) -> None:
    """The score is no difference of logits then: the sum is the logits weighted by the score's slope at each."""
    model, logits = subject.model, list[Tensor]()
    assert isinstance(model, FamilyModel)
    tokens = model.encode(subject.pixels[None])
    handle = model.module.lm_head.register_forward_hook(lambda _, __, output: logits.append(output))  # type: ignore[union-attr, operator]
    shares = whole_sequence(subject, tokens, rule)
    handle.remove()
    letters = model._letters(subject.question)
    at = logits[0].detach()[:, letters].requires_grad_()
    (slope,) = torch.autograd.grad(subject.log_odds(torch.log_softmax(at, dim=-1)).sum(), at)
    assert float(shares.sum()) == pytest.approx(float((slope * at).detach().sum()), rel=1e-4)


@pytest.fixture
def homogeneous(subject: Subject) -> Subject:
    """The same model without biases and learned offsets, so that the tower too has nothing but its input."""
    family = subject.model.family  # type: ignore[attr-defined]
    model = FamilyModel(PerceptionLM(copy.deepcopy(family.network), family.processor), "homogeneous")
    for name, weight in model.module.named_parameters():
        if name.endswith("bias") or "pos_embed" in name or "cls_token" in name:
            weight.data.zero_()
    return replace(subject, model=model)


def test_tower_and_projector_are_complete(homogeneous: Subject) -> None:
    """Normalised pixels times the gradient of any linear reading of the tokens is that reading."""
    model = homogeneous.model
    reading = torch.randn(model.encode(homogeneous.pixels[None]).shape, generator=torch.Generator().manual_seed(0))
    normalised = (2 * homogeneous.pixels[None] - 1).requires_grad_()
    for rule in (*CONSERVING, None):
        with propagating(model.module, rule) if rule else nullcontext():
            value = (reading * model.encode((normalised + 1) / 2)).sum()
        (gradient,) = torch.autograd.grad(value, normalised)
        total = float((normalised * gradient).sum().detach())
        assert (total == pytest.approx(float(value.detach()), rel=1e-3)) == (rule is not None)


@pytest.mark.parametrize("rule", RULES)
def test_pixels_are_the_product_by_hand(subject: Subject, rule: Rule) -> None:
    pixels = subject.pixels[None].clone().requires_grad_()
    with propagating(subject.model.module, rule):
        score = subject.score(pixels).sum()
    (gradient,) = torch.autograd.grad(score, pixels)
    expected = (pixels * gradient).sum(dim=2)[0].detach()
    torch.testing.assert_close(LRP(rule, "pixels").values(subject), expected)
    assert float(expected.abs().max()) > 1e-6


@pytest.mark.parametrize("rule", CONSERVING)
@pytest.mark.parametrize("sharpness", [0.0, 6.0])
def test_toy_is_complete_from_tokens_and_from_pixels(sharpness: float, rule: Rule) -> None:
    """Its logits are linear once attention is constant, and its two options' log-odds are their difference."""
    subject = toy_subject(ToyModel(sharpness))
    score = float(subject.score(subject.pixels[None]))
    tokens, pixels = (LRP(rule, space).values(subject) for space in ("tokens", "pixels"))  # type: ignore[arg-type]
    assert float(tokens.sum()) == pytest.approx(score, rel=1e-5)
    pooled = torch.nn.functional.avg_pool2d(pixels[:, None], CELL)[:, 0] * CELL**2
    torch.testing.assert_close(pooled, tokens, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_forward_is_the_same_to_the_last_bit(
    checkpoint: Any, subject: Subject, dtype: torch.dtype, rule: Rule
) -> None:
    model = load_family(PerceptionLM, checkpoint, dtype=str(dtype).removeprefix("torch."))
    pixels = subject.pixels[None].clone().requires_grad_()
    plain = model.option_logprobs(pixels, subject.question)
    with propagating(model.module, rule):
        ruled = model.option_logprobs(pixels, subject.question)
    assert torch.equal(plain, ruled)
    assert ruled.requires_grad


def test_the_model_is_clean_after_an_exception(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Tensor:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as context:
        context.setattr(Subject, "score_tokens", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            LRP().values(subject)
    assert not any(module._forward_hooks for module in subject.model.module.modules())
    tokens = subject.model.encode(subject.pixels[None]).requires_grad_()
    first, second = (torch.autograd.grad(subject.score_tokens(tokens).sum(), tokens)[0] for _ in range(2))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("rule", RULES)
def test_pixels_keep_the_contract(rule: Rule) -> None:
    check_method(LRP(rule, "pixels"))


def test_unknown_rules_and_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="rule: unknown value 'attn'; did you mean 'attnlrp'"):
        LRP("attn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="did you mean 'tokens'"):
        LRP(space="token")  # type: ignore[arg-type]
