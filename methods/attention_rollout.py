"""Attention rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from attrib.attention import flows
from attrib.attention.descent import STRIDE, Descent
from attrib.attention.method import AttentionMethod
from attrib.attention_record import AttentionRecord
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class AttentionRollout(AttentionMethod):
    r"""Attention propagated through all layers with residual connections (Abnar and Zuidema 2020, eq. 1).

    Under a causal mask, position dominates the result: earlier tokens collect more, whatever they show; `null: divided`
    removes this effect. `checkpoint` recomputes layers instead of storing all queries and keys; `offload` stores
    tensors in CPU memory.

    $$r^{(l-1)} = \frac{1}{2} r^{(l)} + \frac{1}{2H} \sum_h r^{(l)} A_{lh}, \quad r^{(L)} = e_a$$
    """

    reference: ClassVar[str] = "Abnar and Zuidema 2020, eq. 1"

    checkpoint: bool = True
    offload: bool = False

    @property
    def footprint(self) -> Footprint:
        """Queries and keys of a few layers, or of all, and blocks of rows."""
        return Footprint("queries and keys", stretch=STRIDE if self.checkpoint else 0, rows=True)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return shares of the answer row, 0 or more; with `null: divided`, as a ratio to uniform attention."""
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        rollout = flows.Recursion(record, flows.attention_flow, 0.5, twin=self.null == "divided")
        descent = Descent(record, rollout.step, stride=STRIDE if self.checkpoint else 0, offload=self.offload)
        flows.run(subject, "attention_rollout", record, then=descent.descend)
        return flows.visual(subject, record, rollout.values)
