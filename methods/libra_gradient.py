"""Input times a gradient with constant softmax weights, gates and denominators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.capabilities import RepairsGradients, require
from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Method

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class LibraGradient(Method):
    """Input times a gradient that holds softmax weights, gates and normalisation denominators constant.

    Libragrad (Mehri et al. 2024, arXiv 2411.16760, input x gradient). The map covers visual tokens; text tokens have
    shares too, and the shares of all tokens add up to the difference of two options' logits.
    """

    reference: ClassVar[str] = "Mehri et al. 2024, arXiv 2411.16760, input x gradient"

    space: Space = "tokens"

    def __post_init__(self) -> None:
        require_space(self.space)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats. Raises UnsupportedModel when the model cannot repair its gradients."""
        model = require(subject.model, RepairsGradients, "libra_gradient")
        inputs = Inputs.of(subject, self.space)
        variable = inputs.variable
        with model.repaired_gradients(), torch.enable_grad():
            (gradient,) = torch.autograd.grad(inputs.score(variable).sum(), variable)
        return inputs.volume((inputs.values * gradient).sum(dim=2))
