"""Grad-ECLIP: values times the gradient at the attention's output, weighted by softened similarity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class GradEclip(AttentionMethod):
    r"""Mean over layers of relu(softened similarity * value . df/do) at the answer row (Zhao et al. 2024, Grad-ECLIP).

    o is the attention's output at the answer's row, all heads side by side. The softmax concentrates on few tokens;
    its place is taken by the cosine of the answer's query and a token's key, over all heads, scaled to [0, 1] over the
    visual tokens. One forward and backward pass. `layers` selects by number (none: all; the paper takes the last ones
    of an encoder, but the answer of a decoder gathers what it sees in its middle). `checkpoint` recomputes layers in
    the backward pass instead of storing their activations; `offload` stores tensors for it in CPU memory.

    $$M_i = \frac{1}{L} \sum_l \max\left(0, \lambda_{li} \sum_c \frac{\partial f}{\partial o_{lac}} v_{lic}\right),
    \quad \lambda_{li} = \frac{\cos(q_{la}, k_{li}) - \min_j \cos(q_{la}, k_{lj})}{\max_j \cos(q_{la}, k_{lj}) -
    \min_j \cos(q_{la}, k_{lj})}$$
    """

    reference: ClassVar[str] = "Zhao et al. 2024, arXiv 2502.18816"

    layers: tuple[int, ...] = ()
    checkpoint: bool = True
    offload: bool = False

    @property
    def footprint(self) -> Footprint:
        """Inputs of all layers, or all activations."""
        return Footprint("layer inputs" if self.checkpoint else "everything")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return gradients times values (nats per unit of attention), 0 or more."""
        record = AttentionRecord(find_sinks=self.sinks == "mask", checkpoint=self.checkpoint)
        flow = partial(eclip_flow, record)
        answer_rows = flows.AnswerRows(record, flow, twin=self.null == "divided")
        record.on_gradient = answer_rows.step
        flows.run(subject, "grad_eclip", record, offload=self.offload)
        means = [each.mean(dim=(1, 2)) for each in answer_rows.chosen(self.layers)]
        return flows.visual(subject, record, flows.divided(*means))


def eclip_flow(
    record: AttentionRecord, layer: LayerRecord, gradient: Tensor | None, start: int, stop: int
) -> Float[Tensor, "b 1 r width"]:
    """Return the softened similarity times df/do . v, rectified, 0 where rows may not attend; one for all heads."""
    assert gradient is not None
    slopes = flows.gradient_rows(layer, gradient, start, stop).sum(dim=1, keepdim=True)
    free = flows.visible(layer, start, stop).any(dim=1, keepdim=True)
    return (softened(layer, record.visual, start, stop) * slopes).clamp(min=0).masked_fill(~free, 0)


def softened(layer: LayerRecord, visual: Tensor, start: int, stop: int) -> Float[Tensor, "b 1 r width"]:
    """Return the cosine of queries and keys over all heads, scaled so that visual tokens take [0, 1]."""
    precision = torch.promote_types(layer.query.dtype, torch.float32)
    width, group = layer.reach(stop), layer.query.shape[1] // layer.key.shape[1]
    query = layer.query[:, :, start:stop].transpose(1, 2).flatten(2).to(precision)
    key = layer.key[:, :, :width].repeat_interleave(group, dim=1).transpose(1, 2).flatten(2).to(precision)
    cosine = torch.nn.functional.normalize(query, dim=2) @ torch.nn.functional.normalize(key, dim=2).mT
    seen = cosine[:, :, visual[visual < width].to(cosine.device)]
    low, high = seen.amin(dim=2, keepdim=True), seen.amax(dim=2, keepdim=True)
    tiny = torch.finfo(precision).tiny
    return ((cosine - low) / (high - low).clamp(min=tiny)).clamp(0, 1)[:, None]
