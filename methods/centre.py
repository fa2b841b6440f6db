"""Control: a blob in the centre of every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.method import Control, require_at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

SIDE = 32


@dataclass(frozen=True)
class Centre(Control):
    r"""A Gaussian of `sigma` times the frame's size, the same at all times: people film what matters in the middle.

    $$M_{tyx} = \exp\left( -\frac{(y - 1/2)^2 + (x - 1/2)^2}{2 \sigma^2} \right)$$
    """

    reference: ClassVar[str] = "defined here"

    sigma: float = 0.25

    def __post_init__(self) -> None:
        require_at_least("sigma", self.sigma, 0.01)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the Gaussian, in [0, 1]."""
        axis = (torch.arange(SIDE) + 0.5) / SIDE - 0.5
        profile = torch.exp(-0.5 * (axis / self.sigma) ** 2)
        return torch.outer(profile, profile).expand(len(subject.clip), SIDE, SIDE)
