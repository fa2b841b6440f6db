"""Perturbation curves: the subject's answer while cells of its clip are removed in the order of a volume.

A version of the clip is defined by its removed ranks [first, last); rank 0 is the most salient cell. With n cells,
removing the most salient k is [0, k), removing the least salient k is [n - k, n), and inserting the most salient k into
the removed video is [k, n), the same as removing the least salient n - k. The steps are not symmetric (inserting 1 % is
removing 99 %), so insertion needs evaluations of its own, except for steps whose complement is a step too (0, 50,
100 %). Each version is evaluated once (`perturb.evaluator`), however many metrics read the curves: 24 evaluations for
all curves of the first volume, 23 for the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.perturb.cells import cell_values, require_contrast
from attrib.benchmarks.perturb.evaluator import answers, cell_shape
from attrib.imputer import BoolArray, Imputer
from attrib.subject import Subject
from attrib.types import SaliencyVolume

STEPS = (0.0, 0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50, 0.75, 1.0)
GATE = 0.5  # nats (odds times 1.65): least effect of the video on an answer that needs it

Of = Literal["log_odds", "probability"]
FloatArray = NDArray[np.float64]
Order = NDArray[np.int64]  # flat cell indices in the order of removal
Ranks = tuple[int, int]  # removed, half-open


@dataclass(frozen=True, eq=False)
class Curve:
    """The answer along one order: counts (k,) of cells, from 0 to all, log-odds (k,) in nats, p(option) (k,)."""

    counts: NDArray[np.int64]
    log_odds: FloatArray
    probability: FloatArray

    @property
    def fractions(self) -> FloatArray:
        """Counts as shares of all cells, from 0 to 1."""
        return self.counts / self.counts[-1]

    def heights(self, of: Of = "log_odds") -> FloatArray:
        """Return the answer (k,) in nats, or in [0, 1]."""
        return self.log_odds if of == "log_odds" else self.probability

    def auc(self, of: Of = "log_odds") -> float:
        """Return the area by the trapezoid rule over fractions 0 to 1: the mean height, in the curve's own units."""
        return float(np.trapezoid(self.heights(of), self.fractions))

    def at(self, share: float, of: Of = "log_odds") -> float:
        """Return the height at one of STEPS."""
        return float(self.heights(of)[np.searchsorted(self.counts, cells_of(share, int(self.counts[-1])))])


@dataclass(frozen=True, eq=False)
class Curves:
    """Removal of the most and of the least salient first, and insertion of the most salient into the removed video.

    Each is evaluated when it is first read; the evaluator caches answers.
    """

    order: Order
    subject: Subject
    imputer: Imputer

    @cached_property
    def most_first(self) -> Curve:
        """Curve of removing the most salient cells first."""
        return self._curve(0)

    @cached_property
    def least_first(self) -> Curve:
        """Curve of removing the least salient cells first."""
        return self._curve(1)

    @cached_property
    def insertion(self) -> Curve:
        """Curve of putting the most salient cells back first."""
        return self._curve(2)

    def _curve(self, plan: int) -> Curve:
        counts, plans = plans_of(len(self.order))
        removed = np.stack([without(self.order[slice(*ranks)], self.subject) for ranks in plans[plan]])
        logprobs = answers(self.subject, self.imputer, removed).double()
        log_odds, probability = self.subject.log_odds(logprobs), self.subject.probability(logprobs)
        return Curve(counts, log_odds.numpy(), probability.numpy())


def curves(volume: SaliencyVolume, subject: Subject, imputer: Imputer) -> Curves:
    """Return the three curves of a volume; the same order is evaluated only once.

    Raises UndefinedError when the volume ranks nothing, InputError when it is of another clip.
    """
    return Curves(saliency_order(volume, subject), subject, imputer)


def chance_curves(subject: Subject, imputer: Imputer) -> Curves:
    """Return the curves of one seeded random order, the item's chance level; shared by all volumes."""
    order = np.random.default_rng([subject.seed, 1]).permutation(int(np.prod(cell_shape(subject))))
    return Curves(order, subject, imputer)


def plans_of(cells: int) -> tuple[NDArray[np.int64], tuple[list[Ranks], list[Ranks], list[Ranks]]]:
    """Return counts (k,) and the ranks removed at each: most salient first, least salient first, and insertion."""
    counts = step_counts(cells)
    steps = [int(count) for count in counts]
    most, least = [(0, count) for count in steps], [(cells - count, cells) for count in steps]
    return counts, (most, least, [(count, cells) for count in steps])


def saliency_order(volume: SaliencyVolume, subject: Subject) -> Order:
    """Return flat cell indices by descending signed saliency; the subject's seed orders ties."""
    _, rows, columns = cell_shape(subject)
    values = cell_values(volume, subject, rows, columns).ravel()
    require_contrast(values)
    jitter = np.random.default_rng([subject.seed, 0]).permutation(len(values))
    return np.lexsort((jitter, -values))


def without(cells: Order, subject: Subject) -> BoolArray:
    """Return the mask (t, rows, columns) of these removed cells."""
    removed = np.zeros(cell_shape(subject), bool)
    removed.flat[cells] = True
    return removed


def step_counts(cells: int) -> NDArray[np.int64]:
    """Return the number of removed cells at each step; steps that coincide in a small clip count once."""
    return np.unique([cells_of(share, cells) for share in STEPS])


def cells_of(share: float, cells: int) -> int:
    """Return the number of cells in this share, halves rounded up."""
    return int(np.floor(share * cells + 0.5))


def needs_video(subject: Subject, imputer: Imputer) -> bool:
    """Return whether the log-odds drop by more than GATE when all cells are removed."""
    removed = answers(subject, imputer, np.ones((1, *cell_shape(subject)), bool)).double()
    whole = subject.logprobs[None].cpu().double()
    return bool(subject.log_odds(whole) - subject.log_odds(removed) > GATE)
