"""Relevance propagated through attention times gradient."""

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
class Relevance(Method):
    """The answer row of R <- R + mean_h relu(A_h * dA_h) R through all layers (Chefer et al. 2021, eq. 5 and 6)."""

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Relevance, 0 or more."""
        found, gradients = attention.record(subject, "relevance", gradients=True)
        with torch.no_grad():
            return attention.visual(subject, found, attention.relevance(found, gradients))
