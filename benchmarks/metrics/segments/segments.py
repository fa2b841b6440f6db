"""Is the saliency at the time of the actions and sounds in which the evidence takes part?

`ground_truth` defines which segments count, and a frame's profile m_t.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from attrib.annotation_cells import after_cut, length_of, subsample
from attrib.benchmarks.metrics.cache import per_subject
from attrib.benchmarks.metrics.roc import auc
from attrib.benchmarks.metrics.segments.ground_truth import Kind, Profile, profile, segments_of, within
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.method import require_at_least
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class SegmentMetric(Metric):
    """Compares the frame profile with the segments of one `kind`: action, sound or invisible_sound.

    Undefined when there is no such segment, when none or all of the scored frames are in one, and for saliency that is
    nowhere positive or the same everywhere.
    """

    kind: Kind = "action"

    direction: ClassVar[Direction] = "high"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "segments"})

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            return self.measure(profile(volume, subject, sample, self.kind))
        except UndefinedError as case:
            return Score.undefined(str(case))

    @abstractmethod
    def measure(self, profile: Profile) -> Score:
        """Return the score from the scored frames. Raises UndefinedError where it has none."""


@dataclass(frozen=True)
class SegmentEnergy(SegmentMetric):
    r"""Share of the saliency in the frames of the segments, in [0, 1]; chance is their share of the frames.

    $$\sum_{t \in S} m_t$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "the share of the scored frames that lie in a segment"
    reference: ClassVar[str] = "Wang et al. 2020, Score-CAM, arXiv 1910.01279, in time"

    def measure(self, profile: Profile) -> Score:
        """Return the sum of m_t in the segments."""
        return Score(float(profile.mass[profile.inside].sum()), float(profile.inside.mean()))


@dataclass(frozen=True)
class SegmentLift(SegmentMetric):
    r"""Segment energy over the segments' share of the frames: how many times denser it is there; >= 0, chance 1.

    $$\frac{n}{|S|} \sum_{t \in S} m_t$$
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    chance_level: ClassVar[str] = "1"
    ratio: ClassVar[bool] = True
    reference: ClassVar[str] = "Wang et al. 2020, Score-CAM, arXiv 1910.01279, in time, over the length"

    def measure(self, profile: Profile) -> Score:
        """Return energy / share."""
        return Score(float(profile.mass[profile.inside].sum()) / float(profile.inside.mean()), 1.0)


@dataclass(frozen=True)
class SegmentAUC(SegmentMetric):
    r"""Area under the ROC curve of the frames ranked by m_t against the segments, ties half; in [0, 1], chance .5.

    $$P(m_t > m_u) + \frac{1}{2} P(m_t = m_u), \quad t \in S, \; u \notin S$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = ".5"
    reference: ClassVar[str] = "Mann and Whitney 1947, of frames"

    def measure(self, profile: Profile) -> Score:
        """Return the probability that a frame inside outranks one outside."""
        return Score(auc(profile.ranked[profile.inside], profile.ranked[~profile.inside]), 0.5)


@dataclass(frozen=True)
class SegmentAP(SegmentMetric):
    r"""Average precision of the frames ranked by m_t, ties entering together; in (0, 1], chance the segments' share.

    $$\sum_k (R_k - R_{k-1}) P_k$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "the share of the scored frames that lie in a segment"
    reference: ClassVar[str] = "Choe et al. 2020, arXiv 2001.07437, of frames"

    def measure(self, profile: Profile) -> Score:
        """Return the mean precision over the steps of recall."""
        return Score(float(average_precision_score(profile.inside, profile.ranked)), float(profile.inside.mean()))


@dataclass(frozen=True)
class SegmentPointing(SegmentMetric):
    r"""Share of maximal frames at most `tolerance` seconds before or after a segment, in [0, 1]; ties count in part.

    Chance is the share of the scored frames that would be hits.

    $$\frac{|\mathrm{argmax} \, m \cap S_{\pm \tau}|}{|\mathrm{argmax} \, m|}$$
    """

    tolerance: float = 0.5  # seconds

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "the share of the scored frames that lie within the tolerance"
    reference: ClassVar[str] = "Zhang et al. 2016, excitation backprop, arXiv 1608.00507, in time"

    def __post_init__(self) -> None:
        require_at_least("tolerance", self.tolerance, 0.0)

    def measure(self, profile: Profile) -> Score:
        """Return the share of hits among the maxima: 1 or 0 for a single one."""
        times = profile.times
        hits = np.any([(times >= each.start - self.tolerance) & (times < each.end + self.tolerance)
                       for each in profile.segments], axis=0)  # fmt: skip
        return Score(float(hits[profile.ranked == profile.ranked.max()].mean()), float(hits.mean()))


@dataclass(frozen=True)
class SegmentShuffledAUC(SegmentMetric):
    r"""Probability that a frame inside outranks a frame of another video's segments in this map, ties half; chance .5.

    The others' segments are of the same kind, at the same share of their own length. Each other video has the same
    weight, and frames inside both count: the mean of any fixed profile over all videos is .5, and the evidence itself
    may score below 1. Also undefined where no other video has such a segment in the scored frames.

    $$\frac{1}{V} \sum_v \left[ P(m_t > m_u) + \frac{1}{2} P(m_t = m_u) \right], \quad t \in S, \; u \in S_v$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = ".5, also for any fixed prior"
    reference: ClassVar[str] = "Tatler et al. 2005; Zhang et al. 2008 (SUN), in time"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "segments", "other videos"})
    primary: ClassVar[bool] = True

    def measure(self, profile: Profile) -> Score:
        """Return the mean of the AUCs against each other video."""
        videos, negative = _others(profile.subject, self.kind)
        negative = negative[videos != profile.sample.video_id][:, profile.frames]
        sizes = negative.sum(axis=1)
        if not sizes.any():
            raise UndefinedError("no other video has such a segment in the scored frames")
        weights = (negative[sizes > 0] / sizes[sizes > 0, None]).sum(axis=0)
        return Score(auc(profile.ranked[profile.inside], profile.ranked, weights), 0.5)


@per_subject
def _others(subject: Subject, kind: Kind) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Return the peers' videos (p,) and the mask (p, t) of frames in their segments at the same relative time."""
    peers = subsample((peer for peer in subject.peers if segments_of(peer, kind)), subject.seed)
    shares = subject.clip.times / subject.clip.end
    inside = np.zeros((len(peers), len(shares)), bool)
    for row, peer in zip(inside, peers, strict=True):
        times = shares * length_of(peer)
        row[:] = within(segments_of(peer, kind), times) & ~after_cut(peer, times)
    return np.array([peer.video_id for peer in peers], np.str_), inside
