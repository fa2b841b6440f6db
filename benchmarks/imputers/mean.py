"""The video's mean colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from attrib.imputer import Canvas, Fill, PixelImputer


@dataclass(frozen=True)
class Mean(PixelImputer):
    """The mean colour of the whole video."""

    def prepare(self, canvas: Canvas) -> Fill:
        """Average the video once."""
        return partial(canvas.filled, canvas.colour)
