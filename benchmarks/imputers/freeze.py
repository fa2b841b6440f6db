"""The cell's content in the last frame that keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib.imputer import BoolArray, Canvas, Fill, PixelImputer


@dataclass(frozen=True)
class Freeze(PixelImputer):
    """The cell's content in the last frame that keeps it; before the first such frame, in that one.

    A cell that no frame keeps shows the video's mean colour.
    """

    def prepare(self, canvas: Canvas) -> Fill:
        """Return the fill; versions share nothing."""

        def version(removed: BoolArray) -> Tensor:
            source = last_kept(removed)
            frames = canvas.per_pixel(source.clip(min=0))[:, None].expand(-1, 3, -1, -1)
            frozen = canvas.pixels.gather(0, frames)
            return torch.where(canvas.per_pixel(source >= 0)[:, None], frozen, canvas.colour)

        return version


def last_kept(removed: BoolArray) -> NDArray[np.int64]:
    """Return the frame that each cell (t, rows, columns) shows; -1 where no frame keeps the cell."""
    frames = np.arange(len(removed))[:, None, None]
    last = np.maximum.accumulate(np.where(removed, -1, frames), axis=0)
    first = np.where(removed.all(axis=0), -1, removed.argmin(axis=0))
    return np.where(last < 0, first, last)
