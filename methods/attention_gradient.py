"""Attention times gradient at the answer row."""

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
class AttentionGradient(Method):
    """Sum over layers of mean_h relu(A_h * dA_h) at the answer row (one hop of Chefer et al. 2021, eq. 5)."""

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Nats per unit of attention times attention, 0 or more."""
        found, gradients = attention.record(subject, "attention_gradient", gradients=True)
        with torch.no_grad():
            return attention.visual(subject, found, attention.attention_gradient(found, gradients))
