"""Input times repaired gradient."""

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

    Libragrad (Mehri et al. 2024, arXiv 2411.16760, input x gradient). Tokens are visual tokens, the text's have a share
    of their own: of a difference of two options' logits all shares together are the whole.
    """

    reference: ClassVar[str] = "Mehri et al. 2024, arXiv 2411.16760, input x gradient"

    space: Space = "tokens"

    def __post_init__(self) -> None:
        require_space(self.space)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Nats, signed. Raises UnsupportedModel when the model cannot repair its gradients."""
        model = require(subject.model, RepairsGradients, "libra_gradient")
        inputs = Inputs.of(subject, self.space)
        variable = inputs.variable
        with model.repaired_gradients(), torch.enable_grad():
            (gradient,) = torch.autograd.grad(inputs.score(variable).sum(), variable)
        return inputs.volume((inputs.values * gradient).sum(dim=2))
