"""Plain gradient magnitude, through Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from captum.attr import Saliency as Captum

from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Method, require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Magnitude = Literal["max", "norm"]


@dataclass(frozen=True)
class Saliency(Method):
    r"""Magnitude of the score's gradient at each location (Simonyan et al. 2014, section 3.1).

    `magnitude` reduces colours or token channels: the `max` of absolute values, as in the paper, or the 2-`norm`.

    $$M_i = \max_c \left| \frac{\partial f}{\partial x_{ci}}(x) \right|$$
    """

    reference: ClassVar[str] = "Simonyan et al. 2014, section 3.1"

    space: Space = "pixels"
    magnitude: Magnitude = "max"

    def __post_init__(self) -> None:
        require_space(self.space)
        require_choice("magnitude", self.magnitude, get_args(Magnitude))

    @property
    def footprint(self) -> Footprint:
        """One backward pass."""
        return Footprint("everything", self.space)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return nats per unit of brightness or of token, 0 or more."""
        inputs = Inputs.of(subject, self.space)
        with torch.enable_grad():
            gradient: Tensor = Captum(inputs.score).attribute(inputs.variable, abs=False)
        return inputs.volume(magnitude(gradient, self.magnitude))


def magnitude(gradient: Tensor, kind: Magnitude) -> Tensor:
    """Reduce axis 2 to its largest absolute value or its 2-norm."""
    return gradient.abs().amax(dim=2) if kind == "max" else gradient.norm(dim=2)
