"""LLaVA-NeXT-Video (Zhang et al. 2024): the centre of each frame, pooled; here only frames that are square."""

from __future__ import annotations

from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot


class LlavaNextVideo(ModelFamily):
    """Square frames through CLIP, of which the second last block is read, pooled; one block of visual tokens."""

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        rows, columns = self._patches(shot)
        stride = self.network.config.spatial_pool_stride
        return TokenGrid(shot.frames, rows // stride, columns // stride)

    def tower(self) -> Tower:
        """Return the encoder's blocks that are read, and the projector."""
        model = self.network.model
        blocks = read_blocks(model.vision_tower.encoder.layers, self.network.config.vision_feature_layer)
        return Tower(model.vision_tower, blocks, {"projector": model.multi_modal_projector})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches, after a class token."""
        return framewise(shot, tokens, *self._patches(shot))

    def _patches(self, shot: Shot) -> tuple[int, int]:
        patch = self.network.config.vision_config.patch_size
        return shot.height // patch, shot.width // patch
