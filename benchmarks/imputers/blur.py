"""Blurred frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from attrib.imputer import Canvas, Fill, PixelImputer

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Blur(PixelImputer):
    """The frame blurred by a Gaussian, renormalised at the frame's edge so that the edge does not darken."""

    sigma: float = 0.1  # share of the frame's height and width; hides details as small as a cell

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma: expected more than 0, got {self.sigma}")

    def prepare(self, canvas: Canvas) -> Fill:
        """Blur all frames once."""
        pixels = canvas.pixels
        rows, columns = (_gaussian(size, self.sigma).to(pixels) for size in pixels.shape[-2:])
        return partial(canvas.filled, rows @ pixels @ columns.T)


def _gaussian(size: int, sigma: float) -> Float[torch.Tensor, "size size"]:
    position = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((position[:, None] - position) / (sigma * size)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
