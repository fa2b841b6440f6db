"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5: two frames a step, merged patches, rotary positions in three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.image_utils import SizeDict
from transformers.modeling_outputs import ModelOutput
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures
from transformers.vision_utils import get_vision_window_index

from attrib.errors import InputError
from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, stacked
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Qwen2VL(ModelFamily):
    """Frames of any size in steps of two; 2 x 2 patches become one token. Also Qwen3.5, whose decoder is hybrid."""

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        self.frames_per_step = int(processor.video_processor.temporal_patch_size)
        self.patch, self.merge = int(processor.video_processor.patch_size), int(processor.video_processor.merge_size)

    @property
    def vision(self) -> Any:
        """Vision encoder."""
        return self.network.model.visual

    def packing(self) -> dict[str, Any]:
        """Return the per-frame cap of pixels as the checkpoint sets it; transformers is about to change its default."""
        video = self.processor.video_processor
        return {"cap_pixels_per_frame": bool(video.cap_pixels_per_frame)} if hasattr(video, "max_video_tokens") else {}

    def limit(self, pixels: int) -> None:
        """Set the most, and with it the least, that the processor makes of a clip."""
        cell = (self.patch * self.merge) ** 2 * self.frames_per_step
        if pixels < cell:
            raise InputError(f"model.pixels: expected at least {cell}, those of one token, got {pixels}")
        self.change(size=SizeDict(shortest_edge=self.least(pixels), longest_edge=pixels))

    def least(self, most: int) -> int:
        """Return to how many pixels the processor enlarges a smaller clip, of which `most` are allowed."""
        return min(int(self.processor.video_processor.size["shortest_edge"]), most)

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token for each block of merged patches and two frames."""
        cell = self.patch * self.merge
        return TokenGrid(shot.frames, shot.height // cell, shot.width // cell, self.frames_per_step)

    def tower(self) -> Tower:
        """Return the encoder's blocks and its merger."""
        return Tower(self.vision, list(self.vision.blocks), {"merger": self.vision.merger})

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return patches in blocks that are merged, block after block in the encoder's order."""
        grid, merge = self.grid(shot), self.merge
        rows, columns = grid.rows * merge, grid.columns * merge
        y, x = torch.arange(rows)[:, None], torch.arange(columns)
        unit, within = (y // merge) * grid.columns + x // merge, (y % merge) * merge + x % merge
        units = torch.arange(grid.steps)[:, None, None] * grid.rows * grid.columns + unit
        place = self.order(shot)[units.flatten()]
        return Layout(grid.steps, rows, columns, place * merge**2 + within.expand_as(units).flatten())


class Qwen25VL(Qwen2VL):
    """Most layers of the encoder attend within windows, by which it sorts its tokens."""

    def order(self, shot: Shot) -> Int[Tensor, " n"]:
        """Return each token's place in the order of windows."""
        grid, vision = self.grid(shot), self.vision
        sizes = torch.tensor([[grid.steps, grid.rows * self.merge, grid.columns * self.merge]])
        windows, _ = get_vision_window_index(
            sizes, spatial_merge_size=self.merge, window_size=vision.window_size, patch_size=vision.patch_size
        )
        return torch.argsort(windows)


class Qwen3VL(Qwen2VL):
    """Features of early layers of the encoder are added to the visual tokens after the decoder's first layers.

    They travel with the tokens, joined on the channels.
    """

    @property
    def late_features(self) -> int:
        """Number of the encoder's early layers that are read."""
        return len(self.vision.deepstack_merger_list)

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return tokens and the early layers' features."""
        found = self.network.model.get_video_features(**packed, return_dict=True)
        return torch.cat([stacked(found.pooler_output), *map(stacked, found.deepstack_features)], dim=-1)

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Split the channels again."""
        own, *deep = tokens.split(self.text.hidden_size, dim=-1)
        return BaseModelOutputWithDeepstackFeatures(pooler_output=tuple(own), deepstack_features=[*map(tuple, deep)])

    def tower(self) -> Tower:
        """Return the encoder's blocks and merger; the mergers of early layers belong to none of them."""
        return Tower(self.vision, list(self.vision.blocks), {"merger": self.vision.merger, **self._deep()})

    def _deep(self) -> dict[str, nn.Module]:
        return {f"deepstack.{index}": merger for index, merger in enumerate(self.vision.deepstack_merger_list)}
