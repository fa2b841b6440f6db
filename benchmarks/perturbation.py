"""Removing cells of a clip in the order of a volume, and the curves of the subject's answer while they go.

A version of the clip is named by the ranks [first, last) that are removed, rank 0 being the most salient cell.
Everything is evaluated once: with n cells, removing the most salient k is [0, k), removing the least salient k is
[n - k, n), and inserting the most salient k into the removed video is [k, n), that is removing the least salient n - k.
The step set is not symmetric (inserting 1 % is removing 99 %), so insertion costs its own evaluations, but for the
steps whose complement is a step too (0, 50, 100 %). The full video was evaluated when the subject was bound, the fully
removed one is evaluated once for all volumes of a subject: 24 evaluations for the first volume, 23 for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib.benchmarks.cells import cell_values, require_contrast
from attrib.subject import Subject
from attrib.types import SaliencyVolume

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

STEPS = (0.0, 0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50, 0.75, 1.0)
SIDE = 8  # cells along each side of a frame, where the token grid is not coarser
SIGMA = 0.1  # of the blur, as a share of the frame's height and width: what is as small as a cell goes

Imputer = Literal["blur", "mean"]
Ranks = tuple[int, int]  # removed, half-open


def blur(pixels: Float[Tensor, "t 3 h w"]) -> Callable[[Bool[Tensor, "t h w"]], Float[Tensor, "t 3 h w"]]:
    """Removed pixels show the frame under a Gaussian, renormalised at the frame's edge so that no darkness enters."""
    rows, columns = (_gaussian(size).to(pixels) for size in pixels.shape[-2:])
    return partial(_replaced, pixels, torch.einsum("yh,tchw,xw->tcyx", rows, pixels, columns))


def mean(pixels: Float[Tensor, "t 3 h w"]) -> Callable[[Bool[Tensor, "t h w"]], Float[Tensor, "t 3 h w"]]:
    """Removed pixels show the mean colour of the whole video."""
    return partial(_replaced, pixels, pixels.mean(dim=(0, 2, 3), keepdim=True))


# An imputer takes the pixels once and then a mask per version, so that it may look at what is kept.
IMPUTERS: Mapping[Imputer, Callable[[Tensor], Callable[[Tensor], Tensor]]] = {"blur": blur, "mean": mean}


def _replaced(pixels: Tensor, replacement: Tensor, removed: Tensor) -> Tensor:
    return torch.where(removed[:, None], replacement, pixels)


