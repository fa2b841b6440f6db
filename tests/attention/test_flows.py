"""The vector recursions against full N x N matrices: float64, grouped-query heads, every kind of mask, blocks of rows.

The reference runs the decoder once more with explicit softmax attention and asks autograd for the gradient of every
probability; the code under test sees only queries, keys, values and the outputs of fused attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attrib.attention import flows
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.errors import AttributionError, UnsupportedModel
from attrib.model import VideoModel
from attrib.subject import Subject
from attrib.testing import COLUMNS, ROWS, ToyModel, toy_subject

BATCH, TOKENS, LAYERS, HEADS, KV_HEADS, WIDTH = 2, 300, 3, 6, 2, 5
SCALE = 0.7  # not 1 / sqrt(d), so that a forgotten scale shows
LAST, INNER = (TOKENS - 1,), (TOKENS - 20,)
PADDING, WINDOW = 23, 90
CASES = {
    "causal": ("causal", LAST), "inner row": ("causal", INNER), "two rows": ("causal", (TOKENS - 9, TOKENS - 1)),
    "left padding": ("padding", LAST), "sliding window": ("window", LAST), "added": ("added", LAST),
    "one per head": ("heads", LAST), "bidirectional": ("open", LAST),
}  # fmt: skip


@dataclass
class Case:
    """One random decoder: what the engine sees, and the matrices it must agree with."""

    record: AttentionRecord
    layers: list[LayerRecord] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)  # per layer (b, heads, n, n)
    slopes: list[Tensor] = field(default_factory=list)  # gradient of the scalar with respect to them
    allowed: Tensor = field(default_factory=lambda: torch.empty(0))  # (b, heads, n, n)

    def feed(self, found: flows.Recursion | flows.AnswerRows) -> None:
        for layer, gradient in zip(reversed(self.layers), reversed(self.gradients), strict=True):
            found.step(layer, gradient)

    def answer(self, matrix: Tensor) -> Tensor:
        return matrix[..., list(self.record.answer_rows), :].mean(dim=-2)


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    model = HEADS * WIDTH
    kv = KV_HEADS * WIDTH
    shapes = {"start": (BATCH, TOKENS, model), "q": (LAYERS, model, model), "k": (LAYERS, model, kv),
              "v": (LAYERS, model, kv), "out": (LAYERS, model, model), "readout": (model,)}  # fmt: skip
    return {name: draw(*shape) / (1 if name == "start" else shape[-2 % len(shape)] ** 0.5)
            for name, shape in shapes.items()}  # fmt: skip


def masks(kind: str) -> tuple[Tensor | None, Tensor, Tensor]:
    """(what SDPA gets, which rows may see which columns (b, heads, n, n), what is added to the logits)."""
    causal = torch.ones(TOKENS, TOKENS).tril().bool().expand(BATCH, HEADS, -1, -1)
    none = torch.zeros((), dtype=torch.float64)
    if kind == "causal":
        return None, causal, none
    if kind == "open":
        return None, torch.ones_like(causal), none
    if kind == "window":
        near = torch.ones(TOKENS, TOKENS).triu(-WINDOW + 1).bool() & causal
        return near[:1, :1], near, none
    if kind == "added":
        bias = torch.randn(TOKENS, TOKENS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        return bias.masked_fill(~causal[:1, :1], float("-inf")), causal, bias
    if kind == "heads":
        random = torch.rand(BATCH, HEADS, TOKENS, TOKENS, generator=torch.Generator().manual_seed(3)) < 0.7
        seen = causal & (random | torch.eye(TOKENS).bool())
        return seen, seen, none
    padded = causal & (torch.arange(TOKENS) >= torch.tensor([0, PADDING])[:, None])[:, None, None]
    return padded[:, :1], padded, none


def heads_of(values: Tensor, count: int) -> Tensor:
    return values.unflatten(-1, (count, WIDTH)).transpose(1, 2)


def explicit(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """(output, probabilities): query head h reads key head h // (heads / kv heads), one head at a time."""
    maps = []
    for head in range(HEADS):
        logits = query[:, head] @ key[:, head * KV_HEADS // HEADS].mT * SCALE + bias
        # a row that may see nothing (a padded one) passes nothing on
        maps.append(logits.masked_fill(~allowed[:, head], -1e30).softmax(-1) * allowed[:, head])
    probabilities = torch.stack(maps, dim=1)
    outputs = [probabilities[:, head] @ value[:, head * KV_HEADS // HEADS] for head in range(HEADS)]
    return torch.stack(outputs, dim=1), probabilities


def make_case(kind: str, answer: tuple[int, ...]) -> Case:
    w = weights()
    mask, allowed, bias = masks(kind)
    case = Case(AttentionRecord(answer_rows=answer, visual=torch.arange(3, 200)), allowed=allowed)
    case.record.on_layer = case.layers.append
    case.record.on_gradient = lambda _, gradient: case.gradients.insert(0, gradient)
    plain, fast = w["start"].clone().requires_grad_(), w["start"]
    with torch.enable_grad():
        for layer in range(LAYERS):
            counts = (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS))
            parts = (heads_of(plain @ w[name][layer], count) for name, count in counts)
            output, probabilities = explicit(*parts, allowed, bias)
            case.maps.append(probabilities)
            plain = (plain + output.transpose(1, 2).flatten(2) @ w["out"][layer]).tanh()
            query, key, value = (heads_of(fast @ w[name][layer], count) for name, count in counts)
            output = scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=kind == "causal",
                                                  scale=SCALE, enable_gqa=True).transpose(1, 2)  # fmt: skip
            output = case.record.watch(output, query, key, value, scale=SCALE, index=layer, mask=mask,
                                       causal=kind != "open")  # fmt: skip
            fast = (fast + output.flatten(2) @ w["out"][layer]).tanh()
        case.slopes = list(torch.autograd.grad((plain[:, list(answer)] @ w["readout"]).sum(), case.maps))
        torch.autograd.grad((fast[:, list(answer)] @ w["readout"]).sum(), case.record.root)
    torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-12)
    case.maps = [part.detach() for part in case.maps]
    return case


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(*CASES[request.param])


