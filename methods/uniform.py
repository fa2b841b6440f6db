"""Control: the same value everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.method import Control

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class Uniform(Control):
    """One everywhere. Metrics that rank cells are undefined on it, or at chance by their tie rule.

    $$M_i = 1$$
    """

    reference: ClassVar[str] = "defined here"

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return ones on the token grid."""
        grid = subject.grid
        return torch.ones(grid.frames, grid.rows, grid.columns)
