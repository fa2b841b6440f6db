"""Drop of the answer where parts of the clip, or of its visual tokens, are replaced by a baseline."""

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
    """A subject's pixels or visual tokens, and a baseline that takes the place of some of them."""

    inputs: Inputs
    baseline: Tensor

    @staticmethod
    def of(subject: Subject, space: Space, baseline: Baseline) -> Removal:
        """Build it from the names of the space and of the baseline."""
        return Removal(Inputs.of(subject, space), baseline_of(subject, space, baseline))

    @torch.no_grad()
    def drops(self, count: int, gone: Callable[[int], Bool[Tensor, ...]], batch: int) -> Float[Tensor, " count"]:
        """The score minus that of each of `count` versions, in nats, `batch` versions at a time.

        `gone(i)` says which places of version i are replaced: (t, h, w) of pixels, (n,) of tokens.
        """
        whole = self.inputs.score(self.inputs.values)
        parts = [whole.new_empty(0)]
        for part in batches(count, batch):
            masks = torch.stack([gone(i) for i in range(part.start, part.stop)]).to(self.baseline.device)
            parts.append(whole - self.inputs.score(torch.where(masks.unsqueeze(2), self.baseline, self.inputs.values)))
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class Cells:
    """A clip cut into (steps, rows, columns) cells, a step being one of the token grid's; the cell of each place."""

    shape: Shape
    axes: tuple[Tensor, Tensor, Tensor]  # number of the cell along each axis, for each frame or step, row and column
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

    def places(self, cells: Bool[Tensor, "t r c"]) -> Bool[Tensor, "t h w"] | Bool[Tensor, " n"]:
        """The places that lie in these cells, as `Removal.drops` wants them."""
        time, y, x = self.axes
        found = cells[time][:, y][:, :, x]
        return found.flatten() if self.flat else found
