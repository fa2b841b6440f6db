"""LLaVA-NeXT-Video (Zhang et al. 2024): the centre of each frame, pooled; here only frames that are square."""

from __future__ import annotations

from attrib.model import TokenGrid
from attrib.models.families.llava import Llava
from attrib.types import Shot


class LlavaNextVideo(Llava):
    """Square frames through CLIP, of which the second last block is read, pooled; one block of visual tokens."""

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        rows, columns = self.patches(shot)
        stride = self.network.config.spatial_pool_stride
        return TokenGrid(shot.frames, rows // stride, columns // stride)
