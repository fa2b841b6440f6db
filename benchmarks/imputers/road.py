"""Noisy linear imputation of removed cells from their neighbours in the frame, and in the frames before and after.

A removed cell is the weighted mean of its neighbours, removed ones included: one sparse linear system per version.
Weights are those of Rong et al. 2022 (ROAD, arXiv 2202.00449): 2 for a direct neighbour, 1 for a diagonal one. Here the
same cell in the previous and in the next frame is a direct neighbour too. Cells outside the frame do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from attrib.imputer import BoolArray, Canvas, Fill, PixelImputer
from attrib.method import require_at_least

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Road(PixelImputer):
    """Noisy linear imputation (ROAD, Rong et al. 2022) from neighbouring cells in space and time.

    It solves for cells' mean colours, interpolated to pixels bilinearly: a system of all pixels would take longer than
    the model. A pixel's noise is the same in every version.
    """

    noise: float = 0.01  # standard deviation for colours in [0, 1], as in the paper

    def __post_init__(self) -> None:
        require_at_least("noise", self.noise, 0)

    def prepare(self, canvas: Canvas) -> Fill:
        """Draw the noise and average the cells once."""
        pixels = canvas.pixels
        generator = torch.Generator().manual_seed(canvas.seed)
        noise = self.noise * torch.randn(pixels.shape, generator=generator).to(pixels)
        colours = _cell_colours(canvas)

        def version(removed: BoolArray) -> Tensor:
            if removed.all():
                return (canvas.colour + noise).clamp(0, 1)
            cells = torch.from_numpy(imputed_colours(colours, removed)).to(pixels).permute(0, 3, 1, 2)
            plate = torch.nn.functional.interpolate(cells, pixels.shape[-2:], mode="bilinear", align_corners=False)
            return canvas.filled((plate + noise).clamp(0, 1), removed)

        return version


def _cell_colours(canvas: Canvas) -> NDArray[np.float64]:
    """Return the mean colour of each cell, (t, rows, columns, 3)."""
    pixels = canvas.pixels
    row, column = (torch.nn.functional.one_hot(torch.from_numpy(each)).to(pixels) for each in canvas.cell_of_pixel)
    colours = torch.einsum("yr,tkyx,xc->trck", row / row.sum(dim=0), pixels, column / column.sum(dim=0))
    return colours.cpu().double().numpy()


def imputed_colours(colours: NDArray[np.float64], removed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return colours (t, rows, columns, 3) with removed cells (t, rows, columns) imputed; one cell must remain."""
    weights = neighbours(removed.shape)
    flat_removed = removed.ravel()
    imputed = colours.reshape(-1, colours.shape[-1]).copy()
    if flat_removed.any():
        rows = weights[flat_removed]
        totals = sparse.diags_array(np.asarray(rows.sum(axis=1)).ravel())
        solved = spsolve((totals - rows[:, flat_removed]).tocsc(), rows[:, ~flat_removed] @ imputed[~flat_removed])
        imputed[flat_removed] = solved.reshape(-1, colours.shape[-1])
    return imputed.reshape(colours.shape)


@lru_cache(maxsize=4)
def neighbours(shape: Shape) -> Any:
    """Return the sparse symmetric matrix (n, n) of weights imputed_colours cells, by flat cell index."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    weights = sparse.coo_array((numbers.size, numbers.size))
    for step in product((-1, 0, 1), repeat=3):
        distance = sum(map(abs, step))
        if distance == 1 or (distance == 2 and step[0] == 0):
            here, there = (numbers[tuple(map(_inside, step, shape, (sign,) * 3))].ravel() for sign in (1, -1))
            weight = np.full(len(here), 3.0 - distance)
            weights = weights + sparse.coo_array((weight, (here, there)), shape=weights.shape)
    return sparse.csr_array(weights)


def _inside(step: int, size: int, sign: int) -> slice:
    """Return the positions along an axis with a neighbour `step` away; with sign -1, these neighbours."""
    away = step * sign
    return slice(max(0, -away), size - max(0, away))
