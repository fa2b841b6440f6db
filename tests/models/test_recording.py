"""The shared hook on plain transformers decoders, float64, against an attention function that stores full matrices.

Batches with left padding, sliding windows and grouped-query heads; the reference makes its masks by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    MistralModel,
    Qwen2Config,
    Qwen2Model,
)

from attrib.attention import flows
from attrib.attention_record import AttentionRecord, Knockout, LayerRecord, sinks
from attrib.errors import InputError
from attrib.models import recording
from attrib.models.recording import watching

BATCH, TOKENS, PADDING, WINDOW, LAYERS, HEADS = 2, 300, 31, 70, 3, 4
SIZES: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": 2, "initializer_range": 0.3, "attn_implementation": "sdpa",
}  # fmt: skip
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaModel(LlamaConfig(**SIZES)),
    "mistral": lambda: MistralModel(MistralConfig(**SIZES, sliding_window=WINDOW)),
    "qwen2": lambda: Qwen2Model(Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=WINDOW,
                                            layer_types=["full_attention", *["sliding_attention"] * 2])),
}  # fmt: skip
stored: list[Tensor] = []
allowed: list[Tensor] = []  # of each layer, (b, 1, n, n)


def storing(module: Any, query: Tensor, key: Tensor, value: Tensor, _: Any, scaling: float, **__: Any) -> Any:
    """Plain softmax attention whose probabilities stay in the graph."""
    layer = module.layer_idx
    key, value = (part[:, [head // 2 for head in range(HEADS)]] for part in (key, value))
    logits = (query @ key.mT * scaling).masked_fill(~allowed[layer], -1e30)
    stored.append(logits.softmax(-1) * allowed[layer])
    return (stored[-1] @ value).transpose(1, 2), None


AttentionInterface.register("storing", storing)


@dataclass
class Case:
    network: Any
    embedded: Tensor
    mask: Tensor
    reader: Tensor

    def score(self) -> Tensor:
        hidden = self.network(inputs_embeds=self.embedded, attention_mask=self.mask, use_cache=False).last_hidden_state
        return (hidden[:, -1] @ self.reader).sum()


def make(family: str, padding: int, dtype: torch.dtype = torch.float64) -> Case:
    torch.manual_seed(5)
    network = FAMILIES[family]().to(dtype).eval().requires_grad_(False)
    mask = torch.ones(BATCH, TOKENS, dtype=torch.long)
    mask[1, :padding] = 0
    embedded, reader = (torch.randn(*shape, dtype=torch.float64).to(dtype) for shape in ((BATCH, TOKENS, 32), (32,)))
    return Case(network, embedded, mask, reader)


@pytest.fixture(scope="module", params=[(name, pad) for name in FAMILIES for pad in (0, PADDING)], ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return make(*request.param)


def reference(case: Case) -> tuple[list[Tensor], list[Tensor]]:
    """(probabilities, their gradients) of each layer."""
    causal = torch.ones(TOKENS, TOKENS).tril().bool()
    near = causal & torch.ones(TOKENS, TOKENS).triu(-WINDOW + 1).bool()
    kinds = getattr(case.network.config, "layer_types", None) or ["full_attention"] * LAYERS
    windowed = isinstance(case.network, MistralModel)
    shown = case.mask.bool()[:, None, None]
    allowed[:] = [(near if windowed or kind == "sliding_attention" else causal) & shown for kind in kinds]
    stored.clear()
    case.network.set_attn_implementation("storing")
    try:
        embedded = case.embedded
        case.embedded = embedded.clone().requires_grad_()
        slopes = torch.autograd.grad(case.score(), stored)
    finally:
        case.embedded = embedded
        case.network.set_attn_implementation("sdpa")
    return [part.detach() for part in stored], list(slopes)


def seen(case: Case, **settings: Any) -> tuple[list[Tensor], Tensor]:
    """(rollout of the maps as seen, relevance) by the engine."""
    layers: list[LayerRecord] = []
    record = AttentionRecord(on_layer=layers.append, answer_rows=(TOKENS - 1,), **settings)
    relevance = flows.Recursion(record, flows.relevance_flow, 1.0)
    record.on_gradient = relevance.step
    with watching(case.network, record), torch.enable_grad():
        torch.autograd.grad(case.score(), record.root)
    rollout = flows.Recursion(record, flows.attention_flow, 0.5)
    for layer in reversed(layers[:LAYERS]):
        rollout.step(layer)
    return [rollout.values], relevance.values


@pytest.mark.parametrize("checkpoint", [False, True])
def test_recursions_equal_stored_matrices(case: Case, checkpoint: bool) -> None:
    maps, slopes = reference(case)
    (rollout,), relevance = seen(case, checkpoint=checkpoint)
    product = carried = torch.eye(TOKENS, dtype=torch.float64).expand(BATCH, -1, -1)
    for part, slope in zip(maps, slopes, strict=True):
        product = (part.mean(1) + torch.eye(TOKENS)) / 2 @ product
        carried = carried + (part * slope).clamp(min=0).mean(1) @ carried
    for found, expected in ((rollout, product), (relevance, carried)):
        assert float(expected[:, -1, PADDING:-1].max()) > 1e-5
        torch.testing.assert_close(found, expected[:, -1], rtol=1e-6, atol=1e-10 * float(expected[:, -1].max()))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_answer_is_sdpas_own(family: str, checkpoint: bool) -> None:
    case = make(family, PADDING, torch.float32)
    before = case.score()
    record = AttentionRecord(on_gradient=lambda *_: None, checkpoint=checkpoint)
    with watching(case.network, record), torch.enable_grad():
        assert torch.equal(case.score(), before)


def test_bfloat16_is_close_to_float64() -> None:
    exact, rough = (seen(make("llama", PADDING, dtype))[1] for dtype in (torch.float64, torch.bfloat16))
    assert rough.dtype == torch.float32
    assert float(torch.corrcoef(torch.stack([exact[0, :-1], rough[0, :-1].double()]))[0, 1]) > 0.99


def kept_by(case: Case, checkpoint: bool) -> int:
    """Number of values that autograd keeps between forward and backward."""
    sizes: list[int] = []

    def pack(part: Tensor) -> Tensor:
        sizes.append(part.numel())
        return part

    record = AttentionRecord(on_gradient=lambda *_: None, checkpoint=checkpoint)
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda part: part)
    with watching(case.network, record), torch.enable_grad(), hooks:
        case.score()
    return sum(sizes)


def test_checkpointing_works_in_eval_mode() -> None:
    """Hardly more than its input is stored for each layer."""
    case = make("llama", 0)
    assert kept_by(case, True) < 0.25 * kept_by(case, False)


def state(network: nn.Module) -> tuple[Any, ...]:
    hooks = [(name, *(len(found) for key, found in sorted(vars(module).items()) if key.endswith("_hooks")))
             for name, module in network.named_modules()]  # fmt: skip
    own = [name for name, module in network.named_modules() if "forward" in vars(module)]
    watched = [module for module in network.modules() if module in recording._watches]
    return hooks, own, watched, network.config._attn_implementation, network.training  # type: ignore[union-attr]


@pytest.mark.parametrize("where", ["before", "forward", "backward"])
def test_the_model_is_left_as_found_after_an_exception(where: str) -> None:
    case = make("llama", PADDING)
    before, score = state(case.network), case.score()

    def fail(*_: Any) -> None:
        raise RuntimeError("inside")

    record = AttentionRecord(checkpoint=True, on_layer=fail if where == "forward" else None,
                             on_gradient=fail if where == "backward" else None)  # fmt: skip
    with pytest.raises(RuntimeError, match="inside"), watching(case.network, record), torch.enable_grad():  # noqa: PT012
        if where == "before":
            fail()
        torch.autograd.grad(case.score(), record.root)
    assert state(case.network) == before
    assert torch.equal(case.score(), score)


def test_a_forward_that_others_replaced_is_put_back() -> None:
    case = make("llama", 0)
    layer = case.network.layers[1]
    own = layer.forward
    layer.forward = lambda *args, **kwargs: own(*args, **kwargs)
    theirs = layer.forward
    with watching(case.network, AttentionRecord()):
        assert layer.forward is not theirs
    assert layer.forward is theirs


def manually_cut(case: Case, cuts: tuple[Knockout, ...]) -> Tensor:
    """The score with -inf in a full additive mask of the named layers and heads."""
    causal = torch.ones(TOKENS, TOKENS).tril().bool() & case.mask.bool()[:, None, None]
    allowed[:] = [causal.expand(BATCH, HEADS, -1, -1).clone() for _ in range(LAYERS)]
    for layer, cut in product(range(LAYERS), cuts):
        for head, query in product(cut.heads_of(layer, HEADS), cut.queries):
            allowed[layer][:, head, query, list(cut.tokens)] = False
    stored.clear()
    case.network.set_attn_implementation("storing")
    try:
        return case.score()
    finally:
        case.network.set_attn_implementation("sdpa")


CUTS = {
    "everywhere": (Knockout((40, 41, 99)),),
    "one head": (Knockout((40, 200), (-1, -5), {1: (2,)}),),
    "two layers": (Knockout(tuple(range(32, 290)), (-1, 250), {0: (), 2: (0, 3)}),),
    "many rows": (Knockout((40, 299), tuple(range(33, 260)), {1: ()}),),
    "several": (Knockout((40, 41), tuple(range(50, 90)), {0: ()}), Knockout((60,), (80, -1), {0: (1,), 2: ()})),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("at_once", [256, 7])
def test_knockout_equals_a_masked_reference(
    cut: tuple[Knockout, ...], padding: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "ROWS", at_once)
    case = make("llama", padding)
    whole = case.score()
    layers: list[LayerRecord] = []
    with watching(case.network, cuts=cut), watching(case.network, AttentionRecord(on_layer=layers.append)):
        found = case.score()
    torch.testing.assert_close(found, manually_cut(case, cut), rtol=1e-9, atol=1e-12)
    assert abs(float(found - whole)) > 1e-6
    for layer, expected in zip(layers, stored, strict=True):  # the record shows what is cut
        torch.testing.assert_close(flows.rows(layer, 200, TOKENS), expected[:, :, 200:], rtol=1e-8, atol=1e-12)
    assert torch.equal(case.score(), whole)


def test_sinks_are_found_at_each_layers_input() -> None:
    """By the rule in words, token for token: the first, and visual ones far above the others."""
    case = make("llama", 0)
    case.embedded[0, 60] *= 40
    layers: list[LayerRecord] = []
    record = AttentionRecord(on_layer=layers.append, find_sinks=True, visual=torch.arange(20, 220))
    inputs: list[Tensor] = []
    for layer in case.network.layers:
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with watching(case.network, record):
        case.score()
    for layer, hidden in zip(layers, inputs, strict=True):
        for item in range(BATCH):
            norms = hidden[item].norm(dim=1).tolist()
            mean = sum(norms[20:220]) / 200
            sigma = (sum((norm - mean) ** 2 for norm in norms[20:220]) / 200) ** 0.5
            expected = [i == 0 or (20 <= i < 220 and norms[i] > mean + 4 * sigma) for i in range(TOKENS)]
            assert layer.sinks is not None and layer.sinks[item].tolist() == expected
    assert layers[0].sinks is not None and layers[0].sinks[0, 60]


def test_a_spike_in_one_channel_is_a_sink() -> None:
    """One channel of 40 among 899 of 1: RMS sqrt(2499 / 900) = 1.67, ratio 24.0; of 30: 21.2; of 25: 19.2."""
    hidden = torch.ones(1, 40, 900)
    hidden[0, [10, 11, 12], 5] = torch.tensor([40.0, 30.0, 25.0])
    norms = 30.0 + torch.arange(40.0)  # none far from the others
    hidden *= (norms / hidden.norm(dim=2))[..., None]
    assert sinks(hidden, torch.arange(5, 40)).nonzero()[:, 1].tolist() == [0, 10, 11]


def test_a_knockout_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="expected a layer from 0 to 2, got 3"):
        recording.check_cut(Knockout((1,), heads={3: ()}), LAYERS, HEADS)
    with pytest.raises(InputError, match="expected a head from 0 to 3, got 4"):
        recording.check_cut(Knockout((1,), heads={1: (0, 4)}), LAYERS, HEADS)
