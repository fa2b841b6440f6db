"""Gemma 4: frames that keep their shape, padded to a budget of patches; the encoder pools the patches that are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from attrib.errors import InputError, UnsupportedModel
from attrib.model import TokenGrid
from attrib.models.family import BOUNDING, Layout, ModelFamily, Tower
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Gemma4(ModelFamily):
    """Frames of any size, each after its time in words; blocks of patches become one token."""

    masked: ClassVar[bool] = True

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token for each block of pooled patches and frame."""
        cell = self.media_processor.patch_size * self.media_processor.pooling_kernel_size
        return TokenGrid(shot.frames, shot.height // cell, shot.width // cell)

    @property
    def bounds_pixels(self) -> bool:
        """False."""
        return False

    def limit(self, pixels: int) -> None:
        """Raise InputError: the processor takes a few sizes of frames only, of which the default is the smallest."""
        budget = self.media_processor.max_soft_tokens
        raise InputError(
            f"model.pixels: {type(self).__name__}'s processor gives each frame up to {budget} tokens and has no "
            f"bound of a clip; take fewer frames. {BOUNDING}"
        )

    def pack(self, pixels: Float[Tensor, "b t 3 h w"]) -> dict[str, Any]:
        """Return patches, their places and the number of frames."""
        packed = super().pack(pixels)
        return {name: packed[name] for name in self.media_processor.model_input_names}

    def tower_tokens(self, shot: Shot) -> int:
        """Return the whole budget of each frame, which patches are padded to."""
        return shot.frames * self.media_processor.max_soft_tokens * self.media_processor.pooling_kernel_size**2

    def tower(self) -> Tower:
        """Return the encoder's layers, and the projector behind its pooling."""
        tower = self.network.model.vision_tower
        return Tower(tower, list(tower.encoder.layers), {"projector": self.network.model.embed_vision})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches, each with padding after them."""
        patch, each = self.media_processor.patch_size, tokens // shot.frames
        rows, columns = shot.height // patch, shot.width // patch
        if tokens % shot.frames or each < rows * columns:
            raise UnsupportedModel(f"vision layer: expected {shot.frames} frames of {rows}x{columns}, got {tokens}")
        order = torch.arange(shot.frames)[:, None] * each + torch.arange(rows * columns)
        return Layout(shot.frames, rows, columns, order.flatten())
