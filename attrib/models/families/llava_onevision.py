"""LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326): square frames, pooled; a learnt token ends the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from attrib.model import TokenGrid
from attrib.models.families.llava import Llava
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class LlavaOnevision(Llava):
    """Two by two patches become one token by interpolation, so that an odd number of them leaves no rest."""

    @property
    def extra(self) -> int:
        """Return 1: the token at the clip's end."""
        return 1

    def grid(self, shot: Shot) -> TokenGrid:
        """Return one token per pooled cell and frame."""
        rows, columns = self.patches(shot)
        return TokenGrid(shot.frames, -(-rows // 2), -(-columns // 2))

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return the tokens without the learnt one at their end."""
        return super().features(packed)[:, : -self.extra]

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Return them as one tensor, with the learnt token again."""
        newline = self.network.model.image_newline.to(tokens).expand(len(tokens), self.extra, -1)
        return BaseModelOutputWithPooling(pooler_output=torch.cat([tokens, newline], dim=1))
