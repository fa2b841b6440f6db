"""Layer-wise relevance propagation as input times a gradient by rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

import torch

from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Method, require_choice
from attrib.propagation.rules import Rule, propagating
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class LRP(Method):
    r"""Relevance of each pixel or visual token, as input times a gradient that follows a rule through every operation.

    `cp`: attention weights and gates are constant (Ali et al. 2022); `libra`: attention weights are, and the gradient
    of a gated product is halved (Mehri et al. 2024); `attnlrp`: softmax has its own gradient, and that of every product
    is halved (Achtibat et al. 2024). With `cp` and `libra` the shares of all tokens, text included, add up
    to the difference of two options' logits, but for biases.

    $$M_i = \sum_c x_{ci} \tilde{\nabla}_{ci} f(x)$$
    """

    reference: ClassVar[str] = "Ali et al. 2022; Mehri et al. 2024, arXiv 2411.16760; Achtibat et al. 2024"

    rule: Rule = "cp"  # how relevance passes attention and products, as above
    space: Space = "tokens"

    def __post_init__(self) -> None:
        require_choice("rule", self.rule, get_args(Rule))
        require_space(self.space)

    @property
    def footprint(self) -> Footprint:
        """One backward pass."""
        return Footprint("everything", self.space)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed nats. Raises UnsupportedModel for a network with an operation that the rule does not know."""
        inputs = Inputs.of(subject, self.space)
        variable = inputs.variable
        with torch.enable_grad():
            with propagating(subject.model.module, self.rule):
                score = inputs.score(variable).sum()
            (gradient,) = torch.autograd.grad(score, variable)
        return inputs.volume((inputs.values * gradient).sum(dim=2))
