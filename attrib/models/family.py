"""Family of checkpoints: what its official processor and network do not tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from attrib.attention_record import AttentionRecord
from attrib.errors import InputError, UnsupportedModel
from attrib.model import TokenGrid
from attrib.models.tower_recording import TowerWatch, watching_blocks
from attrib.types import Shot

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Modality = Literal["video", "image"]
BOUNDING = "The Qwen, GLM and VideoLLaMA 3 families have such a bound"


@dataclass(frozen=True, eq=False)
class Tower:
    """Vision encoder: its blocks that are read, and what follows them by name, such as a norm and the projector."""

    encoder: nn.Module
    blocks: Sequence[nn.Module]
    after: Mapping[str, nn.Module]


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of a layer's output (batch and tokens flattened): `order` has the token of each place, row-major."""

    steps: int
    rows: int
    columns: int
    order: Int[Tensor, " places"] = field(repr=False)


class ModelFamily(ABC):
    """A network and its processor, with what no configuration tells. Subclasses are registered by `model_type`.

    `modality` is the key of `mm_encoder_outputs` under which the network takes a clip's features. A processor that
    knows no videos is given the frames `as_images`. `masked`: not all of the decoder's layers attend causally to all
    tokens, so that it makes masks.
    """

    modality: ClassVar[Modality] = "video"
    as_images: ClassVar[bool] = False
    masked: ClassVar[bool] = False
    frames_per_step: int = 1

    def __init__(self, network: Any, processor: Any) -> None:
        self.network, self.processor = network, processor
        self.changed: dict[str, Any] = {}  # settings of the official processor that are not the checkpoint's own

    @abstractmethod
    def grid(self, shot: Shot) -> TokenGrid:
        """Return the token grid of a clip."""

    @abstractmethod
    def tower(self) -> Tower:
        """Return the vision encoder's parts."""

    @abstractmethod
    def tower_layout(self, shot: Shot, tokens: int) -> Layout:
        """Return the places of a tower block's output with `tokens` tokens in all, for one clip."""

    def order(self, shot: Shot) -> Int[Tensor, " n"]:
        """Return where the encoder's last output has each token of the grid."""
        return torch.arange(self.grid(shot).tokens)

    def watching_tower(self, record: AttentionRecord, shot: Shot) -> AbstractContextManager[None]:
        """Record the tower's attention in the context, with `visual` and `cells` set. Raises UnsupportedModel."""
        tower, watch = self.tower(), TowerWatch(type(self).__name__, record, partial(self.tower_layout, shot))
        return watching_blocks(tower.encoder, list(tower.blocks), watch)

    def tower_tokens(self, shot: Shot) -> int:
        """Return how many patches of a clip go through the vision encoder."""
        size = getattr(self.network.config.vision_config, "patch_size", None) or self.processor.patch_size
        height, width = (size, size) if isinstance(size, int) else size
        return -(-shot.frames // self.frames_per_step) * (shot.height // height) * (shot.width // width)

    @property
    def bounds_pixels(self) -> bool:
        """True where `limit` can bound the size of a clip."""
        return type(self).limit is not ModelFamily.limit

    def limit(self, pixels: int) -> None:
        """Let no clip have more than `pixels` in all its frames. Raises InputError for frames of one size."""
        raise InputError(f"model.pixels: {type(self).__name__} makes all frames of one size; leave it out. {BOUNDING}")

    @property
    def placeholder(self) -> int:
        """Id of the token that stands for a visual token in the prompt."""
        token: int = getattr(self.network.config, f"{self.modality}_token_id")
        return token

    @property
    def extra(self) -> int:
        """Number of learnt tokens that follow a clip's visual tokens and stand for no place."""
        return 0

    def content(self, frames: Tensor) -> list[dict[str, Any]]:
        """Return the media parts of the user's message for a clip (t, 3, h, w)."""
        if self.as_images:
            return [{"type": "image", "image": frame} for frame in frames]
        return [{"type": "video", "video": frames}]

    @property
    def media_processor(self) -> Any:
        """Official processor of frames."""
        return self.processor.image_processor if self.as_images else self.processor.video_processor

    def change(self, **settings: Any) -> None:
        """Change settings of the official processor of frames; a check of the model applies and reports them."""
        for name, value in settings.items():
            setattr(self.media_processor, name, value)
        self.changed.update(settings)

    def packing(self) -> dict[str, Any]:
        """Return more arguments for the processor."""
        return {}

    def pack(self, pixels: Float[Tensor, "b t 3 h w"]) -> dict[str, Any]:
        """Return the arguments of `features` for pixels in [0, 255], by the official processor; images by clip."""
        packed = self.processed(list(pixels), do_resize=False)
        found = {name: value for name, value in packed.items() if isinstance(value, Tensor)}
        return (
            {name: value.unflatten(0, pixels.shape[:2]) for name, value in found.items()} if self.as_images else found
        )

    def processed(self, clips: Sequence[Tensor], **arguments: Any) -> Mapping[str, Any]:
        """Return the official processor's output for frames (t, 3, h, w) of each clip."""
        arguments = {**self.packing(), **arguments, "return_tensors": "pt"}
        if self.as_images:
            images: Mapping[str, Any] = self.media_processor([frame for clip in clips for frame in clip], **arguments)
            return images
        videos: Mapping[str, Any] = self.media_processor(list(clips), do_sample_frames=False, **arguments)
        return videos

    def features(self, packed: dict[str, Any]) -> Float[Tensor, "b n d"]:
        """Return the visual tokens of packed clips."""
        if self.as_images:
            clips = len(next(iter(packed.values())))
            images = {name: value.flatten(0, 1) for name, value in packed.items()}
            frames = stacked(self.network.model.get_image_features(**images, return_dict=True).pooler_output)
            return frames.reshape(clips, -1, frames.shape[-1])
        return stacked(self.network.model.get_video_features(**packed, return_dict=True).pooler_output)

    def outputs(self, tokens: Float[Tensor, "b n d"]) -> ModelOutput:
        """Invert `features`: return the encoder's output that the network's forward takes."""
        return BaseModelOutputWithPooling(pooler_output=tuple(tokens))

    @property
    def decoder(self) -> Any:
        """Language model, whose layers attend."""
        return self.network.model.get_decoder()

    @property
    def late_features(self) -> int:
        """Number of the decoder's first layers to whose outputs more features of the encoder are added."""
        return 0

    @property
    def text(self) -> Any:
        """Configuration of the language model."""
        return self.network.config.get_text_config()

    @property
    def softcap(self) -> float | None:
        """Greatest logit, which the network's forward approaches by tanh; None without one."""
        cap: float | None = getattr(self.text, "final_logit_softcapping", None)
        return cap

    def logits(self, states: Float[Tensor, "b r d"], ids: Sequence[int] | None = None) -> Float[Tensor, "b r v"]:
        """Return the head's logits of all tokens or of `ids`, in at least float32."""
        head = self.network.get_output_embeddings()
        if ids is None:
            logits = head(states)
        else:
            bias = None if head.bias is None else head.bias[list(ids)]
            logits = nn.functional.linear(states, head.weight[list(ids)], bias)
        wide: Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32))
        cap = self.softcap
        return torch.tanh(wide / cap) * cap if cap else wide


def stacked(features: Tensor | Sequence[Tensor]) -> Float[Tensor, "b n d"]:
    """Return the features of equally long clips as one tensor."""
    return features if isinstance(features, Tensor) else torch.stack(list(features))


def read_blocks(blocks: Sequence[nn.Module], layer: int | Sequence[int]) -> Sequence[nn.Module]:
    """Return the blocks up to the last that is read, where `layer` counts hidden states from the embedding's on."""
    layers = [layer] if isinstance(layer, int) else layer
    return list(blocks)[: max(each % (len(blocks) + 1) for each in layers)]


def framewise(shot: Shot, tokens: int, rows: int, columns: int) -> Layout:
    """Return the layout of frames one after another, each with prefix tokens and then its places, row-major.

    Raises UnsupportedModel where the tokens are no such frames.
    """
    places, each = rows * columns, tokens // shot.frames
    if tokens % shot.frames or each < places:
        raise UnsupportedModel(
            f"vision layer: expected {shot.frames} frames of {rows}x{columns} places, got {tokens} tokens"
        )
    within = torch.arange(each - places, each)
    order = (torch.arange(shot.frames)[:, None] * each + within).flatten()
    return Layout(shot.frames, rows, columns, order)