def chain(steps: list[Tensor]) -> Tensor:
    """The full product, top layer on the left."""
    product = torch.eye(TOKENS, dtype=torch.float64).expand(BATCH, -1, -1)
    for step in steps:
        product = step @ product
    return product


def rollout(flows: list[Tensor]) -> Tensor:
    eye = torch.eye(TOKENS, dtype=torch.float64)
    return chain([(part.mean(1) + eye) / 2 for part in flows])


def relevance(flows: list[Tensor]) -> Tensor:
    """R <- R + E R from the bottom up, as in the paper."""
    carried = torch.eye(TOKENS, dtype=torch.float64).expand(BATCH, -1, -1)
    for part in flows:
        carried = carried + part.mean(1) @ carried
    return carried


def flows_of(case: Case, kind: flows.Flow) -> list[Tensor]:
    pairs = list(zip(case.maps, case.slopes, strict=True))
    return {
        flows.attention_flow: [part for part, _ in pairs],
        flows.relevance_flow: [(part * slope).clamp(min=0) for part, slope in pairs],
        flows.gradient_flow: [slope.clamp(min=0) * case.allowed for _, slope in pairs],
    }[kind]


def evenly(case: Case, flows: list[Tensor], hidden: Tensor | None = None) -> list[Tensor]:
    """Each row's sum over the columns it may see."""
    allowed = case.allowed.double() if hidden is None else case.allowed.double() * ~hidden[:, None, None]
    share = (allowed / allowed.sum(-1, keepdim=True)).nan_to_num(0)
    return [share * flow.sum(-1, keepdim=True) for flow in flows]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    scale = float(expected.abs().max())
    assert scale > 1e-6, "a reference of zeros tests nothing"
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12 * scale)


