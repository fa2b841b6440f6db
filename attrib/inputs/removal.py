"""Score when pixels or visual tokens are replaced by a baseline, or tokens are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from attrib.inputs.space import Inputs, Space, baseline_of, require_space
from attrib.method import require_choice
from attrib.model import TokenGrid
from attrib.runtime.memory import batches
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Shape = tuple[int, int, int]
Absence = Literal["blur", "black", "mean", "frozen", "mean_token", "dropped"]  # a baseline, or tokens left out


@dataclass(frozen=True, eq=False)
class Removal:
    """A subject's pixels or visual tokens, and their scores without some of them.

    `without` takes masks of b versions, (b, t, h, w) of pixels or (b, n) of tokens: True where a version shows the
    baseline, or lacks the token; of a baseline also its share, from 0 to 1. It is differentiable.
    """

    inputs: Inputs
    without: Callable[[Tensor], Tensor]

    @staticmethod
    def of(subject: Subject, space: Space, absence: Absence) -> Removal:
        """Build it from the names of the space and of what is shown instead."""
        inputs = Inputs.of(subject, space)
        if absence == "dropped":
            return Removal(inputs, partial(_left_out, subject, inputs.values))
        return Removal(inputs, partial(_replaced, inputs, baseline_of(subject, space, absence)))

    @torch.no_grad()
    def scores(self, count: int, mask: Callable[[int], Tensor], batch: int) -> Float[Tensor, " count"]:
        """Return the score of each of `count` versions in nats, `batch` of them at a time; `mask(i)` is one's mask."""
        scores = [self.inputs.values.new_empty(0)]
        for chunk in batches(count, batch):
            scores.append(self.without(torch.stack([mask(i) for i in range(chunk.start, chunk.stop)])))
        return torch.cat(scores)

    @torch.no_grad()
    def drops(self, count: int, mask: Callable[[int], Bool[Tensor, ...]], batch: int) -> Float[Tensor, " count"]:
        """Return the score minus each of `count` versions' score, in nats, as `scores` does."""
        return self.inputs.score(self.inputs.values) - self.scores(count, mask, batch)


def seen_imputers(absence: Absence) -> frozenset[str]:
    """Return the registered imputers that show removed cells as the absence does; see `Method.seen_imputers`."""
    alike = {"frozen": "freeze", "mean_token": "token", "dropped": "token", "black": ""}
    return frozenset({alike.get(absence, absence)} - {""})


def require_removal(space: str, absence: str) -> None:
    """Raise ValueError for an unknown space or absence, or an impossible pair; for a method's `__post_init__`."""
    require_choice("baseline", absence, get_args(Absence))
    require_space(space, *([] if absence == "dropped" else [absence]))
    if space == "pixels" and absence == "dropped":
        raise ValueError("baseline: 'dropped' leaves out tokens; set space to 'tokens'")


def _replaced(inputs: Inputs, baseline: Tensor, masks: Tensor) -> Float[Tensor, " b"]:
    masks = masks.to(baseline.device).unsqueeze(2)
    if masks.dtype == torch.bool:
        return inputs.score(torch.where(masks, baseline, inputs.values))
    return inputs.score(inputs.values + masks.to(baseline.dtype) * (baseline - inputs.values))


def _left_out(subject: Subject, tokens: Tensor, masks: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    kept = [~mask.to(tokens.device) for mask in masks]
    answers = [subject.model.score_tokens(tokens, subject.question, keep) for keep in kept]
    return subject.log_odds(torch.cat(answers))


@dataclass(frozen=True, eq=False)
class Cells:
    """A clip divided into (token steps, rows, columns) cells, with the cell of each pixel or token."""

    shape: Shape
    axes: tuple[Tensor, Tensor, Tensor]  # cell index along each axis, per frame or step, row and column
    flat: bool

    @staticmethod
    def of(inputs: Inputs, grid: TokenGrid, side: int) -> Cells:
        """Divide the frame into at most `side` rows and columns, and no more than the token grid has."""
        rows, columns = min(side, grid.rows), min(side, grid.columns)
        flat = inputs.grid is not None
        height, width = (grid.rows, grid.columns) if flat else inputs.values.shape[3:]
        time = torch.arange(grid.steps) if flat else torch.arange(grid.frames) // grid.frames_per_step
        y, x = torch.arange(height) * rows // height, torch.arange(width) * columns // width
        return Cells((grid.steps, rows, columns), (time, y, x), flat)

    def mask(self, cells: Bool[Tensor, "t r c"]) -> Bool[Tensor, "t h w"] | Bool[Tensor, " n"]:
        """Return the mask of the pixels or tokens in these cells, as `Removal.drops` expects it."""
        time, y, x = self.axes
        mask = cells[time][:, y][:, :, x]
        return mask.flatten() if self.flat else mask
