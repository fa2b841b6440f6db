"""The video's median over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from attrib.imputer import Canvas, Fill, PixelImputer


@dataclass(frozen=True)
class Median(PixelImputer):
    """Each pixel's median over all frames; for an even number of frames, the mean of the middle two."""

    def prepare(self, canvas: Canvas) -> Fill:
        """Sort the frames once."""
        ordered, count = canvas.pixels.sort(dim=0).values, len(canvas.pixels)
        return partial(canvas.filled, (ordered[(count - 1) // 2] + ordered[count // 2])[None] / 2)
