"""Vision tower that LLaVA-OneVision and LLaVA-NeXT-Video share."""

from __future__ import annotations

from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot


class Llava(ModelFamily):
    """Frames through an encoder of which one layer's hidden states are read, and a projector."""

    def tower(self) -> Tower:
        """Return the encoder's blocks that are read, and the projector."""
        model = self.network.model
        blocks = read_blocks(model.vision_tower.encoder.layers, self.network.config.vision_feature_layer)
        return Tower(model.vision_tower, blocks, {"projector": model.multi_modal_projector})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches, after a class token if there is one."""
        return framewise(shot, tokens, *self.patches(shot))

    def patches(self, shot: Shot) -> tuple[int, int]:
        """Return the rows and columns of a frame's patches."""
        patch = self.network.config.vision_config.patch_size
        return shot.height // patch, shot.width // patch
