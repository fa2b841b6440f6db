"""Control: smooth noise."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from attrib.method import Control, require_at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

SIDE = 32


@dataclass(frozen=True)
class Random(Control):
    r"""Gaussian noise smoothed over `time` frames and `space` of the frame; seeded by the seed and the clip.

    Every clip has its own noise: one map for all clips would be a fixed prior, which is another control.

    $$M_i = \frac{u_i - \min u}{\max u - \min u}, \quad u = G_{\sigma} * \epsilon, \quad \epsilon_i \sim N(0, 1)$$
    """

    reference: ClassVar[str] = "defined here"

    time: float = 1.0
    space: float = 0.1

    def __post_init__(self) -> None:
        require_at_least("time", self.time, 0)
        require_at_least("space", self.space, 0)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return noise in [0, 1]."""
        checksum = zlib.crc32(subject.clip.frames.tobytes(), zlib.crc32(subject.question.text.encode()))
        generator = np.random.default_rng([subject.seed, checksum])
        noise = generator.standard_normal((len(subject.clip), SIDE, SIDE))
        smooth = gaussian_filter(noise, (self.time, self.space * SIDE, self.space * SIDE))
        return torch.from_numpy((smooth - smooth.min()) / np.ptp(smooth))
