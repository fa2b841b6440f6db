"""LLaVA-Interleave (`model_type` llava): frames as square images, one token a patch."""

from attrib.model import TokenGrid
from attrib.models.family import Layout, ModelFamily, Tower, framewise, read_blocks
from attrib.types import Shot


class Llava(ModelFamily):
    """Frames of one size, each an image of the prompt."""

    modality = "image"  # what the network calls the features that it takes
    as_images = True  # its processor knows no videos

    def grid(self, shot: Shot) -> TokenGrid:
        """Return the frames, rows and columns of the visual tokens."""
        patch = self.network.config.vision_config.patch_size
        return TokenGrid(shot.frames, shot.height // patch, shot.width // patch)

    def tower(self) -> Tower:
        """Return the vision encoder, its blocks that are read, and what follows them."""
        encoder, after = self.network.model.vision_tower, {"projector": self.network.model.multi_modal_projector}
        return Tower(encoder, read_blocks(encoder.encoder.layers, self.network.config.vision_feature_layer), after)

    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return where a block's output has each place of a frame."""
        return framewise(shot, tokens, self.grid(shot).rows, self.grid(shot).columns)
