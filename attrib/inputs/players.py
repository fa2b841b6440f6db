"""Players of a game on a clip: parts that are removed as a whole, and how their values make a map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib.annotation_cells import boxes_at, visible_tube
from attrib.inputs.removal import Cells
from attrib.inputs.space import Inputs
from attrib.method import require_sample
from attrib.model import TokenGrid
from attrib.subject import Subject
from attrib.types import Track

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

PlayerKind = Literal["cells", "frames", "objects", "object_seconds"]


class Players(ABC):
    """Parts of a clip."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of players."""

    @abstractmethod
    def mask(self, members: Bool[Tensor, " count"]) -> Bool[Tensor, "t h w"] | Bool[Tensor, " n"]:
        """Return the mask of the pixels or tokens of these players, as `Removal` expects it."""

    @abstractmethod
    def volume(self, values: Float[Tensor, " count"]) -> Float[Tensor, "t h w"]:
        """Return a map with one slice per token step whose sum is that of the players' values."""


@dataclass(frozen=True, eq=False)
class CellPlayers(Players):
    """Cells of the clip; in a grid of one row and column, whole steps."""

    cells: Cells

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(np.prod(self.cells.shape))

    def mask(self, members: Bool[Tensor, " count"]) -> Tensor:
        """Return the mask of these cells."""
        return self.cells.mask(members.view(self.cells.shape))

    def volume(self, values: Float[Tensor, " count"]) -> Float[Tensor, "t h w"]:
        """Return the values in the cells."""
        return values.view(self.cells.shape)


@dataclass(frozen=True, eq=False)
class ObjectPlayers(Players):
    """Annotated objects while they are visible: `pairs` of a track and its frames (t,)."""

    pairs: tuple[tuple[Track, NDArray[np.bool_]], ...]
    times: NDArray[np.float64]
    size: tuple[int, int]
    grid: TokenGrid

    @property
    def count(self) -> int:
        """Number of objects, or of their stretches."""
        return len(self.pairs)

    @cached_property
    def _filled(self) -> dict[int, Tensor]:
        """Pixels (t, h, w) of each object, by the track's id."""
        always = np.ones(len(self.times), bool)
        tracks = {track.id: track for track, _ in self.pairs}
        return {
            number: torch.from_numpy(tube(track, always, self.times, *self.size) >= 0.5)
            for number, track in tracks.items()
        }

    def mask(self, members: Bool[Tensor, " count"]) -> Bool[Tensor, "t h w"]:
        """Return the union of the objects' boxes in their frames."""
        mask = torch.zeros(len(self.times), *self.size, dtype=torch.bool)
        for index in members.nonzero().flatten().tolist():
            track, frames = self.pairs[index]
            mask[frames] |= self._filled[track.id][frames]
        return mask

    def volume(self, values: Float[Tensor, " count"]) -> Float[Tensor, "t h w"]:
        """Return each object's value, spread over the cells of its boxes by the share of them that it covers."""
        grid = self.grid
        total = np.zeros((grid.steps, grid.rows, grid.columns))
        for (track, frames), value in zip(self.pairs, values.tolist(), strict=True):
            shares = np.zeros_like(total)
            np.add.at(
                shares, np.arange(grid.frames) // grid.frames_per_step,
                tube(track, frames, self.times, grid.rows, grid.columns),
            )  # fmt: skip
            if shares.any():  # a box without an area covers nothing, and its removal changes nothing
                total += value * shares / shares.sum()
        return torch.from_numpy(total)


def players_of(subject: Subject, inputs: Inputs, kind: PlayerKind, cells: int, seconds: float) -> Players:
    """Return the players of a kind; `cells` x `cells` in a step. Raises AttributionError for objects without a sample.

    `seconds` are the length of a stretch of `object_seconds`.
    """
    if kind in ("cells", "frames"):
        return CellPlayers(Cells.of(inputs, subject.grid, cells if kind == "cells" else 1))
    sample, times = require_sample(subject, f"players {kind}"), subject.clip.times
    length = 0.0 if kind == "objects" else seconds
    pairs = tuple(pair for track in sample.tracks for pair in stretches(track, times, length))
    height, width = subject.pixels.shape[2:]
    return ObjectPlayers(pairs, times, (height, width), subject.grid)


def stretches(track: Track, times: NDArray[np.float64], seconds: float) -> Iterator[tuple[Track, NDArray[np.bool_]]]:
    """Yield the track with the frames (t,) of each stretch, counted from 0 s, in which it is visible.

    With 0 seconds there is one stretch, the whole clip.
    """
    seen = np.array([bool(boxes_at(float(time), [track])[0]) for time in times])
    number = np.floor(times / seconds) if seconds else np.zeros(len(times))
    for stretch in np.unique(number[seen]):
        yield track, number == stretch


def tube(
    track: Track, frames: NDArray[np.bool_], times: NDArray[np.float64], rows: int, columns: int
) -> NDArray[np.float64]:
    """Return the share of each cell (t, rows, columns) that the track covers in `frames` (t,), 0 in others."""
    shares = np.zeros((len(times), rows, columns))
    shares[frames] = visible_tube(track, times[frames], rows, columns)
    return shares
