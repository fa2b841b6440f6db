"""What takes the place of removed cells of a clip. Cells are (t, rows, columns), a slice for each frame of the clip.

`blur` the frame under a Gaussian; `mean` the video's mean colour; `freeze` the cell's last kept frame; `median` the
temporal median plate; `road` noisy linear imputation (`perturb.road`). `token` changes no pixel: the visual
tokens of removed cells are dropped from the sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib.benchmarks.perturb.road import between
from attrib.errors import UnknownName
from attrib.model import TokenGrid

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Imputer = Literal["blur", "mean", "freeze", "median", "road", "token"]
IMPUTERS: tuple[Imputer, ...] = get_args(Imputer)
BoolArray = NDArray[np.bool_]
SIGMA = 0.1  # of the blur, as a share of the frame's height and width: what is as small as a cell goes
NOISE = 0.01  # standard deviation of road's noise, as Rong et al. have it, for colours in [0, 1]
HALF = 0.5  # share of its frames from which on a token goes


@dataclass(frozen=True, eq=False)
class Canvas:
    """A clip's pixels (t, 3, h, w) under rows x columns cells a frame. A pixel is of the cell that holds its centre."""

    pixels: Tensor
    rows: int
    columns: int
    seed: int = 0

    def spread(self, cells: NDArray[Any]) -> Tensor:
        """A value for each cell (t, rows, columns) at each pixel, (t, h, w)."""
        row, column = self.places
        return torch.from_numpy(cells[:, row[:, None], column]).to(self.pixels.device)

    def shown(self, plate: Float[Tensor, "#t 3 #h #w"], removed: BoolArray) -> Float[Tensor, "t 3 h w"]:
        """The clip with `plate` in the removed cells."""
        return torch.where(self.spread(removed)[:, None], plate, self.pixels)

    @cached_property
    def colour(self) -> Float[Tensor, "1 3 1 1"]:
        """The video's mean colour."""
        return self.pixels.mean(dim=(0, 2, 3), keepdim=True)

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cell's row of each row of pixels, and its column of each column."""
        height, width = self.pixels.shape[-2:]
        return _centres(height, self.rows), _centres(width, self.columns)


def _centres(places: int, cells: int) -> NDArray[np.int64]:
    """The number of the cell in which each place's centre lies."""
    return ((np.arange(places) + 0.5) / places * cells).astype(np.int64)


# A version of the clip for each choice of removed cells; it may look at what is kept.
Fill = Callable[[BoolArray], Tensor]


def blur(canvas: Canvas) -> Fill:
    """Each frame under a Gaussian, renormalised at the frame's edge so that no darkness enters."""
    pixels = canvas.pixels
    rows, columns = (_gaussian(size).to(pixels) for size in pixels.shape[-2:])
    return partial(canvas.shown, rows @ pixels @ columns.T)


def _gaussian(size: int) -> Float[Tensor, "size size"]:
    place = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((place[:, None] - place) / (SIGMA * size)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def mean(canvas: Canvas) -> Fill:
    """The mean colour of the whole video."""
    return partial(canvas.shown, canvas.colour)


def median(canvas: Canvas) -> Fill:
    """Each pixel's median over all frames; of an even number the mean of the middle two."""
    ordered, count = canvas.pixels.sort(dim=0).values, len(canvas.pixels)
    return partial(canvas.shown, (ordered[(count - 1) // 2] + ordered[count // 2])[None] / 2)


def freeze(canvas: Canvas) -> Fill:
    """A cell keeps its content of the last frame that was kept there; before the first such frame, of that one.

    A cell that is kept in no frame shows the video's mean colour.
    """

    def version(removed: BoolArray) -> Tensor:
        source = last_kept(removed)
        frames = canvas.spread(source.clip(min=0))[:, None].expand(-1, 3, -1, -1)
        return torch.where(canvas.spread(source >= 0)[:, None], canvas.pixels.gather(0, frames), canvas.colour)

    return version


def last_kept(removed: BoolArray) -> NDArray[np.int64]:
    """The frame that each cell shows when it freezes (t, rows, columns), -1 where it is kept in none."""
    frames = np.arange(len(removed))[:, None, None]
    last = np.maximum.accumulate(np.where(removed, -1, frames), axis=0)
    first = np.where(removed.all(axis=0), -1, removed.argmin(axis=0))
    return np.where(last < 0, first, last)


def road(canvas: Canvas) -> Fill:
    """Noisy linear imputation (Rong et al. 2022), from the cells around in the frame, before and after.

    Solved for cells' mean colours: a system of all pixels would take longer than the model does. They are interpolated
    to pixels bilinearly. The noise of a pixel is the same in every version.
    """
    pixels = canvas.pixels
    generator = torch.Generator().manual_seed(canvas.seed)
    noise = NOISE * torch.randn(pixels.shape, generator=generator).to(pixels)
    row, column = (torch.nn.functional.one_hot(torch.from_numpy(part)).to(pixels) for part in canvas.places)
    colours = torch.einsum("yr,tkyx,xc->trck", row / row.sum(dim=0), pixels, column / column.sum(dim=0))
    known = colours.double().cpu().numpy()

    def version(removed: BoolArray) -> Tensor:
        if removed.all():
            return (canvas.colour + noise).clamp(0, 1)
        cells = torch.from_numpy(between(known, removed)).to(pixels).permute(0, 3, 1, 2)
        plate = torch.nn.functional.interpolate(cells, pixels.shape[-2:], mode="bilinear", align_corners=False)
        return canvas.shown((plate + noise).clamp(0, 1), removed)

    return version


# `token` is not among them: it changes no pixel.
FILLS: Mapping[str, Callable[[Canvas], Fill]] = {
    "blur": blur, "mean": mean, "freeze": freeze, "median": median, "road": road,
}  # fmt: skip


def kept_tokens(removed: BoolArray, grid: TokenGrid) -> Bool[Tensor, " n"]:
    """The visual tokens that stay: a token is of the cells in which its centre lies, one in each frame of its step.

    It goes when at least half of these cells are removed.
    """
    row, column = _centres(grid.rows, removed.shape[1]), _centres(grid.columns, removed.shape[2])
    at_tokens = removed[:, row[:, None], column]
    starts = range(0, grid.frames, grid.frames_per_step)
    share = np.stack([at_tokens[start : start + grid.frames_per_step].mean(axis=0) for start in starts])
    return torch.from_numpy(share < HALF).flatten()


def require_imputer(name: str) -> Imputer:
    """The imputer of this name. Raises UnknownName with the nearest one."""
    for imputer in IMPUTERS:
        if imputer == name:
            return imputer
    raise UnknownName("imputer", name, IMPUTERS)
