"""LLaVA-Interleave (`model_type` llava): frames as square images, one token a patch."""

from typing import Any

import torch
from torch import Tensor

from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot


class Llava(ModelFamily):
    modality, as_images = "image", True

    def grid(self, shot: Shot) -> TokenGrid:
        patch = self.network.config.vision_config.patch_size
        return TokenGrid(shot.frames, shot.height // patch, shot.width // patch)

    def features(self, packed: dict[str, Any]) -> Tensor:
        frames = self.network.model.get_image_features(**packed, return_dict=True).pooler_output
        return torch.cat(list(frames))[None]

    def tower(self) -> Tower:
        encoder, after = self.network.model.vision_tower, {"projector": self.network.model.multi_modal_projector}
        return Tower(encoder, read_blocks(encoder.encoder.layers, self.network.config.vision_feature_layer), after)

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        return framewise(shot, tokens, self.grid(shot).rows, self.grid(shot).columns)
