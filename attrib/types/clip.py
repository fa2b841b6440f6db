"""Frames of a video at their real times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attrib.types.validation import check_times, require


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 (t, H, W, 3), RGB, and their times float64 (t,) in seconds, increasing.

    Frame i stands for the interval from its time to the next frame's, the last frame for the interval up to `end`.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    end: float
    path: Path | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.frames.shape
        require(
            self.frames.dtype == np.uint8 and len(shape) == 4 and shape[3] == 3 and min(shape) > 0,
            f"clip: expected uint8 frames of shape (t, H, W, 3), got {self.frames.dtype} {shape}",
        )
        check_times(self.times, shape[0], "clip")
        require(self.end > self.times[-1], f"clip: end {self.end} s must be after the last frame {self.times[-1]} s")

    def __len__(self) -> int:
        return len(self.frames)
