"""Occlusion of annotated objects, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from attrib.inputs.players import stretches, tube
from attrib.inputs.removal import Removal
from attrib.inputs.space import Baseline, require_space
from attrib.method import Batched, Method, require_at_least, require_sample
from attrib.types.footprint import Footprint
from attrib.types.need import Need

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class ObjectOcclusion(Batched, Method):
    r"""Drop of the score without an annotated object during a stretch of `seconds` (0: all the time), on its boxes.

    The object's boxes are filled with the baseline while it is visible. Where several objects cover a cell, their
    drops are averaged, weighted by the share of the cell that each covers.

    $$M_i = \frac{\sum_o g_{oi} \left[ f(x) - f(x_{\setminus o}) \right]}{\max(1, \sum_o g_{oi})}$$
    """

    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = frozenset({"tracks"})

    seconds: float = 1.0
    baseline: Baseline = "blur"
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_space("pixels", self.baseline)
        require_at_least("seconds", self.seconds, 0)
        require_at_least("batch", self.batch, 1)

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", "pixels", self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats, 0 outside objects. Raises AttributionError for a subject without a sample."""
        sample, times, grid = require_sample(subject, "object_occlusion"), subject.clip.times, subject.grid
        pairs = [pair for track in sample.tracks for pair in stretches(track, times, self.seconds)]
        height, width = subject.pixels.shape[2:]

        def mask(index: int) -> Bool[Tensor, "t h w"]:
            return torch.from_numpy(tube(*pairs[index], times, height, width) >= 0.5)

        drops = Removal.of(subject, "pixels", self.baseline).drops(len(pairs), mask, self.batch)
        total, covered = (np.zeros((grid.frames, grid.rows, grid.columns)) for _ in range(2))
        for (track, frames), drop in zip(pairs, drops.tolist(), strict=True):
            share = tube(track, frames, times, grid.rows, grid.columns)
            total += drop * share
            covered += share
        return torch.from_numpy(total / np.maximum(covered, 1))
