"""Input times gradient, through Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from captum.attr import InputXGradient as Captum

from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Method
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class InputXGradient(Method):
    r"""Input times gradient, summed over colours or token channels (Shrikumar et al. 2016).

    $$M_i = \sum_c x_{ci} \frac{\partial f}{\partial x_{ci}}(x)$$
    """

    reference: ClassVar[str] = "Shrikumar et al. 2016"

    space: Space = "pixels"

    def __post_init__(self) -> None:
        require_space(self.space)

    @property
    def footprint(self) -> Footprint:
        """One backward pass."""
        return Footprint("everything", self.space)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed nats: the score's first-order drop when the location turns black or its token zero."""
        inputs = Inputs.of(subject, self.space)
        with torch.enable_grad():
            values: Tensor = Captum(inputs.score).attribute(inputs.variable)
        return inputs.volume(values.sum(dim=2))
