"""Every layer's attention, top layer first, without gradients and without storing all layers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from attrib.attention_record import AttentionRecord, LayerRecord

STRIDE = 4  # layers between stored inputs: about the square root of the number of layers

Layer = Callable[[Tensor], Any]


@dataclass
class _Stretch:
    """Consecutive layers with nothing between them, and the input of the first."""

    start: Tensor
    layers: list[Layer] = field(default_factory=list)


class Descent:
    """Calls `step` with each layer of one forward pass that `record` follows, top layer first.

    Stores queries and keys of at most `stride` layers, and the input of every `stride`-th layer, from which all but the
    top layers are recomputed (Chen et al. 2016, arXiv 1604.06174, section 4). With a stride of 0, stores all queries
    and keys. With `offload`, stores them in CPU memory.
    """

    def __init__(
        self, record: AttentionRecord, step: Callable[[LayerRecord], None], *, stride: int = STRIDE,
        offload: bool = False,
    ) -> None:  # fmt: skip
        self.step, self.stride, self.offload = step, stride, offload
        self._stretches: list[_Stretch] = []
        self._stored: list[LayerRecord] = []
        self._last: tuple[Tensor, int] | None = None  # a layer's output and its version, which counts writes
        self._device = torch.device("cpu")
        record.on_layer, record.around = self._store, self._pass

    def descend(self) -> None:
        """Visit the layers; call this after the forward pass, while the model still records its attention."""
        self._last = None
        del self._stretches[-1:]  # its layers are stored already
        self._show()
        while self._stretches:
            stretch = self._stretches.pop()
            hidden = stretch.start.to(self._device)
            for layer in stretch.layers:
                hidden = _output(layer(hidden))
            self._show()

    def _show(self) -> None:
        while self._stored:
            self.step(self._stored.pop().to(self._device))

    def _store(self, layer: LayerRecord) -> None:
        self._device = layer.query.device
        self._stored.append(layer.without_values("cpu" if self.offload else None))

    def _pass(self, layer: Layer, hidden: Tensor) -> Any:
        """Run a layer; start a new stretch after `stride` layers, or if the model changed the last layer's output."""
        if not self.stride:
            return layer(hidden)
        follows = self._last is not None and self._last[0] is hidden and self._last[1] == hidden._version
        if not follows or len(self._stretches[-1].layers) == self.stride:
            self._stretches.append(_Stretch(hidden.cpu() if self.offload else hidden))
            self._stored.clear()
        self._stretches[-1].layers.append(layer)
        result = layer(hidden)
        self._last = _output(result), _output(result)._version
        return result


def _output(result: Any) -> Tensor:
    """Return a layer's hidden states, which some model families wrap in a tuple."""
    output: Tensor = result[0] if isinstance(result, tuple) else result
    return output
