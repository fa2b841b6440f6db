"""Relevance propagated through attention times gradient."""

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
class Relevance(AttentionMethod):
    r"""The answer row of R <- R + mean_h relu(A_h * dA_h) R through all layers (Chefer et al. 2021, eq. 5 and 6).

    `checkpoint` recomputes layers in the backward pass instead of storing their activations; `offload` stores tensors
    for the backward pass in CPU memory.

    $$r^{(l-1)} = r^{(l)} + \frac{1}{H} \sum_h r^{(l)} \max\left(0, A_{lh} \frac{\partial f}{\partial
    A_{lh}}\right), \quad r^{(L)} = e_a$$
    """

    reference: ClassVar[str] = "Chefer et al. 2021, eq. 5 and 6"

    checkpoint: bool = True
    offload: bool = False

    @property
    def footprint(self) -> Footprint:
        """Inputs of all layers, or all activations, and blocks of rows."""
        return Footprint("layer inputs" if self.checkpoint else "everything", rows=True)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the relevance, 0 or more."""
        record = AttentionRecord(find_sinks=self.sinks == "mask", checkpoint=self.checkpoint)
        recursion = flows.Recursion(record, flows.relevance_flow, 1.0, twin=self.null == "divided")
        record.on_gradient = recursion.step
        flows.run(subject, "relevance", record, offload=self.offload)
        return flows.visual(subject, record, recursion.values)
