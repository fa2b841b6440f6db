"""A recursion of attention carried on from the visual tokens into the vision encoder, down to its patches.

The encoder runs once more, one step of the clip at a time, and back from the scalar's gradient by the step's tokens:
its attention's gradients are those of the whole model, and no more than one step's activations are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.graph import save_on_cpu

from attrib.attention.flows import Flow, passed_on
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.capabilities import EncodesSteps, RecordsVisionAttention, require
from attrib.errors import UnsupportedModel
from attrib.subject import Subject
from attrib.types.volume import area_weights

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class TowerPasses:
    """A `flow` followed through the vision encoder, and what an `AttentionRecord` and `flows.run` are given for it."""

    flow: Flow
    find_sinks: bool = False
    checkpoint: bool = True
    offload: bool = False

    def to_patches(
        self, subject: Subject, method: str, tokens: Sequence[Float[Tensor, " n"]], slopes: Float[Tensor, "1 n d"]
    ) -> list[Float[Tensor, "t h w"]]:
        """Return the values of each frame's patches, for those of the visual tokens, and for their twin's if given.

        `slopes` is the scalar's gradient by the tokens. Raises UnsupportedModel when the model does not expose its
        vision encoder's attention.
        """
        recording = require(subject.model, RecordsVisionAttention, method)
        encoding = require(subject.model, EncodesSteps, method)
        grid, each = subject.grid, subject.grid.frames_per_step
        shape = (grid.steps, grid.rows, grid.columns)
        maps: list[list[Tensor]] = []
        for step, gradient in enumerate(slopes[0].unflatten(0, (grid.steps, -1))):
            frames = slice(step * each, (step + 1) * each)
            record = AttentionRecord(find_sinks=self.find_sinks, checkpoint=self.checkpoint)
            recursion = TowerRecursion(record, self.flow, [values.view(shape)[step] for values in tokens])
            record.on_gradient = recursion.step
            shot = replace(subject.shot, times=subject.shot.times[frames])
            with recording.record_vision_attention(record, shot), torch.enable_grad():
                with save_on_cpu() if self.offload else nullcontext():
                    features = encoding.encode_steps(subject.pixels[None, frames])
                if not features.requires_grad:
                    name = subject.model.name
                    raise UnsupportedModel(
                        f"{method}: model {name!r} shows none of its vision encoder's attention in a backward pass"
                    )
                torch.autograd.grad(features, record.root, gradient[None].to(features))
            maps.append(recursion.patches)
        whole = [torch.stack(steps) for steps in zip(*maps, strict=True)]
        return [steps.repeat_interleave(each, dim=0)[: grid.frames] for steps in whole]


class TowerRecursion:
    """r <- r + r E through one step's layers, top layer first, as `flows.Recursion`; r starts as `tokens`' patches.

    A token's value is shared out evenly over the patches that it covers; tokens that stand for no place, such as a
    class token, start from 0. Where attention is called for parts of a step, such as windows, each is followed alone.
    """

    def __init__(self, record: AttentionRecord, flow: Flow, tokens: Sequence[Float[Tensor, "rows columns"]]) -> None:
        self.record, self.flow, self.tokens = record, flow, tokens
        self.carried: list[Float[Tensor, " places"]] = []

    def step(self, layer: LayerRecord, gradient: Tensor | None = None) -> None:
        """Add the next layer, or the next part of it."""
        if not self.carried:
            self.carried = [self._start(values) for values in self.tokens]
        self.carried = [each.to(layer.query.device) for each in self.carried]
        batch, _, rows, _ = layer.query.shape
        parts = [each[layer.start : layer.start + batch * rows].view(batch, rows) for each in self.carried]
        for part, passed in zip(parts, passed_on(parts, self.flow, layer, gradient), strict=True):
            part += passed

    def _start(self, values: Float[Tensor, "rows columns"]) -> Float[Tensor, " places"]:
        rows, columns = (
            torch.from_numpy(area_weights(count, patches)).to(values)
            for count, patches in zip(values.shape, self.record.cells, strict=True)
        )
        shared = (rows.mT @ values @ columns).flatten()
        return values.new_zeros(self.record.places).index_copy(0, self.record.visual.to(values.device), shared)

    @property
    def patches(self) -> list[Float[Tensor, "h w"]]:
        """Values of the patches, for each of `tokens`."""
        return [each[self.record.visual.to(each.device)].view(self.record.cells) for each in self.carried]
