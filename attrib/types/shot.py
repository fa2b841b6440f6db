"""Size of a model's input for a clip, and the frames' times: all that a prompt has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attrib.types.clip import Clip
from attrib.types.validation import require

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shot:
    """Height and width in pixels of the model's input for a clip, its frames' times and its end in seconds."""

    height: int
    width: int
    times: tuple[float, ...]
    end: float

    def __post_init__(self) -> None:
        require(min(self.height, self.width) > 0, f"shot: expected a size above 0, got {self.height} x {self.width}")
        require(len(self.times) > 0, "shot: expected at least one frame, got none")

    @staticmethod
    def of(pixels: Tensor, clip: Clip) -> Shot:
        """Return the shot of a clip that the model sees as pixels (t, 3, h, w)."""
        height, width = pixels.shape[-2:]
        return Shot(int(height), int(width), tuple(map(float, clip.times)), float(clip.end))

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.times)
