"""Pixels between attrib and an official video processor, which alone resizes, crops, normalises and cuts patches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attrib.errors import InputError
from attrib.models.family import ModelFamily
from attrib.types import Clip

if TYPE_CHECKING:
    from jaxtyping import Float

WHITE = 255


def preprocessed(family: ModelFamily, clip: Clip) -> Float[Tensor, "t 3 h w"]:
    """Return the clip as the official processor resizes it before it normalises, in [0, 1].

    A clip shorter than one step of the token grid is resized with its last frame repeated. Raises InputError where the
    processor crops, as saliency would lie in the wrong places of the frame.
    """
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
    missing = max(0, family.frames_per_step - len(frames))
    frames = torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)])
    with _resized(family.media_processor) as seen:
        family.processed([frames])
    resized = torch.cat([each.reshape(-1, *each.shape[-3:]) for each in seen])
    if len(resized) != len(frames):
        raise InputError(f"expected a processor that makes one picture of a frame, got {len(resized)} of {len(frames)}")
    return resized[: len(clip)].float() / WHITE


@contextmanager
def _resized(processor: Any) -> Iterator[list[Tensor]]:
    """Collect what the processor passes to its `rescale_and_normalize`. Raises InputError where it crops frames."""
    seen: list[Tensor] = []
    normalise, crop = processor.rescale_and_normalize, processor.center_crop

    def watched(images: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(images)
        return normalise(images, *args, **kwargs)

    def whole(images: Tensor, *args: Any, **kwargs: Any) -> Any:
        cropped = crop(images, *args, **kwargs)
        if cropped.shape != images.shape:
            before, after = (f"{each.shape[-1]} x {each.shape[-2]}" for each in (images, cropped))
            raise InputError(
                f"this model's processor would cut frames of {before} pixels to the {after} in their centre; attrib "
                "explains whole frames: crop the video to that shape first"
            )
        return cropped

    processor.rescale_and_normalize, processor.center_crop = watched, whole
    try:
        yield seen
    finally:
        del processor.rescale_and_normalize, processor.center_crop


def encoded(family: ModelFamily, pixels: Float[Tensor, "b t 3 h w"], dtype: torch.dtype) -> Float[Tensor, "b n d"]:
    """Return the visual tokens of clips, differentiable in their pixels."""
    packed = family.pack(pixels * WHITE)
    device = pixels.device
    arguments = {
        name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
        for name, value in packed.items()
    }
    return family.features(arguments)
