"""GLM-4.1V, GLM-4.5V and GLM-4.6V: steps of two frames, each with its time in words after it."""

from __future__ import annotations

from attrib.models.families.qwen_vl import Qwen2VL
from attrib.models.family import Tower


class Glm4v(Qwen2VL):
    """Frames of any size in steps of two; 2 x 2 patches become one token."""

    @property
    def placeholder(self) -> int:
        """Id of the image token, which stands for a video's tokens too."""
        token: int = self.network.config.image_token_id
        return token

    def tower(self) -> Tower:
        """Return the encoder's blocks, last norm and merger."""
        after = {"norm": self.vision.post_layernorm, "merger": self.vision.merger}
        return Tower(self.vision, list(self.vision.blocks), after)
