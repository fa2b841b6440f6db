"""Rows and recursions of attention, in blocks of rows: an N x N map is never held.

A layer's *flow* is what one token passes to another, (b, heads, rows, columns), 0 or more: its attention, or that
times its gradient, or the gradient alone. Saliency is over the whole sequence, (b, n); `visual` cuts out the visual
tokens. Grouped-query heads share their keys, and probabilities are computed in at least float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.autograd.graph import save_on_cpu

from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.capabilities import RecordsAttention, require
from attrib.errors import AttributionError
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

ELEMENTS = 2**22  # of a flow, formed at once: 16 MiB in float32
Reduction = Literal["mean", "max"]
Sinks = Literal["keep", "mask"]
Null = Literal["raw", "divided"]
Flow = Callable[[LayerRecord, Tensor | None, int, int], Tensor]


def rows(layer: LayerRecord, start: int, stop: int) -> Float[Tensor, "b heads r width"]:
    """Attention probabilities of the query rows start..stop, on the columns that they may reach; 0 in hidden rows."""
    logits = _grouped(layer.query[:, :, start:stop], layer.key[:, :, : layer.reach(stop)]).mul_(layer.scale)
    probabilities = layer.hide(logits, start).softmax(dim=-1)
    return probabilities if layer.mask is None and layer.cut is None else probabilities.nan_to_num_(0.0)


def gradient_rows(layer: LayerRecord, output_gradient: Tensor, start: int, stop: int) -> Float[Tensor, "b heads r w"]:
    """Gradient of the scalar with respect to those rows' probabilities: dO V^T; output_gradient is (b, n, heads, d)."""
    return _grouped(output_gradient[:, start:stop].transpose(1, 2), layer.value[:, :, : layer.reach(stop)])


def _grouped(left: Tensor, right: Tensor) -> Tensor:
    """left (b, heads, r, d) times right (b, kv_heads, n, d) transposed, each kv head read by its group of heads."""
    precision = torch.promote_types(left.dtype, torch.float32)
    grouped = left.to(precision).unflatten(1, (right.shape[1], -1)).flatten(2, 3)
    return (grouped @ right.to(precision).mT).unflatten(2, (-1, left.shape[2])).flatten(1, 2)


def received(layer: LayerRecord) -> Float[Tensor, "b heads n"]:
    """The mean attention that each token receives, over all rows."""
    total = layer.query.new_zeros(layer.query.shape[:3], dtype=_precision(layer))
    for start, stop in _blocks([torch.ones_like(total[:, 0])], layer):
        block = rows(layer, start, stop)
        total[:, :, : block.shape[3]] += block.sum(dim=2) / total.shape[2]
    return total


def attention_flow(layer: LayerRecord, _: Tensor | None, start: int, stop: int) -> Tensor:
    """The attention A."""
    return _open(layer, rows(layer, start, stop))


def relevance_flow(layer: LayerRecord, gradient: Tensor | None, start: int, stop: int) -> Tensor:
    """relu(A * dA) (Chefer et al. 2021, eq. 5, before the mean over heads)."""
    assert gradient is not None
    weighted = rows(layer, start, stop).mul_(gradient_rows(layer, gradient, start, stop))
    return _open(layer, weighted.clamp_(min=0))


def gradient_flow(layer: LayerRecord, gradient: Tensor | None, start: int, stop: int) -> Tensor:
    """relu(dA), where the rows may look (Bousselham et al. 2024, eq. 5)."""
    assert gradient is not None
    slopes = gradient_rows(layer, gradient, start, stop).clamp_(min=0)
    return slopes.masked_fill_(~visible(layer, start, stop), 0)


def _open(layer: LayerRecord, flow: Tensor) -> Tensor:
    """The flow without what goes to sinks, where these were asked for."""
    return flow if layer.sinks is None else flow.masked_fill_(layer.sinks[:, None, None, : flow.shape[3]], 0)


def visible(layer: LayerRecord, start: int, stop: int) -> Bool[Tensor, "b heads r width"]:
    """Positions that the rows may attend to, without sinks where these are masked."""
    batch, heads, _, _ = layer.query.shape
    blank = torch.zeros(batch, heads, stop - start, layer.reach(stop), device=layer.query.device)
    free = layer.hide(blank, start) > torch.finfo(torch.float16).min  # below it: a mask that is added
    return free if layer.sinks is None else free & ~layer.sinks[:, None, None, : free.shape[3]]


def spread(layer: LayerRecord, flow: Tensor, start: int) -> Tensor:
    """The flow's content-free twin: each row's sum, spread evenly over the tokens that the row may see."""
    free = visible(layer, start, start + flow.shape[2])
    return free * (flow.sum(dim=3, keepdim=True) / free.sum(dim=3, keepdim=True).clamp(min=1))


def divided(values: Tensor, twin: Tensor | None = None) -> Tensor:
    """values / twin, and 0 where the twin is 0: nothing arrives there. Without a twin the values."""
    return values if twin is None else torch.where(twin > 0, values / torch.where(twin > 0, twin, 1), 0)


