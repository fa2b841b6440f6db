"""The answer's own attention on the visual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch

from attrib import attention
from attrib.method import Method, require_choice

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class RawAttention(Method):
    """Attention of the answer position on each visual token, mean or maximum over layers and heads."""

    reduction: attention.Reduction = "mean"

    def __post_init__(self) -> None:
        require_choice("reduction", self.reduction, get_args(attention.Reduction))

    @torch.no_grad()
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Probabilities, 0 or more."""
        found, _ = attention.record(subject, "raw_attention", gradients=False)
        return attention.visual(subject, found, attention.raw(found, self.reduction))
