"""Control: strength of the frames' edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import adaptive_avg_pool2d, conv2d, pad

from attrib.method import Control
from attrib.methods.motion import SIDE

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


@dataclass(frozen=True)
class Edges(Control):
    r"""Magnitude of each frame's Sobel gradient, over both directions and all colours (cf. Adebayo et al. 2018).

    $$M_i = \sqrt{\sum_c (K_x * x_c)_i^2 + (K_y * x_c)_i^2}$$
    """

    reference: ClassVar[str] = "cf. Adebayo et al. 2018"

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return brightness change per pixel, 0 or more; border pixels are replicated, so the border is no edge."""
        pixels = subject.pixels.detach().float()
        across = pixels.new_tensor(SOBEL) / 8
        kernels = torch.stack([across, across.T])[:, None]
        slopes = conv2d(pad(pixels, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None], kernels)
        magnitude = slopes.unflatten(0, pixels.shape[:2]).square().sum(dim=(1, 2)).sqrt()
        side = min(SIDE, *magnitude.shape[1:])
        return adaptive_avg_pool2d(magnitude, (side, side))
