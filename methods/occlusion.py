"""Occlusion by a space-time tube that slides over the clip."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch

from attrib.inputs.removal import Cells, Removal, Shape
from attrib.inputs.space import Baseline, Space, require_space
from attrib.method import Batched, Method, require_at_least, require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from attrib.subject import Subject

Border = Literal["over", "inside"]
Tube = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Occlusion(Batched, Method):
    r"""Drop of the score without a tube, mean over the tubes that cover a cell (Zeiler and Fergus 2014, section 4.2).

    `window` and `stride` are (token steps, rows, columns) in cells; the frame has `cells` x `cells` cells. Tubes slide
    `over` the frame's border, so that each cell is covered equally often, or stay `inside`, as Captum's do: fewer
    tubes then cover a cell at the border, which favours it.

    $$M_i = \frac{1}{n_i} \sum_{T \ni i} \left[ f(x) - f(x_{\setminus T}) \right]$$
    """

    reference: ClassVar[str] = "Zeiler and Fergus 2014, section 4.2"

    window: Shape = (1, 2, 2)
    stride: Shape = (1, 1, 1)
    cells: int = 8
    border: Border = "over"  # tubes slide over the frame's border, or stay inside it
    space: Space = "pixels"
    baseline: Baseline = "blur"
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_space(self.space, self.baseline)
        require_choice("border", self.border, get_args(Border))
        for name in ("cells", "batch"):
            require_at_least(name, getattr(self, name), 1)
        for window, stride in zip(self.window, self.stride, strict=True):
            if not 1 <= stride <= window:
                raise ValueError(f"stride: expected 1 to the window's {window} cells, got {stride}; more skips cells")

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", self.space, self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats."""
        removal = Removal.of(subject, self.space, self.baseline)
        cells = Cells.of(removal.inputs, subject.grid, self.cells)
        tubes = self._tubes(cells.shape)
        drops = removal.drops(len(tubes), lambda index: cells.mask(inside(tubes[index], cells.shape)), self.batch)
        total, covered = (torch.zeros(cells.shape, dtype=torch.float64) for _ in range(2))
        for tube, drop in zip(tubes, drops.tolist(), strict=True):
            total[tube] += drop
            covered[tube] += 1
        return total / covered

    def _tubes(self, shape: Shape) -> list[Tube]:
        axes = []
        for size, window, stride in zip(shape, self.window, self.stride, strict=True):
            first = stride - window if self.border == "over" else 0
            last = size if self.border == "over" else max(size - window, 0) + stride
            axes.append([slice(max(start, 0), start + window) for start in range(first, last, stride)])
        return list(product(*axes))


def inside(tube: Tube, shape: Shape) -> Bool[Tensor, "t r c"]:
    """Return a mask of the cells in the tube."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tube] = True
    return mask
