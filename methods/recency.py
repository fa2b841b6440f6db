"""Control: saliency that grows with time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from attrib.method import Control

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class Recency(Control):
    r"""A ramp over time, the same everywhere in a frame: causal models favour recent frames.

    $$M_k = \frac{(t_k + t_{k+1}) / 2 - t_0}{t_{\mathrm{end}} - t_0}$$
    """

    reference: ClassVar[str] = "defined here"

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the middle of each frame's interval as a share of the clip's duration, in (0, 1)."""
        times, end, grid = subject.clip.times, subject.clip.end, subject.grid
        middles = (times + np.append(times[1:], end)) / 2
        ramp = torch.from_numpy((middles - times[0]) / (end - times[0]))
        return ramp[:, None, None].expand(-1, grid.rows, grid.columns)
