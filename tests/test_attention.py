"""The vector recursions against full N x N matrices: float64, grouped-query heads, several blocks of rows.

The reference runs the decoder once more with explicit softmax attention and asks autograd for the gradient of every
probability; the code under test sees only queries, keys, values and the outputs of fused attention.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attrib import attention
from attrib.errors import UnsupportedModel
from attrib.model import AttentionRecord, LayerRecord, VideoModel
from attrib.subject import Subject
from attrib.testing import COLUMNS, ROWS, ToyModel, toy_subject

BATCH, TOKENS, LAYERS, HEADS, KV_HEADS, WIDTH = 2, 300, 3, 6, 2, 5
SCALE = 0.7  # not 1 / sqrt(d), so that a forgotten scale shows
ANSWERS = (TOKENS - 1, TOKENS - 20)


@dataclass
class Case:
    """One random decoder: what the engine sees (record, gradients) and the matrices it must agree with."""

    record: AttentionRecord
    gradients: list[Tensor]
    maps: list[Tensor]  # per layer (b, heads, n, n)
    slopes: list[Tensor]  # gradient of the scalar with respect to them


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


def heads_of(values: Tensor, count: int) -> Tensor:
    return values.unflatten(-1, (count, WIDTH)).transpose(1, 2)


def explicit(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """(output, probabilities): query head h reads key head h // (heads / kv heads), one head at a time."""
    causal = torch.ones(TOKENS, TOKENS).tril().bool()
    maps = []
    for head in range(HEADS):
        logits = query[:, head] @ key[:, head * KV_HEADS // HEADS].mT * SCALE
        maps.append(logits.masked_fill(~causal, float("-inf")).softmax(-1))
    probabilities = torch.stack(maps, dim=1)
    outputs = [probabilities[:, head] @ value[:, head * KV_HEADS // HEADS] for head in range(HEADS)]
    return torch.stack(outputs, dim=1), probabilities


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=SCALE, enable_gqa=True)


def make_case(answer: int) -> Case:
    w = weights()
    with torch.enable_grad():
        record, maps = AttentionRecord(answer_row=answer, visual=slice(3, 200)), []
        plain = fast = w["start"].clone().requires_grad_()
        for layer in range(LAYERS):
            counts = (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS))
            output, probabilities = explicit(*(heads_of(plain @ w[name][layer], count) for name, count in counts))
            maps.append(probabilities)
            plain = (plain + output.transpose(1, 2).flatten(2) @ w["out"][layer]).tanh()
            query, key, value = (heads_of(fast @ w[name][layer], count) for name, count in counts)
            output = fused(query, key, value).transpose(1, 2)
            record.layers.append(LayerRecord(query, key, value, output, SCALE))
            fast = (fast + output.flatten(2) @ w["out"][layer]).tanh()
        slopes = torch.autograd.grad((plain[:, answer] @ w["readout"]).sum(), maps)
        found = torch.autograd.grad((fast[:, answer] @ w["readout"]).sum(), [layer.output for layer in record.layers])
    return Case(record, list(found), [part.detach() for part in maps], list(slopes))


@pytest.fixture(scope="module", params=ANSWERS, ids=["last row", "inner row"])
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


def chain(steps: list[Tensor]) -> Tensor:
    """The full product, top layer on the left."""
    product = torch.eye(TOKENS, dtype=torch.float64).expand(BATCH, -1, -1)
    for step in steps:
        product = step @ product
    return product


def expected_rollout(case: Case) -> Tensor:
    eye = torch.eye(TOKENS, dtype=torch.float64)
    return chain([(part.mean(1) + eye) / 2 for part in case.maps])[:, case.record.answer_row]


def expected_relevance(case: Case) -> Tensor:
    """R <- R + E R from the bottom up, as in the paper."""
    carried = torch.eye(TOKENS, dtype=torch.float64).expand(BATCH, -1, -1)
    for part, slope in zip(case.maps, case.slopes, strict=True):
        carried = carried + (part * slope).clamp(min=0).mean(1) @ carried
    return carried[:, case.record.answer_row]


def expected_attention_gradient(case: Case) -> Tensor:
    products = [(part * slope).clamp(min=0).mean(1) for part, slope in zip(case.maps, case.slopes, strict=True)]
    return torch.stack(products).sum(0)[:, case.record.answer_row]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape == (BATCH, TOKENS)
    scale = float(expected.abs().max())
    assert scale > 1e-6, "a reference of zeros tests nothing"
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12 * scale)


