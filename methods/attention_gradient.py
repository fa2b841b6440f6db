"""Attention times gradient at the answer row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention_record import AttentionRecord
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class AttentionGradient(AttentionMethod):
    r"""Sum over layers of mean_h relu(A_h * dA_h) at the answer row (one hop of Chefer et al. 2021, eq. 5).

    `layers` and `heads` select by number (none: all). `checkpoint` recomputes layers in the backward pass instead of
    storing their activations; `offload` stores tensors for the backward pass in CPU memory.

    $$M_i = \sum_l \frac{1}{H} \sum_h \max\left(0, A_{lh} \frac{\partial f}{\partial A_{lh}}\right)_{ai}$$
    """

    reference: ClassVar[str] = "Chefer et al. 2021, eq. 5, one hop"

    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    checkpoint: bool = True
    offload: bool = False

    @property
    def footprint(self) -> Footprint:
        """Inputs of all layers, or all activations."""
        return Footprint("layer inputs" if self.checkpoint else "everything")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return attention times its gradient (nats per unit of attention), 0 or more."""
        record = AttentionRecord(find_sinks=self.sinks == "mask", checkpoint=self.checkpoint)
        answer_rows = flows.AnswerRows(record, flows.relevance_flow, twin=self.null == "divided")
        record.on_gradient = answer_rows.step
        flows.run(subject, "attention_gradient", record, offload=self.offload)
        sums = [flow.mean(dim=2).sum(dim=1) for flow in answer_rows.chosen(self.layers, self.heads)]
        return flows.visual(subject, record, flows.divided(*sums))
