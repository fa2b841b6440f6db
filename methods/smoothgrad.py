"""Gradient averaged over noisy copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch

from attrib.inputs.monte_carlo import report_of_halves
from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Attribution, Batched, Method, require_at_least, require_choice
from attrib.methods.saliency import Magnitude, magnitude
from attrib.runtime.memory import batches
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Average = Literal["smoothgrad", "smoothgrad_sq", "vargrad"]


@dataclass(frozen=True)
class SmoothGrad(Batched, Method):
    r"""Magnitude of the mean gradient over noisy copies of the clip (Smilkov et al. 2017, eq. 2).

    `average` may also be the mean of squares (Hooker et al. 2019) or the variance (Adebayo et al. 2018). Reports
    `monte_carlo_agreement`: the rank correlation to expect between this map and one of another seed, from two halves of
    the copies.

    $$M_i = \max_c \left| \frac{1}{n} \sum_{k=1}^{n} \frac{\partial f}{\partial x_{ci}}(x + \epsilon_k) \right|$$
    """

    reference: ClassVar[str] = "Smilkov et al. 2017, eq. 2"

    samples: int = 64
    sigma: float = 0.1  # of the noise, as a share of the [0, 1] pixel range, or of the tokens' standard deviation
    average: Average = "smoothgrad"
    space: Space = "pixels"
    magnitude: Magnitude = "max"  # of colours or token channels, as in saliency
    batch: int = 1  # copies per forward and backward pass

    def __post_init__(self) -> None:
        require_space(self.space)
        require_choice("average", self.average, get_args(Average))
        require_choice("magnitude", self.magnitude, get_args(Magnitude))
        require_at_least("samples", self.samples, 1)
        require_at_least("sigma", self.sigma, 0)
        require_at_least("batch", self.batch, 1)

    @property
    def footprint(self) -> Footprint:
        """Backward passes of a batch."""
        return Footprint("everything", self.space, min(self.batch, self.samples))

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return nats per unit of brightness or of token (squared for the other averages), 0 or more."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `monte_carlo_agreement`, from four copies on."""
        inputs = Inputs.of(subject, self.space)
        deviation = torch.full_like(inputs.values, self.sigma * inputs.scale)
        sums = torch.zeros(2, 2, *inputs.values.shape[1:]).to(inputs.values)  # of gradients and squares, in each half
        for chunk in batches(self.samples, self.batch):
            copies = torch.cat([inputs.values + torch.normal(0, deviation) for _ in range(chunk.start, chunk.stop)])
            with torch.enable_grad():
                (slopes,) = torch.autograd.grad(inputs.score(copies.requires_grad_()).sum(), copies)
            half = torch.arange(chunk.start, chunk.stop, device=slopes.device) % 2
            sums[0].index_add_(0, half, slopes)
            sums[1].index_add_(0, half, slopes.square())
        values = inputs.volume(self._map(sums.sum(dim=1), self.samples))
        if self.samples < 4:
            return Attribution(values)
        one, two = (inputs.volume(self._map(sums[:, half], (self.samples + 1 - half) // 2)) for half in (0, 1))
        return Attribution(values, report_of_halves(one, two, subject.grid))

    def _map(self, sums: Tensor, count: int) -> Tensor:
        """Return the magnitude of the average over `count` copies, from the sums of their gradients and squares."""
        mean, square = sums / count
        averages = {"smoothgrad": mean, "smoothgrad_sq": square, "vargrad": square - mean.square()}
        return magnitude(averages[self.average][None], self.magnitude)
