"""Rows and recursions of attention, in blocks of rows: an N x N map is never in memory.

A layer's *flow* is what one token passes to another, (b, heads, rows, columns), 0 or more: attention, attention times
its gradient, or the gradient alone. Saliency covers the whole sequence, (b, n); `visual` selects the visual tokens.
Grouped-query heads share their keys, and probabilities are computed in at least float32.
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

ELEMENTS = 2**22  # of a flow that are computed at once: 16 MiB in float32
Reduction = Literal["mean", "max"]
Sinks = Literal["keep", "mask"]
Null = Literal["raw", "divided"]
Flow = Callable[[LayerRecord, Tensor | None, int, int], Tensor]


def rows(layer: LayerRecord, start: int, stop: int) -> Float[Tensor, "b heads r width"]:
    """Return attention probabilities of query rows start..stop over the columns they may reach; 0 in hidden rows."""
    logits = _grouped(layer.query[:, :, start:stop], layer.key[:, :, : layer.reach(stop)]).mul_(layer.scale)
    probabilities = layer.hide(logits, start).softmax(dim=-1)
    return probabilities if layer.mask is None and not layer.cuts else probabilities.nan_to_num_(0.0)


def gradient_rows(layer: LayerRecord, output_gradient: Tensor, start: int, stop: int) -> Float[Tensor, "b heads r w"]:
    """Return the scalar's gradient by these rows' probabilities, dO V^T; output_gradient is (b, n, heads, d)."""
    return _grouped(output_gradient[:, start:stop].transpose(1, 2), layer.value[:, :, : layer.reach(stop)])


def _grouped(left: Tensor, right: Tensor) -> Tensor:
    """Multiply left (b, heads, r, d) by right (b, kv_heads, n, d) transposed; a group of heads shares a kv head."""
    precision = torch.promote_types(left.dtype, torch.float32)
    grouped = left.to(precision).unflatten(1, (right.shape[1], -1)).flatten(2, 3)
    return (grouped @ right.to(precision).mT).unflatten(2, (-1, left.shape[2])).flatten(1, 2)


def received(layer: LayerRecord) -> Float[Tensor, "b heads n"]:
    """Return the mean attention that each token receives over all rows."""
    total = layer.query.new_zeros(layer.query.shape[:3], dtype=_precision(layer))
    for start, stop in _blocks([torch.ones_like(total[:, 0])], layer):
        block = rows(layer, start, stop)
        total[:, :, : block.shape[3]] += block.sum(dim=2) / total.shape[2]
    return total


def attention_flow(layer: LayerRecord, _: Tensor | None, start: int, stop: int) -> Tensor:
    """Return the attention A."""
    return _open(layer, rows(layer, start, stop))


def relevance_flow(layer: LayerRecord, gradient: Tensor | None, start: int, stop: int) -> Tensor:
    """Return relu(A * dA) (Chefer et al. 2021, eq. 5, before the mean over heads)."""
    assert gradient is not None
    weighted = rows(layer, start, stop).mul_(gradient_rows(layer, gradient, start, stop))
    return _open(layer, weighted.clamp_(min=0))


def gradient_flow(layer: LayerRecord, gradient: Tensor | None, start: int, stop: int) -> Tensor:
    """Return relu(dA), 0 where the rows may not attend (Bousselham et al. 2024, eq. 5)."""
    assert gradient is not None
    slopes = gradient_rows(layer, gradient, start, stop).clamp_(min=0)
    return slopes.masked_fill_(~visible(layer, start, stop), 0)


def _open(layer: LayerRecord, flow: Tensor) -> Tensor:
    """Return the flow with sinks set to 0, if the record has them."""
    return flow if layer.sinks is None else flow.masked_fill_(layer.sinks[:, None, None, : flow.shape[3]], 0)


def visible(layer: LayerRecord, start: int, stop: int) -> Bool[Tensor, "b heads r width"]:
    """Return the positions that the rows may attend to, without sinks if they are masked."""
    batch, heads, _, _ = layer.query.shape
    blank = torch.zeros(batch, heads, stop - start, layer.reach(stop), device=layer.query.device)
    free = layer.hide(blank, start) > torch.finfo(torch.float16).min  # an additive mask is below it
    return free if layer.sinks is None else free & ~layer.sinks[:, None, None, : free.shape[3]]


def spread(layer: LayerRecord, flow: Tensor, start: int) -> Tensor:
    """Return the flow's content-free twin: each row's sum, spread evenly over the tokens that the row may see."""
    free = visible(layer, start, start + flow.shape[2])
    return free * (flow.sum(dim=3, keepdim=True) / free.sum(dim=3, keepdim=True).clamp(min=1))


def divided(values: Tensor, twin: Tensor | None = None) -> Tensor:
    """Return values / twin, 0 where the twin is 0 because nothing arrives there; without a twin, the values."""
    return values if twin is None else torch.where(twin > 0, values / torch.where(twin > 0, twin, 1), 0)


class AnswerRows:
    """Mean flow of the answer's rows in each layer; with `twin`, also that of its content-free twin."""

    def __init__(self, record: AttentionRecord, flow: Flow, *, twin: bool = False) -> None:
        self.record, self.flow, self.twin = record, flow, twin
        self.layers: dict[int, list[Tensor]] = {}

    def step(self, layer: LayerRecord, gradient: Tensor | None = None) -> None:
        """Add a layer; layers may come in any order."""
        totals = [layer.query.new_zeros(layer.query.shape[:3], dtype=_precision(layer)) for _ in range(1 + self.twin)]
        for row in self.record.explained_rows:
            block = self.flow(layer, gradient, row, row + 1)
            flows = (block, spread(layer, block, row)) if self.twin else (block,)
            for total, flow in zip(totals, flows, strict=True):
                total[:, :, : flow.shape[3]] += flow[:, :, 0] / len(self.record.explained_rows)
        self.layers[layer.index] = [total.to(self._device(layer)) for total in totals]

    def _device(self, layer: LayerRecord) -> torch.device:
        """Return the device of the first layer that came: those of a model may lie on several."""
        first = next(iter(self.layers.values()), None)
        return first[0].device if first else layer.query.device

    def chosen(self, layers: Sequence[int] = (), heads: Sequence[int] = ()) -> list[Float[Tensor, "b l heads n"]]:
        """Return the flow and its twin in these layers and heads (none: all). Raises AttributionError if unknown."""
        every = sorted(self.layers)
        layers, heads = _pick("layer", layers, every), _pick("head", heads, range(self.layers[every[0]][0].shape[1]))
        stacks = [torch.stack(flows, dim=1) for flows in zip(*(self.layers[i] for i in layers), strict=True)]
        return [stack[:, :, list(heads)] for stack in stacks]


