"""GradCAM on a layer of the vision encoder or of the decoder, hook Captum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from captum.attr import LayerGradCam
from torch import nn

from attrib.capabilities import HasVisionLayers, require
from attrib.errors import UnknownName
from attrib.method import Method, require_choice
from attrib.types import Shot
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

LAST = "last"
Pool = Literal["frame", "video"]


@dataclass(frozen=True)
class GradCAM(Method):
    r"""Channels of a layer weighted by their mean gradient (Selvaraju et al. 2017, eq. 1 and 2), signed.

    `layer` is the model's name of a layer: `blocks.N` of the vision encoder, `decoder.N` of the decoder (its visual
    tokens; zero for the last layer, where only the answer's token is read), or `last`, the last block. `pool` is what
    the gradient is averaged over: each `frame` separately, which preserves the time of the evidence, or the whole
    `video`.

    $$M_i = \sum_k F_{ki} \frac{1}{|J|} \sum_{j \in J} \frac{\partial f}{\partial F_{kj}}$$
    """

    reference: ClassVar[str] = "Selvaraju et al. 2017, eq. 1 and 2"

    layer: str = LAST
    pool: Pool = "frame"

    def __post_init__(self) -> None:
        require_choice("pool", self.pool, get_args(Pool))

    @property
    def footprint(self) -> Footprint:
        """One backward pass from the pixels."""
        return Footprint("everything", "pixels")

    def check(self, subject: Subject) -> None:
        """Raise UnknownName for a layer that the model does not have."""
        if isinstance(subject.model, HasVisionLayers):
            self._layer(subject.model)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return gradient-weighted activations, not rectified. Raises UnknownName for an unknown layer."""
        model = require(subject.model, HasVisionLayers, "grad_cam")
        name = self._layer(model)
        with mapped(model, name, subject.shot, self.pool == "video") as tap, torch.enable_grad():
            # Captum differentiates the layer's output only where the graph reaches it: pixels need gradients.
            pixels = subject.pixels[None].detach().requires_grad_()
            cam: Tensor = LayerGradCam(subject.score, tap).attribute(pixels)
        steps = cam.detach().flatten(0, cam.ndim - 3)
        return steps.repeat_interleave(-(-len(subject.clip) // len(steps)), dim=0)[: len(subject.clip)]

    def _layer(self, model: HasVisionLayers) -> str:
        layers = model.vision_layers()
        blocks = [name for name in layers if name.startswith("blocks.")]
        name = (blocks or list(layers))[-1] if self.layer == LAST else self.layer
        if name not in layers:
            raise UnknownName("vision layer", name, [*layers, LAST])
        return name


@contextmanager
def mapped(model: HasVisionLayers, layer: str, shot: Shot, whole_video: bool) -> Iterator[nn.Module]:
    """Yield a module whose output is the layer's activation as a feature map, (t, c, h, w) or (1, c, t, h, w).

    Captum averages over all axes after the channels, so tokens are reshaped to a map first.
    """
    tap = nn.Identity()

    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        features = model.feature_map(layer, output, shot)
        tapped = tap(features.transpose(0, 1)[None])[0].transpose(0, 1) if whole_video else tap(features)
        return model.from_feature_map(layer, tapped, output, shot)

    handle = model.vision_layers()[layer].register_forward_hook(hook, prepend=True)  # before those of transformers
    try:
        yield tap
    finally:
        handle.remove()
