"""Gemma 3 (Gemma Team 2025, arXiv 2503.19786): frames as square images, each of which sees all of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from attrib.model import TokenGrid
from attrib.models.family import Layout, Modality, ModelFamily, Tower, framewise
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Gemma3(ModelFamily):
    """Frames squashed to a square, pooled; without the crops of single images ("pan and scan")."""

    masked: ClassVar[bool] = True
    modality: ClassVar[Modality] = "image"
    as_images: ClassVar[bool] = True
    softcap = None  # its forward with images has none, whatever its configuration says

    def packing(self) -> dict[str, Any]:
        """Return the setting for whole images."""
        return {"do_pan_and_scan": False}

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        side = self.network.model.multi_modal_projector.tokens_per_side
        return TokenGrid(shot.frames, side, side)

    def pack(self, pixels: Float[Tensor, "b t 3 h w"]) -> dict[str, Any]:
        """Return the images without their numbers of crops."""
        return {"pixel_values": super().pack(pixels)["pixel_values"]}

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Return them as one tensor."""
        return BaseModelOutputWithPooling(pooler_output=tokens)

    def tower(self) -> Tower:
        """Return the encoder's layers, its last norm and the projector."""
        tower = self.network.model.vision_tower
        after = {"norm": tower.post_layernorm, "projector": self.network.model.multi_modal_projector}
        return Tower(tower, list(tower.encoder.layers), after)

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches."""
        side = self.network.model.multi_modal_projector.patches_per_image
        return framewise(shot, tokens, side, side)