def _pick(kind: str, wanted: Sequence[int], known: Sequence[int]) -> Sequence[int]:
    for number in wanted:
        if number not in known:
            raise AttributionError(f"{kind} {number} does not exist; choose from {known[0]} to {known[-1]}")
    return wanted or known


def passed_on(
    carried: Sequence[Float[Tensor, "b n"]], flow: Flow, layer: LayerRecord, gradient: Tensor | None
) -> list[Float[Tensor, "b n"]]:
    """Return r E of each r, in blocks of rows; of all but the first with the flow's content-free twin for E."""
    found = [torch.zeros_like(each) for each in carried]
    for start, stop in _blocks(carried, layer):
        block = flow(layer, gradient, start, stop)
        for index, each in enumerate(carried):
            moved = spread(layer, block, start) if index else block
            passed = (each[:, None, None, start:stop] @ moved).mean(dim=(1, 2))
            found[index][:, : passed.shape[1]] += passed
    return found


class Recursion:
    """r <- share (r + r E) from the top layer down; E is a flow's mean over heads, r starts as the answer's rows.

    The result is one row of the product of share (I + E_l) over layers; with `twin`, also that of the content-free
    twin. Rows where r is 0 are not computed: in the top layer, all but the answer's.
    """

    def __init__(self, record: AttentionRecord, flow: Flow, share: float, *, twin: bool = False) -> None:
        self.record, self.flow, self.share = record, flow, share
        self.carried: list[Tensor] = [torch.empty(0)] * (2 if twin else 1)
        self.started = False

    def step(self, layer: LayerRecord, gradient: Tensor | None = None) -> None:
        """Add the next layer, top layer first."""
        if not self.started:
            self.carried, self.started = [_answer(self.record, layer) for _ in self.carried], True
        self.carried = [carried.to(layer.query.device) for carried in self.carried]
        flowed = passed_on(self.carried, self.flow, layer, gradient)
        self.carried = [self.share * (old + new) for old, new in zip(self.carried, flowed, strict=True)]

    @property
    def values(self) -> Float[Tensor, "b n"]:
        """Flow that reached each token, divided by its content-free twin if there is one."""
        return divided(*self.carried)


def run(
    subject: Subject, method: str, record: AttentionRecord, *, offload: bool = False,
    then: Callable[[], None] | None = None, to_tokens: bool = False,
) -> Float[Tensor, "1 n d"] | None:  # fmt: skip
    """Run the model once on the subject's clip: forward, backward if the record wants gradients, then call `then`.

    With `offload`, autograd stores its tensors in CPU memory. Returns the scalar's gradient by the visual tokens where
    the backward pass goes on `to_tokens`. Raises UnsupportedModel when the model does not expose its attention.
    """
    model = require(subject.model, RecordsAttention, method)
    record.tokens = subject.tokens
    tokens, wanted = subject.visual.detach().requires_grad_(to_tokens), record.on_gradient is not None
    slopes: Tensor | None = None
    with model.record_attention(record), torch.enable_grad() if wanted else torch.no_grad():
        with save_on_cpu() if offload else nullcontext():
            score = subject.score_tokens(tokens)
        if wanted and record.on_state is None:
            found = torch.autograd.grad(score.sum(), (record.root, tokens) if to_tokens else record.root)
            slopes = found[1] if to_tokens else None
        if then is not None:
            then()
    return slopes


def visual(subject: Subject, record: AttentionRecord, values: Float[Tensor, "1 n"]) -> Float[Tensor, "t h w"]:
    """Return the visual tokens' values of a sequence as a volume."""
    return subject.grid.to_volume(values[0, record.visual])


def _precision(layer: LayerRecord) -> torch.dtype:
    return torch.promote_types(layer.query.dtype, torch.float32)


def _answer(record: AttentionRecord, layer: LayerRecord) -> Tensor:
    """Return the mean of the answer rows' unit vectors, (b, n)."""
    start = layer.query.new_zeros((len(layer.query), layer.query.shape[2]), dtype=_precision(layer))
    for row in record.explained_rows:
        start[:, row] += 1 / len(record.explained_rows)
    return start


def _blocks(carried: Sequence[Tensor], layer: LayerRecord) -> Iterator[tuple[int, int]]:
    """Yield blocks of at most ELEMENTS elements that cover all rows where `carried` is not 0."""
    rows_in_use = torch.stack(list(carried)).abs().sum(dim=(0, 1)).nonzero().flatten()
    batch, heads, length, _ = layer.query.shape
    size = max(1, ELEMENTS // (batch * heads * length))
    first, last = (int(rows_in_use[0]), int(rows_in_use[-1]) + 1) if len(rows_in_use) else (0, 0)
    for start in range(first, last, size):
        yield start, min(start + size, last)