def _gaussian(size: int) -> Float[Tensor, "size size"]:
    place = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((place[:, None] - place) / (SIGMA * size)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Curve:
    """The answer along one order: fractions (k,) from 0 to 1 of the cells, log-odds (k,) in nats, p(option) (k,)."""

    fractions: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    probability: NDArray[np.float64]

    def auc(self, of: Literal["log_odds", "probability"] = "log_odds") -> float:
        """Trapezoid over the true fractions, both ends included; the mean height, in the curve's own units."""
        heights = self.log_odds if of == "log_odds" else self.probability
        return float(np.trapezoid(heights, self.fractions))


@dataclass(frozen=True, eq=False)
class Curves:
    """Removal of the most and of the least salient first, and insertion of the most salient into the removed video."""

    most_first: Curve
    least_first: Curve
    insertion: Curve


# Keyed by identity and weakly: curves and answers hold numbers only, and go with the volume or the subject.
_of_volume: WeakKeyDictionary[SaliencyVolume, WeakKeyDictionary[Subject, dict[Imputer, Curves]]] = WeakKeyDictionary()
_of_chance: WeakKeyDictionary[Subject, dict[Imputer, Curves]] = WeakKeyDictionary()
_removed: WeakKeyDictionary[Subject, dict[Imputer, Tensor]] = WeakKeyDictionary()


def curves(volume: SaliencyVolume, subject: Subject, imputer: Imputer = "blur") -> Curves:
    """The three curves of a volume; a second call for the same objects evaluates nothing.

    Raises UndefinedError when the volume ranks nothing, InputError when it is not of the subject's clip.
    """
    known = _of_volume.setdefault(volume, WeakKeyDictionary()).setdefault(subject, {})
    if imputer not in known:
        known[imputer] = _evaluate(saliency_order(volume, subject), subject, imputer)
    return known[imputer]


def chance_curves(subject: Subject, imputer: Imputer = "blur") -> Curves:
    """The curves of one seeded random order: what chance reaches on this very item; shared by all volumes."""
    known = _of_chance.setdefault(subject, {})
    if imputer not in known:
        order = np.random.default_rng([subject.seed, 1]).permutation(int(np.prod(cell_shape(subject))))
        known[imputer] = _evaluate(order, subject, imputer)
    return known[imputer]


def cell_shape(subject: Subject) -> tuple[int, int, int]:
    """(t, rows, columns) of the perturbation cells: one slice per clip frame, SIDE x SIDE or the coarser token grid."""
    grid = subject.grid
    return len(subject.clip), min(SIDE, grid.rows), min(SIDE, grid.columns)


def saliency_order(volume: SaliencyVolume, subject: Subject) -> NDArray[np.int64]:
    """Flat cell indices by descending signed saliency; only ties are settled by the subject's seed."""
    _, rows, columns = cell_shape(subject)
    values = cell_values(volume, subject, rows, columns).ravel()
    require_contrast(values)
    jitter = np.random.default_rng([subject.seed, 0]).permutation(len(values))
    return np.lexsort((jitter, -values))


def step_counts(cells: int) -> NDArray[np.int64]:
    """How many cells are gone at each step, halves rounded up; steps that coincide in a small clip are taken once."""
    return np.unique(np.floor(np.array(STEPS) * cells + 0.5).astype(np.int64))


def _evaluate(order: NDArray[np.int64], subject: Subject, imputer: Imputer) -> Curves:
    cells = len(order)
    counts = [int(count) for count in step_counts(cells)]
    plans: list[list[Ranks]] = [
        [(0, count) for count in counts],
        [(cells - count, cells) for count in counts],
        [(count, cells) for count in counts],
    ]
    answers = _answers([ranks for plan in plans for ranks in plan], order, subject, imputer)
    fractions = np.array(counts) / cells
    most, least, inserted = (_curve(fractions, [answers[_name(*r)] for r in plan], subject) for plan in plans)
    return Curves(most, least, inserted)


def _name(first: int, last: int) -> Ranks:
    """One name for the full video, whichever end the empty range lies at."""
    return (first, last) if first < last else (0, 0)


def _curve(fractions: NDArray[np.float64], answers: list[Tensor], subject: Subject) -> Curve:
    logprobs = torch.stack(answers).double()
    log_odds = subject.log_odds(logprobs).numpy()
    return Curve(fractions, log_odds, subject.probability(logprobs).numpy())


def _answers(
    wanted: Iterable[Ranks], order: NDArray[np.int64], subject: Subject, imputer: Imputer
) -> dict[Ranks, Tensor]:
    """Option log-probabilities (o,) of each version, in one pass over those that are not known yet."""
    removed = _removed.setdefault(subject, {})
    known = {(0, 0): subject.logprobs.cpu()}
    if imputer in removed:
        known[0, len(order)] = removed[imputer]
    todo = [ranks for ranks in dict.fromkeys(_name(*ranks) for ranks in wanted) if ranks not in known]
    if todo:
        place, impute = _pixel_ranks(order, subject), IMPUTERS[imputer](subject.pixels)

        def version(index: int) -> Tensor:
            first, last = todo[index]
            return impute((place >= first) & (place < last))

        known.update(zip(todo, subject.logprobs_of(len(todo), version).cpu(), strict=True))
    removed[imputer] = known[0, len(order)]
    return known


def _pixel_ranks(order: NDArray[np.int64], subject: Subject) -> Int[Tensor, "t h w"]:
    """The rank of the cell in which each pixel's centre lies."""
    shape = cell_shape(subject)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    height, width = subject.pixels.shape[-2:]
    row = ((np.arange(height) + 0.5) / height * shape[1]).astype(np.int64)
    column = ((np.arange(width) + 0.5) / width * shape[2]).astype(np.int64)
    return torch.from_numpy(ranks.reshape(shape)[:, row[:, None], column]).to(subject.pixels.device)
