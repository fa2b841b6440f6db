"""Visual tokens of removed cells, dropped from the sequence without changing pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attrib.imputer import BoolArray, TokenImputer, cell_of
from attrib.model import TokenGrid

if TYPE_CHECKING:
    from jaxtyping import Bool


@dataclass(frozen=True)
class Token(TokenImputer):
    """Drop a token when at least `share` of its cells are removed: one cell per frame of its step, at its centre."""

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share: expected more than 0 and at most 1, got {self.share}")

    def keep(self, removed: BoolArray, grid: TokenGrid) -> Bool[Tensor, " n"]:
        """Return the mask of visual tokens that stay in the sequence."""
        row, column = cell_of(grid.rows, removed.shape[1]), cell_of(grid.columns, removed.shape[2])
        at_tokens = removed[:, row[:, None], column]
        starts = range(0, grid.frames, grid.frames_per_step)
        shares = np.stack([at_tokens[start : start + grid.frames_per_step].mean(axis=0) for start in starts])
        return torch.from_numpy(shares < self.share).flatten()
