"""Attention rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from attrib.attention import flows
from attrib.attention.descent import STRIDE, Descent
from attrib.attention.method import AttentionMethod
from attrib.attention_record import AttentionRecord

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class AttentionRollout(AttentionMethod):
    """Attention propagated through all layers with residual connections (Abnar and Zuidema 2020, eq. 1).

    Under a causal mask position dominates it: earlier tokens collect more, whatever they show; `null` divides that out.
    `checkpoint` computes layers again instead of keeping all queries and keys, `offload` keeps what is kept in
    the CPU's memory.
    """

    reference: ClassVar[str] = "Abnar and Zuidema 2020, eq. 1"

    checkpoint: bool = True
    offload: bool = False

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Shares of the answer row, 0 or more; divided: how many times what even attention would give."""
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        rollout = flows.Recursion(record, flows.attention_flow, 0.5, twin=self.null == "divided")
        descent = Descent(record, rollout.step, stride=STRIDE if self.checkpoint else 0, offload=self.offload)
        flows.run(subject, "attention_rollout", record, then=descent.descend)
        return flows.visual(subject, record, rollout.values)
