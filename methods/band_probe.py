"""Occlusion of whole frames, rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.inputs.removal import Cells, Removal
from attrib.inputs.space import Baseline, Space, require_space
from attrib.method import Batched, Method, require_at_least
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class BandProbe(Batched, Method):
    r"""Drop of the score without each step, each row and each column of cells: t + h + w versions instead of t h w.

    The map is the geometric mean of the three rectified profiles: exact for one compact region of evidence; for two
    regions, it cannot tell which rows belong to which columns. The frame has `cells` x `cells` cells, at most as many
    as the token grid.

    $$M_{tyx} = (d_t d_y d_x)^{1/3}, \quad d_b = \max(0, f(x) - f(x_{\setminus b}))$$
    """

    reference: ClassVar[str] = "defined here"

    cells: int = 8
    space: Space = "pixels"
    baseline: Baseline = "blur"
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_space(self.space, self.baseline)
        require_at_least("cells", self.cells, 1)
        require_at_least("batch", self.batch, 1)

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", self.space, self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the geometric mean of the drops in nats, 0 or more."""
        removal = Removal.of(subject, self.space, self.baseline)
        cells = Cells.of(removal.inputs, subject.grid, self.cells)
        bands = [(axis, index) for axis, size in enumerate(cells.shape) for index in range(size)]

        def mask(number: int) -> Bool[Tensor, ...]:
            axis, index = bands[number]
            return cells.mask(torch.zeros(cells.shape).index_fill(axis, torch.tensor([index]), 1).bool())

        drops = removal.drops(len(bands), mask, self.batch).cpu().double().clamp(min=0)
        return torch.einsum("t,y,x->tyx", *drops.split(cells.shape)) ** (1 / 3)
