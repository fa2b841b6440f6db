"""SmoothGrad as a third party would write it: it knows nothing of attrib but its public names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attrib import Method, Subject

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True)
class SmoothGrad(Method):
    """Mean gradient over noisy copies of the video (Smilkov et al. 2017, eq. 2), channels summed."""

    reference = "Smilkov et al. 2017, eq. 2"
    samples: int = 16
    sigma: float = 0.1  # standard deviation of the noise, as a share of the [0, 1] pixel range

    def __post_init__(self) -> None:
        if self.samples < 1 or self.sigma < 0:
            raise ValueError(f"expected samples >= 1 and sigma >= 0, got {self.samples} and {self.sigma}")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Nats per unit of brightness, signed."""
        total = torch.zeros_like(subject.pixels)
        for _ in range(self.samples):
            noisy = subject.pixels + self.sigma * torch.randn_like(subject.pixels)
            total += self._gradient(subject, noisy)
        return total.sum(dim=1) / self.samples

    def _gradient(self, subject: Subject, pixels: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 3 h w"]:
        with torch.enable_grad():
            batch = pixels[None].detach().requires_grad_()
            (gradient,) = torch.autograd.grad(subject.score(batch).sum(), batch)
        return gradient[0]
