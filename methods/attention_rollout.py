"""Attention rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attrib import attention
from attrib.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class AttentionRollout(Method):
    """Attention propagated through all layers with residual connections (Abnar and Zuidema 2020, eq. 1).

    Under a causal mask position dominates it: earlier tokens collect more, whatever they show.
    """

    @torch.no_grad()
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Shares of the answer row, 0 or more."""
        found, _ = attention.record(subject, "attention_rollout", gradients=False)
        return attention.visual(subject, found, attention.rollout(found))
