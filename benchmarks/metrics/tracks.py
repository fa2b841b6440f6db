"""Does the saliency lie on the objects that the answer rests on? Alignment with object tracks on the token grid.

Cells, tubes, hidden frames and the cut are settled in `ground_truth`; the names p, g, G and a are those defined there.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from attrib.benchmarks.cells import UndefinedError
from attrib.benchmarks.metrics.ground_truth import Scene, saliency_cells, scene, scored_frames
from attrib.cover import visible_tube
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample


@dataclass(frozen=True)
class TubeMetric(Metric):
    """Compares the saliency with the tube of the evidence tracks during their intervals.

    Undefined without visible evidence in the clip, and for saliency that is nowhere positive or the same everywhere.
    """

    direction: ClassVar[Direction] = "high"

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            return self.measure(scene(volume, subject, sample))
        except UndefinedError as case:
            return Score.undefined(str(case))

    @abstractmethod
    def measure(self, found: Scene) -> Score:
        """The value from the scored cells. Raises UndefinedError where it has none."""


@dataclass(frozen=True)
class Mass(TubeMetric):
    """Sum of p over g, in [0, 1]; chance a (energy-based pointing game, Wang et al. 2020, Score-CAM)."""

    def measure(self, found: Scene) -> Score:
        """Share of the saliency on the evidence."""
        return Score(float(found.density @ found.truth), found.area)


@dataclass(frozen=True)
class Lift(TubeMetric):
    """Mass divided by the area a: how many times denser the saliency is on the evidence; >= 0, chance 1."""

    def measure(self, found: Scene) -> Score:
        """Mass / a."""
        return Score(float(found.density @ found.truth) / found.area, 1.0)


@dataclass(frozen=True)
class Pointing(TubeMetric):
    """Share of the maximal cells that lie in G, in [0, 1]; ties count in part (Zhang et al. 2016); chance a."""

    def measure(self, found: Scene) -> Score:
        """1 or 0 for a single maximum."""
        return Score(float(found.inside[found.saliency == found.saliency.max()].mean()), found.area)


@dataclass(frozen=True)
class ROCAUC(TubeMetric):
    """Area under the ROC curve of the cells ranked by saliency against G, ties half; in [0, 1], chance .5.

    Also undefined when every scored cell lies in G.
    """

    def measure(self, found: Scene) -> Score:
        """Probability that a cell of G outranks one outside."""
        if found.inside.all():
            raise UndefinedError("the evidence fills every cell that is scored")
        return Score(float(roc_auc_score(found.inside, found.saliency)), 0.5)


@dataclass(frozen=True)
class AveragePrecision(TubeMetric):
    """Average precision of the cells ranked by saliency against G, ties entering together; in (0, 1], chance a."""

    def measure(self, found: Scene) -> Score:
        """Mean precision over the steps of recall."""
        return Score(float(average_precision_score(found.inside, found.saliency)), found.area)


@dataclass(frozen=True)
class ObjectAUC(Metric):
    """Probability that an evidence object's mean saliency exceeds another object's, ties half; in [0, 1], chance .5.

    The mean is weighted by g over the track's whole visible tube in the clip, not by the evidence interval, so that all
    tracks are treated alike. Undefined without an evidence track or another track that is seen in the clip.
    """

    direction: ClassVar[Direction] = "high"

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            return Score(_object_auc(volume, subject, sample), 0.5)
        except UndefinedError as case:
            return Score.undefined(str(case))


def _object_auc(volume: SaliencyVolume, subject: Subject, sample: Sample) -> float:
    frames, grid = scored_frames(subject, sample), subject.grid
    times = subject.clip.times[frames]
    tubes = [visible_tube(track, times, grid.rows, grid.columns) for track in sample.tracks]
    seen = [index for index, tube in enumerate(tubes) if tube.any()]
    is_evidence = [sample.tracks[index].id in sample.evidence_tracks for index in seen]
    if not any(is_evidence):
        raise UndefinedError("no evidence track is seen in the clip's frames")
    if all(is_evidence):
        raise UndefinedError("no other track is seen in the clip's frames")
    cells = np.broadcast_to(frames[:, None, None], (len(frames), grid.rows, grid.columns))
    saliency = saliency_cells(volume, subject, cells)
    return float(roc_auc_score(is_evidence, _weighted_means(saliency, [tubes[index] for index in seen])))


def _weighted_means(saliency: NDArray[np.float64], tubes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean of `saliency` over each tube, as shares of the maximum; rounded, or summation order would break ties."""
    means = [float(saliency @ tube.ravel()) / float(tube.sum()) for tube in tubes]
    return np.round(np.array(means) / float(saliency.max()), 9)
