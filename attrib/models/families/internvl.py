"""InternVL 3 and 3.5 in transformers' layout (Zhu et al. 2025, arXiv 2504.10479): each frame is an image, named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class InternVL(ModelFamily):
    """Square frames whose patches are joined by pixel shuffle; the network takes a clip as images."""

    modality = "image"

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per block of joined patches and frame."""
        rows, columns = self._patches(shot)
        ratio = self.network.config.downsample_ratio
        return TokenGrid(shot.frames, int(rows * ratio), int(columns * ratio))

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return the tokens of all frames as images."""
        pixels = packed["pixel_values_videos"]
        features: Tensor = self.network.model.get_image_features(pixels.flatten(0, 1), return_dict=True).pooler_output
        return features.reshape(len(pixels), -1, features.shape[-1])

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Return them as one tensor."""
        return BaseModelOutputWithPooling(pooler_output=tokens)

    def tower(self) -> Tower:
        """Return the encoder's blocks, its last norm and the projector."""
        tower, projector = self.network.model.vision_tower, self.network.model.multi_modal_projector
        blocks = read_blocks(tower.encoder.layer, self.network.config.vision_feature_layer)
        return Tower(tower, blocks, {"norm": tower.layernorm, "projector": projector})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches, after a class token."""
        return framewise(shot, tokens, *self._patches(shot))

    def _patches(self, shot: Shot) -> tuple[int, int]:
        height, width = self.network.config.vision_config.patch_size
        return shot.height // height, shot.width // width
