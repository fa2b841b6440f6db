"""Does the map agree with the true effect of each object at each time? Uses re-rendered videos and no imputer.

A pair is an object and a time bin for which the sample has a video without that object in that bin, and in which the
object is visible in at least one frame of the clip. Its mass is the mean of p over the bin's frames, weighted by the
shares of the cells that the object visibly covers. These metrics measure faithfulness to the model, so they ignore the
sample's cut.

Ties get the mean of their ranks. Masses that differ by less than 1e-6 of the largest tie: the difference is rounding.
Changes are compared in steps of a tenth of the largest, at least half a nat (odds times 1.65). Otherwise the many
objects that hardly matter would decide the rank correlation: their absence changes the log-odds by hundredths of a nat,
like encoding the same video again (0.01 to 0.05 for the built-in model). Chance is 0 for both metrics.
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
LEAST = 3  # pairs; two always rank the same or opposite
STEP = 0.5  # nats, at least
SHARE = 0.1  # of the largest change


@dataclass(frozen=True, eq=False)
class Pairs:
    """The videos (n,) of the pairs, and the weight of each cell in each pair's mass (n, t, rows, columns)."""

    videos: tuple[Counterfactual, ...]
    weights: FloatArray


@dataclass(frozen=True)
class CounterfactualDeletion(Metric):
    r"""Spearman over (object, time bin) pairs of the map's mass with the true drop of the log-odds; in [-1, 1].

    The drop is that of the explained log-odds when exactly that object is absent for exactly that time. Undefined
    with fewer than 3 pairs, and where all masses or all changes are equal. A uniform map ranks pairs by size.

    $$\rho(m_k, f(x) - f(x_{\setminus k}))$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0: a ranking that knows nothing agrees with the changes as often as it opposes them"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
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
    r"""Does the map change with the explained option as the model's answer does? Spearman over pairs; in [-1, 1].

    A is the explained option, B its strongest rival, explained against all others. Correlates the mass of A's map
    minus that of B's with the true change of A's log-odds minus that of B's. A map that does not change with the
    target, or changes equally on all pairs, scores 0. Undefined with fewer than 3 pairs or where all changes are equal.

    $$\rho(m_k^A - m_k^B, \Delta_k f_A - \Delta_k f_B), \quad \Delta_k f = f(x) - f(x_{\setminus k})$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0, as a map that does not change with the target has exactly"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = NEEDS

    def score(self, volume: SaliencyVolume, other: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        rival = subject.towards(subject.rival)
        try:
            pairs = pairs_of(subject, sample)
            mass, rival_mass = (masses(each, subject, pairs) for each in (volume, other))
            changed = true_changes(subject, pairs, lambda answers: subject.log_odds(answers) - rival.log_odds(answers))
        except UndefinedError as case:
            return Score.undefined(str(case))
        ranks = in_steps(mass - rival_mass, TOLERANCE * float(max(mass.max(), rival_mass.max())))
        return Score(_spearman(ranks, changed) if np.ptp(ranks) else 0.0, 0.0)


def pairs_of(subject: Subject, sample: Sample) -> Pairs:
    """Return the pairs that can be scored. Raises UndefinedError when there are fewer than LEAST."""
    tracks: dict[int | None, Track] = {track.id: track for track in sample.tracks}
    videos = [item for item in sample.counterfactuals if item.kind == "part" and item.track in tracks]
    if not videos:
        raise UndefinedError("no counterfactual video of an annotated object")
    times, grid = subject.clip.times, subject.grid
    tubes = {item.track: visible_tube(tracks[item.track], times, grid.rows, grid.columns) for item in videos}
    pairs = []
    for item in videos:
        inside = ((times >= item.start) & (times < item.end))[:, None, None]
        tube = inside * tubes[item.track]
        if tube.any():
            pairs.append((item, tube / int(inside.sum())))
    if len(pairs) < LEAST:
        raise UndefinedError(f"{len(pairs)} pairs of object and time are seen in the clip, expected at least {LEAST}")
    return Pairs(tuple(item for item, _ in pairs), np.stack([weights for _, weights in pairs]))


def masses(volume: SaliencyVolume, subject: Subject, pairs: Pairs) -> FloatArray:
    """Return the mass (n,) of each pair. Raises UndefinedError for a volume without positive values."""
    grid = subject.grid
    positive = np.maximum(cell_values(volume, subject, grid.rows, grid.columns), 0)
    if not positive.any():
        raise UndefinedError("no positive saliency")
    return np.einsum("nthw,thw->n", pairs.weights, positive / positive.sum())


def true_changes(subject: Subject, pairs: Pairs, log_odds: Callable[[Tensor], Tensor]) -> FloatArray:
    """Return each pair's change (n,) in whole steps. Raises UndefinedError if all are equal or one is not finite."""
    falls = changes(subject, pairs.videos, log_odds)
    if not np.isfinite(falls).all():
        raise UndefinedError("the model's answer to a counterfactual video is not finite")
    steps = in_steps(falls, max(STEP, SHARE * float(np.abs(falls).max())))
    if not np.ptp(steps):
        raise UndefinedError(f"no pair of object and time changes the answer by {STEP} nats more than another")
    return steps


def in_steps(values: FloatArray, step: float) -> FloatArray:
    """Round `values` to whole steps, so that smaller differences tie; zeros for a step of 0."""
    return np.round(values / step) if step else np.zeros_like(values)


def _spearman(one: FloatArray, two: FloatArray) -> float:
    return float(spearmanr(one, two).statistic)
