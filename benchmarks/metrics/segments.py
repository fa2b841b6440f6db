"""Does the saliency lie in the time of the actions and sounds in which the evidence takes part?

Evidence segments are those whose parents hold an evidence track, whatever that track's own evidence interval. The frame
profile m_t is the sum of p over the frame; a frame lies in a segment when its time is in [start, end).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from attrib.benchmarks.cells import UndefinedError
from attrib.benchmarks.metrics.ground_truth import saliency_cells, scored_frames
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample


@dataclass(frozen=True, eq=False)
class Profile:
    """Saliency mass (t,) of each scored frame, summing to 1, and which of them (t,) lie in an evidence segment."""

    mass: NDArray[np.float64]
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class SegmentMetric(Metric):
    """Compares the frame profile with the evidence segments.

    Undefined when no segment has evidence, when none of the clip's frames lies in one, and for saliency that is nowhere
    positive or the same everywhere.
    """

    direction: ClassVar[Direction] = "high"

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            return self.measure(profile(volume, subject, sample))
        except UndefinedError as case:
            return Score.undefined(str(case))

    @abstractmethod
    def measure(self, found: Profile) -> Score:
        """The value from the scored frames. Raises UndefinedError where it has none."""


@dataclass(frozen=True)
class SegmentEnergy(SegmentMetric):
    """Share of the saliency in the frames of the evidence segments, in [0, 1]; chance is their share of the frames."""

    def measure(self, found: Profile) -> Score:
        """Sum of m_t inside."""
        return Score(float(found.mass[found.inside].sum()), float(found.inside.mean()))


@dataclass(frozen=True)
class SegmentAUC(SegmentMetric):
    """Area under the ROC curve of the frames ranked by m_t against the evidence segments, ties half; chance .5.

    Also undefined when every frame lies in a segment.
    """

    def measure(self, found: Profile) -> Score:
        """Probability that a frame inside outranks one outside."""
        if found.inside.all():
            raise UndefinedError("every frame lies in an evidence segment")
        return Score(float(roc_auc_score(found.inside, np.round(found.mass, 9))), 0.5)  # summation order is no ranking


def profile(volume: SaliencyVolume, subject: Subject, sample: Sample) -> Profile:
    """The frame profile and the evidence segments. Raises UndefinedError where either says nothing."""
    frames = scored_frames(subject, sample)
    segments = [segment for segment in sample.segments if sample.evidence_tracks.intersection(segment.parents)]
    if not segments:
        raise UndefinedError("no segment has an evidence track among its parents")
    inside = np.any([segment.contains(subject.clip.times[frames]) for segment in segments], axis=0)
    if not inside.any():
        raise UndefinedError("no frame of the clip lies in an evidence segment")
    grid = subject.grid
    cells = np.broadcast_to(frames[:, None, None], (len(frames), grid.rows, grid.columns))
    mass = saliency_cells(volume, subject, cells).reshape(int(frames.sum()), -1).sum(axis=1)
    return Profile(mass / mass.sum(), inside)