@pytest.fixture(params=[7, 128, TOKENS + 50])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows are formed at once; the result may not depend on it."""
    monkeypatch.setattr(flows, "ELEMENTS", request.param * BATCH * HEADS * TOKENS)
    return int(request.param)


RECURSIONS: list[tuple[flows.Flow, float, Callable[[list[Tensor]], Tensor]]] = [
    (flows.attention_flow, 0.5, rollout), (flows.relevance_flow, 1.0, relevance),
]  # fmt: skip


@pytest.mark.parametrize(("flow", "share", "reference"), RECURSIONS, ids=["rollout", "relevance"])
def test_recursions_equal_the_full_matrices(
    case: Case, block: int, flow: flows.Flow, share: float, reference: Callable[[list[Tensor]], Tensor]
) -> None:
    found = flows.Recursion(case.record, flow, share)
    case.feed(found)
    assert_equal(found.values, case.answer(reference(flows_of(case, flow))))


@pytest.mark.parametrize(("flow", "share", "reference"), RECURSIONS, ids=["rollout", "relevance"])
def test_divided_recursions_equal_the_full_matrices(
    case: Case, flow: flows.Flow, share: float, reference: Callable[[list[Tensor]], Tensor]
) -> None:
    found = flows.Recursion(case.record, flow, share, twin=True)
    case.feed(found)
    full = flows_of(case, flow)
    values, twin = case.answer(reference(full)), case.answer(reference(evenly(case, full)))
    assert_equal(found.carried[1], twin)
    assert_equal(found.values, torch.where(twin > 0, values / twin, 0))


@pytest.mark.parametrize("flow", [flows.attention_flow, flows.relevance_flow, flows.gradient_flow])
def test_answer_rows_equal_the_full_matrices(case: Case, flow: flows.Flow) -> None:
    found = flows.AnswerRows(case.record, flow, twin=True)
    case.feed(found)
    full = flows_of(case, flow)
    values, twin = found.chosen((0, 2), (1, 4))
    assert_equal(values, torch.stack([case.answer(full[i]) for i in (0, 2)], dim=1)[:, :, [1, 4]])
    spread = evenly(case, full)
    assert_equal(twin, torch.stack([case.answer(spread[i]) for i in (0, 2)], dim=1)[:, :, [1, 4]])


def test_masked_sinks_pass_nothing_on(case: Case) -> None:
    hidden = torch.rand(BATCH, TOKENS, generator=torch.Generator().manual_seed(4)) < 0.2
    case = replace(case, layers=[replace(layer, sinks=hidden) for layer in case.layers])
    found = flows.Recursion(case.record, flows.attention_flow, 0.5, twin=True)
    case.feed(found)
    full = [part * ~hidden[:, None, None] for part in case.maps]
    assert_equal(found.carried[0], case.answer(rollout(full)))
    assert_equal(found.carried[1], case.answer(rollout(evenly(case, full, hidden))))


def test_a_layer_or_head_that_is_not_there_is_refused(case: Case) -> None:
    found = flows.AnswerRows(case.record, flows.attention_flow)
    case.feed(found)
    with pytest.raises(AttributionError, match="layer 3 does not exist; choose from 0 to 2"):
        found.chosen((3,))
    with pytest.raises(AttributionError, match="head 6 does not exist; choose from 0 to 5"):
        found.chosen((), (6,))


def test_rows_are_the_maps_rows(case: Case) -> None:
    for layer, full in zip(case.layers, case.maps, strict=True):
        found = flows.rows(layer, 40, 97)
        torch.testing.assert_close(found, full[:, :, 40:97, : found.shape[3]], rtol=1e-10, atol=1e-14)
        assert not full[:, :, 40:97, found.shape[3] :].any()


def test_no_more_rows_than_a_block_are_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("causal", INNER)
    formed: list[int] = []

    def counted(layer: LayerRecord, gradient: Tensor | None, start: int, stop: int) -> Tensor:
        formed.append(stop - start)
        return flows.relevance_flow(layer, gradient, start, stop)

    monkeypatch.setattr(flows, "ELEMENTS", 50 * BATCH * HEADS * TOKENS)
    case.feed(flows.Recursion(case.record, counted, 1.0))
    assert max(formed) == 50
    # of the top layer the answer's row alone, and of the others none behind the answer
    assert sum(formed) == 1 + (LAYERS - 1) * (INNER[0] + 1)


def test_half_precision_is_computed_in_float32(case: Case) -> None:
    layer = case.layers[0]
    half = replace(layer, **{name: getattr(layer, name).bfloat16() for name in ("query", "key", "value")})
    single = replace(half, **{name: getattr(half, name).float() for name in ("query", "key", "value")})
    found = flows.rows(half, 0, 50)
    assert found.dtype == torch.float32
    assert torch.equal(found, flows.rows(single, 0, 50))


def test_nothing_is_copied() -> None:
    case = make_case("causal", LAST)
    seen: list[LayerRecord] = []
    record = AttentionRecord(on_layer=seen.append)
    layer = case.layers[0]
    record.watch(layer.query.transpose(1, 2), layer.query, layer.key, layer.value, scale=1.0)
    assert [seen[0].query.data_ptr(), seen[0].key.data_ptr()] == [layer.query.data_ptr(), layer.key.data_ptr()]
    assert seen[0].without_values().query.data_ptr() == layer.query.data_ptr()


def test_gradients_need_no_gradient_mode_of_the_caller() -> None:
    slopes: list[Tensor] = []
    record = AttentionRecord(on_gradient=lambda _, gradient: slopes.append(gradient))
    with torch.no_grad():
        flows.run(toy_subject(), "test", record)
    assert len(slopes) == 1
    assert float(slopes[0].abs().sum()) > 0


def test_visual_cuts_the_visual_tokens_out_in_order() -> None:
    subject, record = toy_subject(), AttentionRecord()
    flows.run(subject, "test", record)
    values = torch.arange(subject.grid.tokens + 1.0)[None]
    volume = flows.visual(subject, record, values)
    assert volume.shape == (4, ROWS, COLUMNS)
    assert volume[1, 2, 3] == 1 * ROWS * COLUMNS + 2 * COLUMNS + 3


def test_a_model_without_attention_is_refused() -> None:
    class Opaque(VideoModel):
        """The toy model with its attention and its layers hidden."""

        inner = ToyModel()
        name, revision, frames = "opaque", None, 4
        module = inner.module
        preprocess, grid = inner.preprocess, inner.grid
        encode, score_tokens = inner.encode, inner.score_tokens

    subject: Subject = toy_subject(Opaque())
    with pytest.raises(UnsupportedModel, match="rollout: model 'opaque' does not expose its attention"):
        flows.run(subject, "rollout", AttentionRecord())
