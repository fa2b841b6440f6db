"""Expected gradients from several baselines, with stratified draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.inputs.monte_carlo import report_of_halves
from attrib.inputs.space import Baseline, Inputs, Space, baseline_of, require_space
from attrib.method import Attribution, Batched, Method, require_at_least
from attrib.runtime.memory import batches
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class GradientShap(Batched, Method):
    r"""(x - x') times the gradient at a random point between them, mean over baselines x' and noise on x.

    Expected gradients (Erion et al. 2021; Lundberg and Lee 2017). Baselines take turns, and in both halves of the
    samples each baseline's points lie one in each equal part of the path. Reports `monte_carlo_agreement`: the rank
    correlation to expect between this map and one of another seed, from the two halves.

    $$M_i = E_{x', \alpha, \epsilon} \sum_c (x + \epsilon - x')_{ci} \frac{\partial f}{\partial x_{ci}}(x' + \alpha
    (x + \epsilon - x'))$$
    """

    reference: ClassVar[str] = "Erion et al. 2021; Lundberg and Lee 2017"

    samples: int = 180
    sigma: float = 0.02  # of the noise, as a share of the [0, 1] pixel range, or of the tokens' standard deviation
    baselines: tuple[Baseline, ...] = ("blur", "black", "mean")
    space: Space = "pixels"
    batch: int = 1  # samples per forward and backward pass

    def __post_init__(self) -> None:
        require_space(self.space, *self.baselines)
        require_at_least("number of baselines", len(self.baselines), 1)
        require_at_least("samples", self.samples, 1)
        require_at_least("sigma", self.sigma, 0)
        require_at_least("batch", self.batch, 1)

    @property
    def footprint(self) -> Footprint:
        """Backward passes of a batch."""
        return Footprint("everything", self.space, min(self.batch, self.samples), blurred="blur" in self.baselines)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats; in expectation they add up to f(x) - mean f(x')."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `monte_carlo_agreement`, if each baseline has two samples or more."""
        inputs = Inputs.of(subject, self.space)
        baselines = torch.cat([baseline_of(subject, self.space, kind) for kind in self.baselines])
        which, along, weight, half = self._draws()
        halves = torch.zeros_like(inputs.values[:, :, 0]).repeat(2, *[1] * (inputs.values.ndim - 2))
        ones = [1] * (inputs.values.ndim - 1)
        for chunk in batches(self.samples, self.batch):
            start = baselines[which[chunk].to(baselines.device)]
            end = inputs.values + self.sigma * inputs.scale * torch.randn_like(start)
            points = (start + along[chunk].to(start).view(-1, *ones) * (end - start)).requires_grad_()
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(inputs.score(points).sum(), points)
            values = ((end - start) * gradient).sum(dim=2) * weight[chunk].to(start).view(-1, *ones[1:])
            halves.index_add_(0, half[chunk].to(values.device), values)
        one, two = (inputs.volume(values[None]) for values in halves)
        enough = self.samples >= 2 * len(self.baselines)
        return Attribution(one + two, report_of_halves(one, two, subject.grid) if enough else {})

    def _draws(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return each sample's baseline, its place on the path, its weight, and the half that it belongs to."""
        order, turn = torch.randperm(len(self.baselines)), torch.arange(self.samples)
        which, half = order[turn % len(order)], turn // len(order) % 2
        counts = torch.bincount(which, minlength=len(order))
        parts = torch.bincount(which * 2 + half, minlength=2 * len(order))[which * 2 + half]
        along = (turn // len(order) // 2 + torch.rand(self.samples)) / parts
        return which, along, 1 / (counts[which] * (counts > 0).sum()), half
