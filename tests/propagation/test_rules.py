"""Rules of relevance: conserved in decoders of many families, equal to messages between full matrices, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.activations import ACT2FN

from attrib.errors import UnsupportedModel
from attrib.propagation.rules import Rule, propagating

RULES: tuple[Rule, ...] = ("cp", "libra", "attnlrp")
WIDTH, LENGTH = 32, 6


def decoder(kind: str, attention: str = "sdpa", seed: int = 0, **changes: Any) -> Any:
    """A tiny decoder of a family in float64, its weights large enough for attention to differ, its biases zero."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 40, "pad_token_id": 0, "bos_token_id": 1,
             "eos_token_id": 2}  # fmt: skip
    network = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **{**sizes, **changes}), attn_implementation=attention
    )
    generator = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.2
        if name.endswith("bias"):
            weight.data.zero_()
        elif weight.ndim == 1 and not kind.startswith("gemma"):
            weight.data += 1
    return network.double().eval().requires_grad_(False)


def shares(network: Any, rule: Rule | None, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Embedding times gradient of every token, (n, d), and the difference of two logits that they explain."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(1, LENGTH, network.config.hidden_size, generator=generator, dtype=torch.float64)
    tokens.requires_grad_()
    with propagating(network, rule) if rule else torch.enable_grad():
        logits = network(inputs_embeds=tokens, use_cache=False).logits[0, -1]
    score = logits[3] - logits[5]
    (gradient,) = torch.autograd.grad(score, tokens)
    return (tokens * gradient)[0].detach(), score.detach()


# Plain norms and gated layers; norms of queries and keys; factors 1 + w and caps of logits; fused gates; no gates.
FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "glm4", "olmo2", "gpt_neox", "starcoder2")


@pytest.mark.parametrize("kind", FAMILIES)
def test_shares_of_all_tokens_add_up_to_the_logit_difference(kind: str) -> None:
    """For CP-LRP and Libragrad; AttnLRP's softmax keeps a part for itself."""
    network = decoder(kind, "eager" if kind == "gemma2" else "sdpa")
    plain, score = shares(network, None)
    assert float(plain.sum()) != pytest.approx(float(score), rel=1e-2)
    for rule in ("cp", "libra"):
        found, same = shares(network, rule)  # type: ignore[arg-type]
        assert torch.equal(same, score)
        assert float(found.sum()) == pytest.approx(float(score), rel=1e-5)


