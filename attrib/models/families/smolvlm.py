"""SmolVLM2 (Marafioti et al. 2025, arXiv 2504.05299): each frame is an image after its time. Needs num2words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, stacked
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class SmolVLM(ModelFamily):
    """Square frames whose patches are joined by pixel shuffle; the network takes a clip as images."""

    modality = "image"

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per block of joined patches and frame."""
        cell = self.network.config.vision_config.patch_size * self.network.config.scale_factor
        return TokenGrid(shot.frames, shot.height // cell, shot.width // cell)

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return the tokens of all frames; those that are 0, which the network drops as padding, are lifted a little.

        A grey frame is 0 once it is normalised. The smallest number changes none of its tokens.
        """
        pixels, mask = packed["pixel_values"], packed.get("pixel_attention_mask")
        empty = (pixels == 0).flatten(2).all(dim=2)[..., None, None, None]
        real = pixels + empty * torch.finfo(pixels.dtype).tiny
        return stacked(self.network.model.get_image_features(real, mask, return_dict=True).pooler_output)

    def tower(self) -> Tower:
        """Return the encoder's blocks, its last norm and the projector."""
        model = self.network.model
        after = {"norm": model.vision_model.post_layernorm, "projector": model.connector}
        return Tower(model.vision_model, list(model.vision_model.encoder.layers), after)

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches."""
        patch = self.network.config.vision_config.patch_size
        return framewise(shot, tokens, shot.height // patch, shot.width // patch)
