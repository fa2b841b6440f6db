"""RISE: the score under random masks of low resolution, regressed on each place of the masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import interpolate

from attrib.inputs.monte_carlo import report_of_halves
from attrib.inputs.removal import Absence, Removal, Shape, require_removal
from attrib.inputs.space import Inputs, Space
from attrib.method import Attribution, Batched, Method, require_at_least
from attrib.runtime.memory import batches
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.model import TokenGrid
    from attrib.subject import Subject


@dataclass(frozen=True)
class Rise(Batched, Method):
    r"""Regression of the score on random masks of low resolution, place by place (Petsiuk et al. 2018, section 3).

    A mask keeps each cell of a coarse grid with probability `kept`; the grid is enlarged to the clip and shifted at
    random. Pixels: enlarged linearly, so that a mask is soft. Tokens: by repetition, so that a token is kept or not.
    The paper's weights, the mask alone, make a map of the mask's mean as much as of its effects; here masks and scores
    are centred, and divided by the mask's variance, so that the map of independent cells is in expectation the sum of
    the effects that they have in an additive model. One forward pass for each of `samples` masks. Reports
    `monte_carlo_agreement`, the rank correlation to expect with a map of another seed, from two halves of the masks.

    $$M_i = \frac{\sum_k (m_{ki} - \bar m_i) (f(x \odot m_k) - \bar f)}{\sum_k (m_{ki} - \bar m_i)^2}$$
    """

    reference: ClassVar[str] = "Petsiuk et al. 2018, section 3"

    samples: int = 500  # masks, and forward passes
    cells: int = 4  # rows and columns of a mask's coarse grid, at most those of the token grid
    steps: int = 1  # token steps in a cell of a mask
    kept: float = 0.5  # probability that a mask keeps a cell
    space: Space = "pixels"
    baseline: Absence = "blur"  # what stands for an absent video; tokens also: `dropped` from the sequence
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_removal(self.space, self.baseline)
        for name in ("samples", "cells", "steps", "batch"):
            require_at_least(name, getattr(self, name), 1)
        if not 0 < self.kept < 1:
            raise ValueError(f"kept: expected a probability between 0 and 1, got {self.kept}")

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", self.space, min(self.batch, self.samples), blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `monte_carlo_agreement`."""
        removal, grid = Removal.of(subject, self.space, self.baseline), subject.grid
        size, window = self._sizes(removal.inputs, grid)
        halves = (Moments.zeros(size), Moments.zeros(size))
        level = float(subject.log_odds(subject.logprobs[None]))
        for chunk in batches(self.samples, self.batch):
            masks = coarse_masks(chunk.stop - chunk.start, size, window, self.kept, smooth=self.space == "pixels")
            removed = (1 - masks) if self.space == "pixels" else masks.flatten(1) == 0
            with torch.no_grad():
                scores = removal.without(removed).cpu().double() - level
            for half, moments in enumerate(halves):
                of_half = torch.arange(chunk.start, chunk.stop) % 2 == half
                moments.add(masks[of_half].double() - self.kept, scores[of_half])
        one, two = (moments.slope for moments in halves)
        return Attribution(halves[0].joined(halves[1]).slope, report_of_halves(one, two, grid))

    def _sizes(self, inputs: Inputs, grid: TokenGrid) -> tuple[Shape, Shape]:
        """Return the size of the clip and of a mask's cell, both in frames and pixels, or in tokens."""
        frames, rows, columns = grid.steps, grid.rows, grid.columns
        steps = self.steps
        if inputs.grid is None:
            frames, (rows, columns) = inputs.values.shape[1], inputs.values.shape[3:]
            steps *= grid.frames_per_step
        down, across = min(self.cells, grid.rows), min(self.cells, grid.columns)
        return (frames, rows, columns), (min(steps, frames), -(-rows // down), -(-columns // across))


@dataclass
class Moments:
    """Sums over masks m (k, t, h, w) and scores f (k,), from which regressions on each place follow."""

    count: int
    score: Tensor
    mask: Tensor
    square: Tensor
    product: Tensor

    @staticmethod
    def zeros(size: Shape) -> Moments:
        """Return the sums of no masks of this size."""
        mask, square, product = (torch.zeros(size, dtype=torch.float64) for _ in range(3))
        return Moments(0, torch.zeros((), dtype=torch.float64), mask, square, product)

    def add(self, masks: Float[Tensor, "k t h w"], scores: Float[Tensor, " k"]) -> None:
        """Add masks with their scores."""
        self.count += len(scores)
        self.score += scores.sum()
        self.mask += masks.sum(dim=0)
        self.square += masks.square().sum(dim=0)
        self.product += torch.einsum("k,kthw->thw", scores, masks)

    def joined(self, other: Moments) -> Moments:
        """Return the sums over both sets of masks."""
        return Moments(
            self.count + other.count, self.score + other.score, self.mask + other.mask, self.square + other.square,
            self.product + other.product,
        )  # fmt: skip

    @property
    def slope(self) -> Float[Tensor, "t h w"]:
        """Least-squares slope of the score on each place of the mask; 0 where all masks are alike."""
        variance = self.square - self.mask**2 / max(self.count, 1)
        covariance = self.product - self.mask * self.score / max(self.count, 1)
        return torch.where(variance > 1e-9, covariance / variance.clamp(min=1e-9), 0)


def coarse_masks(count: int, size: Shape, window: Shape, kept: float, *, smooth: bool) -> Float[Tensor, "count t h w"]:
    """Return masks of coarse grids with cells of `window`, 1 with probability `kept`, enlarged and shifted at random.

    `smooth` ones are interpolated along rows, columns and time; others repeat their cells.
    """
    coarse = [-(-whole // each) + 1 for whole, each in zip(size, window, strict=True)]
    grids = (torch.rand(count, 1, *coarse) < kept).float()
    large = [cells * each for cells, each in zip(coarse, window, strict=True)]
    enlarged = interpolate(grids, large, mode="trilinear" if smooth else "nearest")[:, 0]
    shifts = torch.stack([torch.randint(each, (count,)) for each in window], dim=1).tolist()
    return torch.stack([
        mask[t : t + size[0], y : y + size[1], x : x + size[2]]
        for mask, (t, y, x) in zip(enlarged, shifts, strict=True)
    ])  # fmt: skip