def test_experts_are_gates_too() -> None:
    network = decoder("qwen3_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16).float()
    tokens = torch.randn(1, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for rule in ("cp", "libra"):
        with propagating(network, rule):  # type: ignore[arg-type]
            logits = network(inputs_embeds=tokens, use_cache=False).logits[0, -1]
        (gradient,) = torch.autograd.grad(logits[3] - logits[5], tokens)
        score = (logits[3] - logits[5]).detach()
        assert float((tokens * gradient).sum().detach()) == pytest.approx(float(score), rel=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_attention_by_hand_and_fused_follow_the_same_rule(kind: str, rule: Rule) -> None:
    (fused, _), (eager, _) = (shares(decoder(kind, attention), rule) for attention in ("sdpa", "eager"))
    torch.testing.assert_close(fused, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["llama", "phi3"])
def test_the_rules_differ_as_their_papers_say(kind: str) -> None:
    maps = [shares(decoder(kind), rule)[0] for rule in RULES]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert float((maps[first] - maps[second]).abs().max()) > 1e-2 * float(maps[first].abs().max())


# --- one layer as messages of relevance between full matrices (no gradients): R_i = x_i W_ji R_j / z_j ---


def through(x: np.ndarray, weight: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """The basic rule of a linear layer: (n, i), (j, i), (n, j) -> (n, i)."""
    outputs = x @ weight.T
    messages = x[:, None, :] * weight[None] / outputs[:, :, None] * relevance[:, :, None]
    return messages.sum(axis=1)


def normalised(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * weight


def rotation(position: int, size: int) -> np.ndarray:
    """Rotary embedding of one position as a matrix."""
    half, matrix = size // 2, np.zeros((size, size))
    for k in range(half):
        angle = position * 10_000 ** (-2 * k / size)
        matrix[k, k] = matrix[k + half, k + half] = math.cos(angle)
        matrix[k, k + half], matrix[k + half, k] = -math.sin(angle), math.sin(angle)
    return matrix


def messages(network: Any, tokens: np.ndarray, rule: Rule) -> np.ndarray:
    """Relevance of the tokens (n, d) of a Llama of one layer with two query heads, one key head and no biases."""
    weights = {name: weight.numpy() for name, weight in network.named_parameters()}
    layer = {name.removeprefix("model.layers.0."): weight for name, weight in weights.items()}
    query, key, value = (layer[f"self_attn.{part}_proj.weight"] for part in "qkv")
    before = normalised(tokens, layer["input_layernorm.weight"])
    size, count = len(key), len(tokens)
    turned = [rotation(position, size) for position in range(count)]
    keys = np.stack([turned[j] @ (key @ before[j]) for j in range(count)])
    values = before @ value.T
    queries = [np.stack([turned[i] @ (query[h * size :][:size] @ before[i]) for i in range(count)]) for h in (0, 1)]
    scores = [np.where(np.tri(count) > 0, q @ keys.T / math.sqrt(size), -np.inf) for q in queries]
    attention = [np.exp(s) / np.exp(s).sum(axis=1, keepdims=True) for s in scores]
    heads = np.concatenate([a @ values for a in attention], axis=1)
    middle = tokens + heads @ layer["self_attn.o_proj.weight"].T
    inner = normalised(middle, layer["post_attention_layernorm.weight"])
    gate, up = (inner @ layer[f"mlp.{part}_proj.weight"].T for part in ("gate", "up"))
    product = gate / (1 + np.exp(-gate)) * up
    fed = product @ layer["mlp.down_proj.weight"].T
    last = normalised(middle + fed, weights["model.norm.weight"])

    head = (weights["lm_head.weight"][3] - weights["lm_head.weight"][5])[None]
    relevance = np.zeros((count, 1))
    relevance[-1] = last[-1] @ head[0]
    relevance = through(last, head, relevance)  # norms pass relevance on, number by number
    to_fed, to_middle = (part / (middle + fed) * relevance for part in (fed, middle))
    to_product = through(product, layer["mlp.down_proj.weight"], to_fed)
    to_gate, to_up = (0, to_product) if rule == "cp" else (to_product / 2, to_product / 2)
    to_inner = through(inner, layer["mlp.up_proj.weight"], to_up)
    if rule != "cp":
        to_inner = to_inner + through(inner, layer["mlp.gate_proj.weight"], to_gate)
    to_middle = to_middle + to_inner
    attended = middle - tokens
    result = tokens / middle * to_middle
    to_heads = through(heads, layer["self_attn.o_proj.weight"], attended / middle * to_middle)
    for h in (0, 1):
        to_head, out = to_heads[:, h * size :][:, :size], attention[h] @ values
        pairs = attention[h][:, :, None] * values[None] / out[:, None] * to_head[:, None]  # of A_ij v_jd, (i, j, d)
        share = 0.5 if rule == "attnlrp" else 1.0
        result = result + through(before, value, share * pairs.sum(axis=0))
        if rule != "attnlrp":
            continue
        to_weights = 0.5 * pairs.sum(axis=2)
        finite = np.where(np.isfinite(scores[h]), scores[h], 0)
        to_scores = finite * (to_weights - attention[h] * to_weights.sum(axis=1, keepdims=True))
        products = queries[h][:, None] * keys[None] / math.sqrt(size)  # of q_id k_jd, (i, j, d)
        parts = products * (to_scores / np.where(finite == 0, 1, finite))[:, :, None]
        for n in range(count):
            for rows, weight, to_turned, own in (
                (parts[n].sum(axis=0) / 2, query[h * size :][:size], queries[h][n], before[n]),
                (parts[:, n].sum(axis=0) / 2, key, keys[n], before[n]),
            ):
                result[n] += own * (weight.T @ turned[n].T @ (rows / to_turned))
    return result


@pytest.mark.parametrize("rule", RULES)
def test_one_layer_equals_messages_between_full_matrices(rule: Rule) -> None:
    network = decoder("llama", num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, hidden_size=8,
                      intermediate_size=6, head_dim=4)  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(1, LENGTH, 8, generator=generator, dtype=torch.float64)[0].numpy()
    found, _ = shares(network, rule)
    np.testing.assert_allclose(found.numpy(), messages(network, tokens, rule), rtol=1e-4, atol=1e-6)


# --- operations by what they do ---


def ruled(function: Callable[[Tensor], Tensor], x: Tensor, rule: Rule = "libra", *networks: nn.Module) -> Tensor:
    """Gradient of the sum of f(x) by the rule."""
    with propagating(nn.Sequential(*networks), rule):
        y = function(x.requires_grad_())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    return gradient


ACTIVATIONS = (
    "silu",
    "gelu",
    "gelu_new",
    "gelu_pytorch_tanh",
    "gelu_fast",
    "quick_gelu",
    "relu",
    "relu2",
    "tanh",
    "mish",
)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_passes_on_output_over_input_however_it_is_written(name: str, rule: Rule) -> None:
    module = ACT2FN[name]
    x = torch.linspace(-3, 3, 14, dtype=torch.float64)
    torch.testing.assert_close(ruled(module, x, rule, module), (module(x) / x).detach())


@pytest.mark.parametrize("function", [functional.silu, functional.gelu, torch.tanh, functional.relu])
def test_a_function_is_an_activation_too(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-3, 3, 14, dtype=torch.float64).view(2, 7)[:, 1:]  # not contiguous
    torch.testing.assert_close(ruled(function, x), (function(x) / x).detach())


def scaled_by_root(x: Tensor, weight: Tensor) -> Tensor:
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def centred_by_hand(x: Tensor, weight: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-6).sqrt() * weight


NORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "w": scaled_by_root,
    "1 + w": lambda x, weight: scaled_by_root(x, 1 + weight),
    "1": lambda x, _: scaled_by_root(x, torch.ones(())),
    "power": lambda x, weight: x * torch.pow(x.square().mean(-1, keepdim=True) + 1e-6, -0.5) * weight,
    "divided": lambda x, weight: weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6),
    "torch": lambda x, weight: functional.rms_norm(x, (8,), weight, 1e-6),
    "centred": lambda x, weight: functional.layer_norm(x, (8,), weight, None, 1e-6),
    "centred by hand": centred_by_hand,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NORMS)
def test_a_norm_has_a_constant_denominator(name: str, rule: Rule) -> None:
    x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    factor = {"1 + w": 1 + weight, "1": torch.ones(8, dtype=torch.float64)}.get(name, weight)
    if name.startswith("centred"):
        root = (x.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
        expected = (factor - factor.mean()) / root
    else:
        expected = factor / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(ruled(lambda x: NORMS[name](x, weight), x, rule), expected)


def test_products_of_two_of_three_and_of_one_with_itself() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
    torch.testing.assert_close(ruled(lambda x: x[0] * x[1], x), torch.tensor([[1.5, 0.25], [0.5, -1.0]]))
    ones, y = torch.ones(2, 2), x.detach()
    torch.testing.assert_close(ruled(lambda x: x @ x, x), (ones @ y.T + y.T @ ones) / 2)
    torch.testing.assert_close(ruled(lambda x: x.square(), x, "cp"), y)
    torch.testing.assert_close(ruled(lambda x: x**3, x), y**2)


def test_a_gate_is_constant_in_cp_whatever_lies_between() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]])

    def gated(x: Tensor) -> Tensor:
        gate, up = (x * 2).chunk(2)
        return functional.silu(gate).to(torch.float64).reshape(-1) * up.reshape(-1)

    expected = torch.stack([torch.zeros(2), 2 * functional.silu(2 * x[0])])
    torch.testing.assert_close(ruled(gated, x, "cp"), expected)
    torch.testing.assert_close(ruled(lambda x: torch.sigmoid(x[0]) * x[1], x, "cp")[1], torch.sigmoid(x[0]).detach())


class Doubled(torch.autograd.Function):
    """An operation that torch's modes do not see."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


UNKNOWN: dict[str, tuple[Rule, Callable[[Tensor], Tensor], str]] = {
    "exponential": ("libra", lambda x: x.exp(), "exp"),
    "softplus": ("attnlrp", functional.softplus, "softplus"),
    "sigmoid gate": ("libra", lambda x: torch.sigmoid(x[0]) * x[1], "sigmoid"),
    "product without gate": ("cp", lambda x: x[0] * x[1], "mul, unless exactly one of its factors is an activation"),
    "two gates": ("cp", lambda x: functional.silu(x[0]) * functional.gelu(x[1]), "mul, unless exactly one"),
    "unit length": ("libra", lambda x: functional.normalize(x), "normalize"),
    "unseen": ("libra", lambda x: Doubled.apply(x) + 0, "an operation that is none of torch's own"),
    "in place": ("libra", lambda x: (2 * x).exp_(), "exp"),
    "mask": ("attnlrp", lambda x: functional.scaled_dot_product_attention(x, x, x, x @ x.T), "an attention mask"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_relevance_through_an_unknown_operation_is_refused(name: str) -> None:
    rule, function, operation = UNKNOWN[name]
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
    with pytest.raises(UnsupportedModel, match=f"lrp: the rules of '{rule}' do not cover {operation}") as caught:
        ruled(function, x, rule)
    assert "\n" not in str(caught.value)
    constant = ruled(lambda x: x * float(function(x).detach().sum()), x.detach(), rule)
    torch.testing.assert_close(constant, function(x).sum().detach().expand_as(x))


def test_linear_attention_is_refused() -> None:
    network = decoder("qwen3_5_text", layer_types=["linear_attention", "full_attention"], linear_num_value_heads=2,
                      linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8)  # fmt: skip
    for rule in RULES:
        with pytest.raises(UnsupportedModel, match="do not cover"):
            shares(network, rule)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_are_the_same_to_the_last_bit(dtype: torch.dtype) -> None:
    for kind in ("llama", "gemma3_text", "gpt_neox"):
        network = decoder(kind).to(dtype)
        tokens = torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
        plain = network(inputs_embeds=tokens, use_cache=False).logits
        for rule in RULES:
            with propagating(network, rule):
                assert torch.equal(network(inputs_embeds=tokens, use_cache=False).logits, plain)


def test_nothing_is_left_after_an_exception() -> None:
    network = decoder("llama")
    before, _ = shares(network, None)
    with pytest.raises(ZeroDivisionError), propagating(network, "libra"):
        _ = 1 / 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(shares(network, None)[0], before)
