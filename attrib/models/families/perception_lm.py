"""PerceptionLM (Cho et al. 2025, arXiv 2504.13180)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from attrib.attention_record import AttentionRecord
from attrib.errors import InputError
from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise
from attrib.models.tower_recording import watching_tower
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float


class PerceptionLM(ModelFamily):
    """Square frames through a timm PE tower, pooled; one block of visual tokens."""

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        video, args = processor.video_processor, network.config.vision_config.model_args
        if not video.do_resize or getattr(video, "do_center_crop", False):
            raise InputError("expected a video processor that resizes and does not crop")
        if args.get("img_size") and args["img_size"][0] != video.size["height"]:
            raise InputError(f"the tower takes {args['img_size']} pixels, its processor {video.size['height']}")
        # It permutes its input; a matrix product of that copies the weight once for each of a frame's tokens.
        projector = network.model.multi_modal_projector.linear_1
        projector.register_forward_pre_hook(lambda _, given: given[0].contiguous())

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        cell = self.processor.patch_size * self.network.config.projector_pooling_ratio
        return TokenGrid(shot.frames, shot.height // cell, shot.width // cell)

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return the tokens of all frames, which go through the tower as images."""
        pixels = packed["pixel_values_videos"]
        features: Tensor = self.network.model.get_image_features(pixels, return_dict=True).pooler_output
        return features.reshape(len(pixels), -1, features.shape[-1])

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Return them as one tensor."""
        return BaseModelOutputWithPooling(pooler_output=tokens)

    def tower(self) -> Tower:
        """Return the timm tower, its last norm and the projector."""
        tower = self.network.model.vision_tower.timm_model
        after = {"norm": tower.norm, "projector": self.network.model.multi_modal_projector}
        return Tower(tower, tower.blocks, after)

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return frames of patches after the class token."""
        patch = self.processor.patch_size
        return framewise(shot, tokens, shot.height // patch, shot.width // patch)

    @contextmanager
    def watching_tower(self, record: AttentionRecord, shot: Shot) -> Iterator[None]:
        """Record timm's attention, computed again beside its fused one; a class token comes first."""
        patch, prefix = self.processor.patch_size, int(self.network.config.vision_use_cls_token)
        record.cells = (shot.height // patch, shot.width // patch)
        record.visual = torch.arange(record.cells[0] * record.cells[1]) + prefix
        with watching_tower(self.network.model.vision_tower.timm_model, record):
            yield
