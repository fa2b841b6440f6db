"""Expected gradients from several baselines, through Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from captum.attr import GradientShap as Captum

from attrib.inputs.space import Baseline, Inputs, Space, baseline_of, require_space
from attrib.method import Batched, Method, require_at_least
from attrib.runtime.memory import batches

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class GradientShap(Batched, Method):
    """(x - x') times the gradient at a random point between them, mean over random baselines x' and noise on x.

    Expected gradients (Erion et al. 2021; Lundberg and Lee 2017).
    """

    reference: ClassVar[str] = "Erion et al. 2021; Lundberg and Lee 2017"

    samples: int = 16
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

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats; in expectation they add up to f(x) - mean f(x')."""
        inputs = Inputs.of(subject, self.space)
        baselines = torch.cat([baseline_of(subject, self.space, kind) for kind in self.baselines])
        total = torch.zeros_like(inputs.values)
        with torch.enable_grad():
            for chunk in batches(self.samples, self.batch):
                count = chunk.stop - chunk.start
                attributed = Captum(inputs.score).attribute(
                    inputs.variable, baselines, n_samples=count, stdevs=self.sigma * inputs.scale
                )
                total += attributed.detach() * count / self.samples
        return inputs.volume(total.sum(dim=2))
