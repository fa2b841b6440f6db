"""Does the map say what the answer truly owes to each object at each time? No imputer: the video is made again.

A pair is an object and a time bin for which the sample has a video without that object in that bin, and in which the
object can be seen in at least one frame of the clip. Its mass is the mean over the bin's frames of p, weighted by the
shares of the cells that the object visibly covers. Faithfulness to the model: the sample's cut plays no part.

Ties get the mean of their ranks. Masses tie that differ by less than 1e-6 of the largest, which is rounding. Changes
are compared in steps of a tenth of the largest and at least half a nat (odds times 1.65): a rank correlation would else
be decided by the many objects that hardly matter, whose absence moves the log-odds by hundredths of a nat, as encoding
the same video again does (0.01 to 0.05 for the built-in model). Chance is 0 for both metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from attrib.annotation_cells import visible_tube
from attrib.benchmarks.perturb.cells import TOLERANCE, UndefinedError, cell_values
from attrib.benchmarks.perturb.counterfactual import changes
from attrib.metric import ContrastMetric, Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import Counterfactual, SaliencyVolume, Sample, Track
from attrib.types.need import Need

FloatArray = NDArray[np.float64]
NEEDS: frozenset[Need] = frozenset({"model", "tracks", "counterfactuals"})
LEAST = 3  # pairs; two always rank alike or opposite
STEP = 0.5  # nats, at least
SHARE = 0.1  # of the largest change


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs' videos (n,) and the weight of each cell in each pair's mass (n, t, rows, columns)."""

    parts: tuple[Counterfactual, ...]
    weights: FloatArray


@dataclass(frozen=True)
class CounterfactualDeletion(Metric):
    """Spearman over (object, time bin) pairs of the map's mass with the true fall of the log-odds; in [-1, 1].

    The fall is that of the explained log-odds when exactly that object is absent for exactly that time. Undefined
    without 3 pairs, and where all masses or all changes are the same. A uniform map has a value: by size.
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0: a ranking that knows nothing agrees with the changes as often as it opposes them"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            pairs = pairs_of(subject, sample)
            mass = masses(volume, subject, pairs)
            ranks = in_steps(mass, TOLERANCE * float(mass.max()))
            if not np.ptp(ranks):
                raise UndefinedError("the saliency on all pairs of object and time is the same")
            return Score(_spearman(ranks, true_changes(subject, pairs, subject.log_odds)), 0.0)
        except UndefinedError as case:
            return Score.undefined(str(case))


@dataclass(frozen=True)
class TargetSensitivity(ContrastMetric):
    """Does the map change with the explained option as the model's answer does? Spearman over pairs; in [-1, 1].

    A is the explained option, B the strongest of those it is held against, explained against all others: the mass of
    A's map minus that of B's, with the true change of A's log-odds minus that of B's. A map that does not change with
    the target, or on all pairs alike, has no sensitivity: 0. Undefined without 3 pairs or where all changes agree.
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0, as a map that does not change with the target has exactly"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, volume: SaliencyVolume, other: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        rival = subject.towards(subject.rival)
        try:
            pairs = pairs_of(subject, sample)
            one, two = (masses(each, subject, pairs) for each in (volume, other))
            changed = true_changes(subject, pairs, lambda found: subject.log_odds(found) - rival.log_odds(found))
        except UndefinedError as case:
            return Score.undefined(str(case))
        ranks = in_steps(one - two, TOLERANCE * float(max(one.max(), two.max())))
        return Score(_spearman(ranks, changed) if np.ptp(ranks) else 0.0, 0.0)


def pairs_of(subject: Subject, sample: Sample) -> Pairs:
    """The pairs that can be scored. Raises UndefinedError when there are fewer than LEAST."""
    tracks: dict[int | None, Track] = {track.id: track for track in sample.tracks}
    parts = [item for item in sample.counterfactuals if item.kind == "part" and item.track in tracks]
    if not parts:
        raise UndefinedError("no counterfactual video of an annotated object")
    times, grid = subject.clip.times, subject.grid
    tubes = {item.track: visible_tube(tracks[item.track], times, grid.rows, grid.columns) for item in parts}
    found = []
    for item in parts:
        inside = ((times >= item.start) & (times < item.end))[:, None, None]
        tube = inside * tubes[item.track]
        if tube.any():
            found.append((item, tube / int(inside.sum())))
    if len(found) < LEAST:
        raise UndefinedError(f"{len(found)} pairs of object and time are seen in the clip, expected at least {LEAST}")
    return Pairs(tuple(item for item, _ in found), np.stack([weights for _, weights in found]))


def masses(volume: SaliencyVolume, subject: Subject, pairs: Pairs) -> FloatArray:
    """Mass (n,) of each pair. Raises UndefinedError for a volume that is positive nowhere."""
    grid = subject.grid
    positive = np.maximum(cell_values(volume, subject, grid.rows, grid.columns), 0)
    if not positive.any():
        raise UndefinedError("no positive saliency")
    return np.einsum("nthw,thw->n", pairs.weights, positive / positive.sum())


def true_changes(subject: Subject, pairs: Pairs, log_odds: Callable[[Tensor], Tensor]) -> FloatArray:
    """Change (n,) of each pair in whole steps. Raises UndefinedError where all are the same or one is not finite."""
    found = changes(subject, pairs.parts, log_odds)
    if not np.isfinite(found).all():
        raise UndefinedError("the model's answer to a counterfactual video is not finite")
    steps = in_steps(found, max(STEP, SHARE * float(np.abs(found).max())))
    if not np.ptp(steps):
        raise UndefinedError(f"no pair of object and time changes the answer by {STEP} nats more than another")
    return steps


def in_steps(values: FloatArray, step: float) -> FloatArray:
    """`values` as whole numbers of steps, so that what differs by less is a tie; zeros for a step of 0."""
    return np.round(values / step) if step else np.zeros_like(values)


def _spearman(one: FloatArray, two: FloatArray) -> float:
    return float(spearmanr(one, two).statistic)