class AnswerRows:
    """The flow of the answer's rows, their mean, layer by layer; beside it that of its content-free twin if asked."""

    def __init__(self, record: AttentionRecord, flow: Flow, *, twin: bool = False) -> None:
        self.record, self.flow, self.twin = record, flow, twin
        self.layers: dict[int, list[Tensor]] = {}

    def step(self, layer: LayerRecord, gradient: Tensor | None = None) -> None:
        """Take a layer, in any order."""
        found = [layer.query.new_zeros(layer.query.shape[:3], dtype=_precision(layer)) for _ in range(1 + self.twin)]
        for row in self.record.explained_rows:
            block = self.flow(layer, gradient, row, row + 1)
            for total, part in zip(found, (block, spread(layer, block, row)) if self.twin else (block,), strict=True):
                total[:, :, : part.shape[3]] += part[:, :, 0] / len(self.record.explained_rows)
        self.layers[layer.index] = found

    def chosen(self, layers: tuple[int, ...] = (), heads: tuple[int, ...] = ()) -> list[Float[Tensor, "b l heads n"]]:
        """The flow and its twin, of all layers and heads or of those named. Raises AttributionError for others."""
        every = sorted(self.layers)
        picked = [_pick("layer", layers, every), _pick("head", heads, range(self.layers[every[0]][0].shape[1]))]
        stacks = [torch.stack(parts, dim=1) for parts in zip(*(self.layers[i] for i in picked[0]), strict=True)]
        return [stack[:, :, list(picked[1])] for stack in stacks]


def _pick(kind: str, wanted: tuple[int, ...], known: Sequence[int]) -> Sequence[int]:
    for number in wanted:
        if number not in known:
            raise AttributionError(f"{kind} {number} is not there; choose from {known[0]} to {known[-1]}")
    return wanted or known


class Recursion:
    """r <- share (r + r E) from the top layer down, E a flow's mean over heads and r at first the answer's rows.

    That is one row of the product of share (I + E_l) over layers; beside it that of the content-free twin if asked.
    Rows that carry nothing are not formed: of the top layer only the answer's.
    """

    def __init__(self, record: AttentionRecord, flow: Flow, share: float, *, twin: bool = False) -> None:
        self.record, self.flow, self.share = record, flow, share
        self.carried: list[Tensor] = [torch.empty(0)] * (2 if twin else 1)
        self.started = False

    def step(self, layer: LayerRecord, gradient: Tensor | None = None) -> None:
        """Take the next layer."""
        if not self.started:
            self.carried, self.started = [_answer(self.record, layer) for _ in self.carried], True
        flowed = [torch.zeros_like(carried) for carried in self.carried]
        for start, stop in _blocks(self.carried, layer):
            block = self.flow(layer, gradient, start, stop)
            for index, carried in enumerate(self.carried):
                part = spread(layer, block, start) if index else block
                passed = (carried[:, None, None, start:stop] @ part).mean(dim=(1, 2))
                flowed[index][:, : passed.shape[1]] += passed
        self.carried = [self.share * (kept + new) for kept, new in zip(self.carried, flowed, strict=True)]

    @property
    def values(self) -> Float[Tensor, "b n"]:
        """Flow that reached each token, divided by its content-free twin where that is configured."""
        return divided(*self.carried)


def run(
    subject: Subject, method: str, record: AttentionRecord, *, offload: bool = False,
    then: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """The subject's clip once through the model, forward and, if asked for gradients, backward, and `then`.

    With `offload` what autograd keeps lies in the CPU's memory. Raises UnsupportedModel when the model does not give
    its attention.
    """
    model = require(subject.model, RecordsAttention, method)
    record.tokens = subject.tokens
    with torch.no_grad():
        tokens = subject.model.encode(subject.pixels[None])
    wanted = record.on_gradient is not None
    with model.record_attention(record), torch.enable_grad() if wanted else torch.no_grad():
        with save_on_cpu() if offload else nullcontext():
            score = subject.score_tokens(tokens)
        if wanted and record.on_state is None:
            torch.autograd.grad(score.sum(), record.root)
        if then is not None:
            then()


def visual(subject: Subject, record: AttentionRecord, values: Float[Tensor, "1 n"]) -> Float[Tensor, "t h w"]:
    """The visual tokens' part of a sequence's values, as a volume."""
    return subject.grid.to_volume(values[0, record.visual])


def _precision(layer: LayerRecord) -> torch.dtype:
    return torch.promote_types(layer.query.dtype, torch.float32)


def _answer(record: AttentionRecord, layer: LayerRecord) -> Tensor:
    """(b, n): the mean of the answer rows' unit vectors."""
    start = layer.query.new_zeros((len(layer.query), layer.query.shape[2]), dtype=_precision(layer))
    for row in record.explained_rows:
        start[:, row] += 1 / len(record.explained_rows)
    return start


def _blocks(carried: list[Tensor], layer: LayerRecord) -> Iterator[tuple[int, int]]:
    """Blocks of at most ELEMENTS that cover the rows which carry anything."""
    rows_in_use = torch.stack(carried).abs().sum(dim=(0, 1)).nonzero().flatten()
    batch, heads, length, _ = layer.query.shape
    size = max(1, ELEMENTS // (batch * heads * length))
    first, last = int(rows_in_use[0]), int(rows_in_use[-1]) + 1
    for start in range(first, last, size):
        yield start, min(start + size, last)
