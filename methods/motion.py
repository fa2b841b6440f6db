"""Control: change between neighbouring frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import adaptive_avg_pool2d

from attrib.method import Control

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

SIDE = 32


@dataclass(frozen=True)
class Motion(Control):
    r"""Energy of the difference to the neighbouring frames, mean of the frame before and the frame after.

    $$M_t = \frac{1}{2} \sum_{u = t \pm 1} \frac{1}{3} \sum_c (x_{ct} - x_{cu})^2$$
    """

    reference: ClassVar[str] = "defined here"

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return squared differences, 0 or more; zero for a clip of one frame."""
        pixels = subject.pixels.detach().float()
        change = (pixels.diff(dim=0) ** 2).mean(dim=1)
        energy = torch.zeros_like(pixels[:, 0])
        sides = torch.zeros(len(pixels), 1, 1, device=pixels.device)
        for frames in (slice(None, -1), slice(1, None)):
            energy[frames] += change
            sides[frames] += 1
        energy = energy / sides.clamp(min=1)
        side = min(SIDE, *energy.shape[1:])
        return adaptive_avg_pool2d(energy, (side, side))
