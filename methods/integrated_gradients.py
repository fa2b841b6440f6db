"""Integrated gradients in pixel space, through Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from captum.attr import IntegratedGradients as Captum
from torchvision.transforms.v2.functional import gaussian_blur

from attrib.method import Attribution, Method, require_at_least, require_choice

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Baseline = Literal["blur", "black", "mean"]
LEAST = 1e-6  # nats; a smaller change is rounding, and dividing by it would tell nothing
BLUR = 0.1  # sigma as a share of the frame's height


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """(x - x') times the mean gradient on the straight path from a baseline x' (Sundararajan et al. 2017, eq. 3).

    Pixels' three channels are summed. Reports `completeness_error`, |sum - (f(x) - f(x'))| / |f(x) - f(x')|.
    """

    steps: int = 32
    baseline: Baseline = "blur"
    batch: int = 1  # path points per forward and backward pass: each holds a whole video

    def __post_init__(self) -> None:
        require_choice("baseline", self.baseline, get_args(Baseline))
        require_at_least("steps", self.steps, 1)
        require_at_least("batch", self.batch, 1)

    def values(self, subject: Subject) -> Attribution:
        """Nats per pixel, signed; they add up to f(x) - f(x') but for the reported error."""
        pixels = subject.pixels[None]
        baseline = baseline_of(subject.pixels, self.baseline)[None]
        with torch.enable_grad():
            values, delta = Captum(subject.score).attribute(
                pixels, baseline, n_steps=self.steps, method="gausslegendre", internal_batch_size=self.batch,
                return_convergence_delta=True,
            )  # fmt: skip
        with torch.no_grad():
            change = float(subject.score(pixels) - subject.score(baseline))
        error = abs(float(delta)) / max(abs(change), LEAST)
        return Attribution(values[0].sum(dim=1).detach(), {"completeness_error": error, "score_change": change})


def baseline_of(pixels: Float[Tensor, "t 3 h w"], kind: Baseline) -> Float[Tensor, "t 3 h w"]:
    """The video blurred, black (zeros), or filled with its own mean colour."""
    if kind == "black":
        return torch.zeros_like(pixels)
    if kind == "mean":
        return pixels.mean(dim=(0, 2, 3), keepdim=True).expand_as(pixels).contiguous()
    sigma = BLUR * pixels.shape[2]
    reach = min(int(3 * sigma), min(pixels.shape[2:]) - 1)  # reflection cannot reach over the frame
    return gaussian_blur(pixels, [2 * reach + 1, 2 * reach + 1], [sigma, sigma])
