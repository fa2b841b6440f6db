"""Drop of the score when pixels or visual tokens are replaced by a baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attrib.inputs.space import Baseline, Inputs, Space, baseline_of
from attrib.model import TokenGrid
from attrib.runtime.memory import batches
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Removal:
    """A subject's pixels or visual tokens, and a baseline that replaces some of them."""

    inputs: Inputs
    baseline: Tensor

    @staticmethod
    def of(subject: Subject, space: Space, baseline: Baseline) -> Removal:
        """Build it from the names of the space and of the baseline."""
        return Removal(Inputs.of(subject, space), baseline_of(subject, space, baseline))

    @torch.no_grad()
    def drops(self, count: int, mask: Callable[[int], Bool[Tensor, ...]], batch: int) -> Float[Tensor, " count"]:
        """Return the score minus each of `count` versions' score, in nats, `batch` versions at a time.

        `mask(i)` is True where version i shows the baseline: (t, h, w) of pixels, (n,) of tokens.
        """
        whole = self.inputs.score(self.inputs.values)
        drops = [whole.new_empty(0)]
        for chunk in batches(count, batch):
            masks = torch.stack([mask(i) for i in range(chunk.start, chunk.stop)]).to(self.baseline.device)
            drops.append(whole - self.inputs.score(torch.where(masks.unsqueeze(2), self.baseline, self.inputs.values)))
        return torch.cat(drops)


@dataclass(frozen=True, eq=False)
class Cells:
    """A clip divided into (token steps, rows, columns) cells, with the cell of each pixel or token."""

    shape: Shape
    axes: tuple[Tensor, Tensor, Tensor]  # cell index along each axis, per frame or step, row and column
    flat: bool

    @staticmethod
    def of(inputs: Inputs, grid: TokenGrid, side: int) -> Cells:
        """Divide the frame into at most `side` rows and columns, and no more than the token grid has."""
        rows, columns = min(side, grid.rows), min(side, grid.columns)
        flat = inputs.grid is not None
        height, width = (grid.rows, grid.columns) if flat else inputs.values.shape[3:]
        time = torch.arange(grid.steps) if flat else torch.arange(grid.frames) // grid.frames_per_step
        y, x = torch.arange(height) * rows // height, torch.arange(width) * columns // width
        return Cells((grid.steps, rows, columns), (time, y, x), flat)

    def mask(self, cells: Bool[Tensor, "t r c"]) -> Bool[Tensor, "t h w"] | Bool[Tensor, " n"]:
        """Return the mask of the pixels or tokens in these cells, as `Removal.drops` expects it."""
        time, y, x = self.axes
        mask = cells[time][:, y][:, :, x]
        return mask.flatten() if self.flat else mask
