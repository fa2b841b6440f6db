"""Base classes of imputers, which decide what the model sees in place of removed cells of a clip.

Removed cells are a boolean array (t, rows, columns), True where a cell is removed, with one slice for each clip frame.

A metric's imputers are not the baselines of gradient and occlusion methods (`attrib.inputs.space`), even where the
names are alike. A baseline replaces the whole clip, and a method compares the clip with it; an imputer fills some
cells and may look at the others. `blur` is a Gaussian with the same relative width along both axes, renormalised at the
frame's edge, for imputers; as a baseline it is equally wide in pixels along both axes and reflects at the edge.
`freeze` shows the last visible content of each removed cell; the baseline `frozen` shows the first frame throughout.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib.model import TokenGrid

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

BoolArray = NDArray[np.bool_]
Fill = Callable[[BoolArray], Tensor]  # removed cells -> the clip's pixels (t, 3, h, w) without them


@dataclass(frozen=True, eq=False)
class Canvas:
    """Pixels (t, 3, h, w) of a clip under rows x columns cells per frame; a pixel belongs to its centre's cell."""

    pixels: Tensor
    rows: int
    columns: int
    seed: int = 0

    def per_pixel(self, cells: NDArray[Any]) -> Tensor:
        """Values (t, h, w) of the pixels, from one value for each cell (t, rows, columns)."""
        row, column = self.cell_of_pixel
        return torch.from_numpy(cells[:, row[:, None], column]).to(self.pixels.device)

    def filled(self, plate: Float[Tensor, "#t 3 #h #w"], removed: BoolArray) -> Float[Tensor, "t 3 h w"]:
        """Pixels of the clip, with those of `plate` in the removed cells."""
        return torch.where(self.per_pixel(removed)[:, None], plate, self.pixels)

    @cached_property
    def colour(self) -> Float[Tensor, "1 3 1 1"]:
        """Mean colour of the whole video."""
        return self.pixels.mean(dim=(0, 2, 3), keepdim=True)

    @cached_property
    def cell_of_pixel(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cell row of each pixel row, and cell column of each pixel column."""
        height, width = self.pixels.shape[-2:]
        return cell_of(height, self.rows), cell_of(width, self.columns)


def cell_of(count: int, cells: int) -> NDArray[np.int64]:
    """Index of the cell that holds the centre of each of `count` pixels or tokens along one axis."""
    return ((np.arange(count) + 0.5) / count * cells).astype(np.int64)


@dataclass(frozen=True)
class Imputer:
    """Hides removed cells from the model. Derive from PixelImputer or TokenImputer; fields are parameters."""


@dataclass(frozen=True)
class PixelImputer(Imputer, ABC):
    """Shows other pixels in removed cells. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def prepare(self, canvas: Canvas) -> Fill:
        """Return a function from removed cells to the clip's pixels without them, after the work that all calls share.

        The function leaves other pixels as they are and returns values in [0, 1]. It draws noise from its own
        generator, seeded with `canvas.seed`.
        """


@dataclass(frozen=True)
class TokenImputer(Imputer, ABC):
    """Drops visual tokens of removed cells. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def keep(self, removed: BoolArray, grid: TokenGrid) -> Bool[Tensor, " n"]:
        """Mask, True for each visual token that stays in the sequence."""
