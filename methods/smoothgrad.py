"""Gradient averaged over noisy copies, through Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from captum.attr import NoiseTunnel
from captum.attr import Saliency as Captum

from attrib.inputs.space import Inputs, Space, require_space
from attrib.method import Batched, Method, require_at_least, require_choice
from attrib.methods.saliency import Magnitude, magnitude

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Average = Literal["smoothgrad", "smoothgrad_sq", "vargrad"]


@dataclass(frozen=True)
class SmoothGrad(Batched, Method):
    """Magnitude of the mean gradient over noisy copies of the clip (Smilkov et al. 2017, eq. 2).

    `average` may also be the mean of squares (Hooker et al. 2019) or the variance (Adebayo et al. 2018).
    """

    reference: ClassVar[str] = "Smilkov et al. 2017, eq. 2"

    samples: int = 16
    sigma: float = 0.1  # of the noise, as a share of the [0, 1] pixel range, or of the tokens' standard deviation
    average: Average = "smoothgrad"
    space: Space = "pixels"
    magnitude: Magnitude = "max"
    batch: int = 1  # copies per forward and backward pass

    def __post_init__(self) -> None:
        require_space(self.space)
        require_choice("average", self.average, get_args(Average))
        require_choice("magnitude", self.magnitude, get_args(Magnitude))
        require_at_least("samples", self.samples, 1)
        require_at_least("sigma", self.sigma, 0)
        require_at_least("batch", self.batch, 1)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return nats per unit of brightness or of token (squared for the other averages), 0 or more."""
        inputs = Inputs.of(subject, self.space)
        with torch.enable_grad():
            gradient: Tensor = NoiseTunnel(Captum(inputs.score)).attribute(
                inputs.variable, nt_type=self.average, nt_samples=self.samples, stdevs=self.sigma * inputs.scale,
                nt_samples_batch_size=min(self.batch, self.samples), abs=False,
            )  # fmt: skip
        return inputs.volume(magnitude(gradient, self.magnitude))
