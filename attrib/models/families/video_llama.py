"""VideoLLaMA3 (Zhang et al. 2025, arXiv 2501.13106): frames one by one, each after its time in words."""

from __future__ import annotations

from typing import Any

from attrib.models.families.qwen_vl import Qwen2VL
from attrib.models.family import Tower


class VideoLlama3(Qwen2VL):
    """Frames of any size; 2 x 2 patches become one token, also where little changes (no token compression)."""

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        self.change(use_token_compression=False)

    def least(self, most: int) -> int:
        """Return one token: the processor has a least size of each frame, which many frames take beyond the most."""
        return (self.patch * self.merge) ** 2

    def tower(self) -> Tower:
        """Return the encoder's layers, its last norm and the projector."""
        encoder = self.network.model.vision_model
        after = {"norm": encoder.post_layernorm, "projector": self.network.model.projector}
        return Tower(encoder, list(encoder.encoder.layers), after)
