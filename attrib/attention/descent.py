"""Every layer's attention, top layer first, without gradients and without keeping that of all layers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from attrib.attention_record import AttentionRecord, LayerRecord

STRIDE = 4  # layers from one kept input to the next: about the root of the number of layers

Layer = Callable[[Tensor], Any]


@dataclass
class _Stretch:
    """Layers that follow each other without anything between them, and the input of the first."""

    start: Tensor
    layers: list[Layer] = field(default_factory=list)


class Descent:
    """Shows `step` each layer of one forward that `record` follows, top layer first.

    Kept are queries and keys of `stride` layers at most and the input of every `stride`-th, from which all but the top
    layers are computed again (Chen et al. 2016, arXiv 1604.06174, section 4); with a stride of 0 all queries and keys.
    With `offload` what is kept lies in the CPU's memory.
    """

    def __init__(
        self, record: AttentionRecord, step: Callable[[LayerRecord], None], *, stride: int = STRIDE,
        offload: bool = False,
    ) -> None:  # fmt: skip
        self.step, self.stride, self.offload = step, stride, offload
        self._stretches: list[_Stretch] = []
        self._kept: list[LayerRecord] = []
        self._last: tuple[Tensor, int] | None = None  # a layer's output, and how often it was written to
        self._device = torch.device("cpu")
        record.on_layer, record.around = self._keep, self._pass

    def descend(self) -> None:
        """Go down the layers; call it after the forward, while the model still records its attention."""
        self._last = None
        del self._stretches[-1:]  # whose layers are kept
        self._show()
        while self._stretches:
            stretch = self._stretches.pop()
            hidden = stretch.start.to(self._device)
            for layer in stretch.layers:
                hidden = _output(layer(hidden))
            self._show()

    def _show(self) -> None:
        while self._kept:
            self.step(self._kept.pop().to(self._device))

    def _keep(self, layer: LayerRecord) -> None:
        self._device = layer.query.device
        self._kept.append(layer.without_values("cpu" if self.offload else None))

    def _pass(self, layer: Layer, hidden: Tensor) -> Any:
        """A layer of the forward. Where a model changes an output before the next layer, a stretch begins as well."""
        if not self.stride:
            return layer(hidden)
        follows = self._last is not None and self._last[0] is hidden and self._last[1] == hidden._version
        if not follows or len(self._stretches[-1].layers) == self.stride:
            self._stretches.append(_Stretch(hidden.cpu() if self.offload else hidden))
            self._kept.clear()
        self._stretches[-1].layers.append(layer)
        found = layer(hidden)
        self._last = _output(found), _output(found)._version
        return found


def _output(found: Any) -> Tensor:
    """A layer's hidden states, which some families give in a tuple."""
    output: Tensor = found[0] if isinstance(found, tuple) else found
    return output
