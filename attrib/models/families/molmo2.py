"""Molmo2: square frames, pooled by attention; in the decoder all visual tokens attend to each other."""

from __future__ import annotations

from typing import Any, ClassVar

from attrib.errors import InputError
from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot


class Molmo2(ModelFamily):
    """Square frames, each after its time in words; their features are added to the placeholder's embedding."""

    masked: ClassVar[bool] = True

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        video = self.media_processor
        self.side, self.pooled = video.size["height"] // video.patch_size, tuple(video.pooling_size)
        if any(self.side % each for each in self.pooled):
            raise InputError(f"expected pooling that divides {self.side} patches a side, got {self.pooled}")

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        return TokenGrid(shot.frames, self.side // self.pooled[0], self.side // self.pooled[1])

    def tower(self) -> Tower:
        """Return the layers up to the last that is read, and the projector behind the pooling."""
        model = self.network.model
        layers = self.network.config.adapter_config.vision_feature_layer
        blocks = read_blocks(model.vision_tower.layers, [each + 1 if each >= 0 else each for each in layers])
        return Tower(model.vision_tower, blocks, {"projector": model.multi_modal_projector.image_projector})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches."""
        return framewise(shot, tokens, self.side, self.side)