@pytest.fixture(params=[7, 128, attention.BLOCK, TOKENS + 50])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows are formed at once; the result may not depend on it."""
    monkeypatch.setattr(attention, "BLOCK", request.param)
    return int(request.param)


def test_the_shipped_block_is_smaller_than_the_sequence() -> None:
    assert attention.BLOCK < TOKENS


def test_rollout_equals_the_full_product(case: Case, block: int) -> None:
    assert_equal(attention.rollout(case.record), expected_rollout(case))


def test_relevance_equals_the_full_recursion(case: Case, block: int) -> None:
    assert_equal(attention.relevance(case.record, case.gradients), expected_relevance(case))


def test_attention_gradient_equals_the_full_maps(case: Case) -> None:
    assert_equal(attention.attention_gradient(case.record, case.gradients), expected_attention_gradient(case))


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_raw_equals_the_full_maps(case: Case, reduction: attention.Reduction) -> None:
    answers = torch.stack([part[:, :, case.record.answer_row] for part in case.maps], dim=1).flatten(1, 2)
    expected = answers.mean(1) if reduction == "mean" else answers.amax(1)
    assert_equal(attention.raw(case.record, reduction), expected)


def test_rows_are_the_maps_rows(case: Case) -> None:
    for layer, full in zip(case.record.layers, case.maps, strict=True):
        torch.testing.assert_close(attention.rows(layer, 40, 97), full[:, :, 40:97], rtol=1e-10, atol=1e-14)


def test_gradient_rows_are_the_maps_gradients(case: Case) -> None:
    """In the lower triangle: above it the masked probabilities are constants, whatever dO V^T says."""
    lower = torch.ones(TOKENS, TOKENS).tril().bool()[40:97]
    for layer, gradient, full in zip(case.record.layers, case.gradients, case.slopes, strict=True):
        found = attention.gradient_rows(layer, gradient, 40, 97)
        torch.testing.assert_close(found[..., lower], full[:, :, 40:97][..., lower], rtol=1e-8, atol=1e-14)


def test_no_more_rows_than_a_block_are_formed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    formed: list[int] = []
    original = attention.rows

    def counted(layer: LayerRecord, start: int, stop: int) -> Tensor:
        formed.append(stop - start)
        return original(layer, start, stop)

    monkeypatch.setattr(attention, "rows", counted)
    attention.rollout(case.record)
    attention.relevance(case.record, case.gradients)
    assert max(formed) <= attention.BLOCK
    assert sum(formed) == 2 * LAYERS * (case.record.answer_row + 1)  # and none behind the answer


def test_half_precision_is_computed_in_float32(case: Case) -> None:
    layer = case.record.layers[0]
    half = LayerRecord(*(part.bfloat16() for part in (layer.query, layer.key, layer.value, layer.output)), SCALE)
    single = LayerRecord(*(part.float() for part in (half.query, half.key, half.value, half.output)), SCALE)
    found = attention.rows(half, 0, 50)
    assert found.dtype == torch.float32
    assert torch.equal(found, attention.rows(single, 0, 50))


def test_recorded_gradients_need_no_gradient_mode_of_the_caller() -> None:
    with torch.no_grad():
        found, slopes = attention.record(toy_subject(), "test", gradients=True)
    assert len(found.layers) == len(slopes) == 1
    assert slopes[0].shape == found.layers[0].output.shape
    assert float(slopes[0].abs().sum()) > 0


def test_visual_cuts_the_visual_tokens_out_in_order() -> None:
    subject = toy_subject()
    found, _ = attention.record(subject, "test", gradients=False)
    values = torch.arange(subject.grid.tokens + 1.0)[None]
    volume = attention.visual(subject, found, values)
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
    with pytest.raises(UnsupportedModel, match="rollout: model 'opaque' does not give its attention"):
        attention.record(subject, "rollout", gradients=False)
