"""Attention rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attrib import attention
from attrib.attention_method import AttentionMethod
from attrib.attention_record import AttentionRecord, LayerRecord

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class AttentionRollout(AttentionMethod):
    """Attention propagated through all layers with residual connections (Abnar and Zuidema 2020, eq. 1).

    Under a causal mask position dominates it: earlier tokens collect more, whatever they show; `null` divides that out.
    `offload` keeps queries and keys in the CPU's memory.
    """

    offload: bool = False

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Shares of the answer row, 0 or more; divided: how many times what even attention would give."""
        kept: list[LayerRecord] = []
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        record.on_layer = lambda layer: kept.append(layer.without_values("cpu" if self.offload else None))
        attention.run(subject, "attention_rollout", record)
        rollout = attention.Recursion(record, attention.attention_flow, 0.5, twin=self.null == "divided")
        while kept:
            rollout.step(kept.pop().to(subject.pixels.device))
        return attention.visual(subject, record, rollout.values)
