"""Temporal intersection over union, and that of two answers that need no map.

A uniform answer beats learned ones on plain temporal IoU, so the chance level of the score is the better of the whole
video and a random interval; each is a function of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.metrics.segments.ground_truth import Profile
from attrib.benchmarks.metrics.segments.segments import UNIT, SegmentMetric
from attrib.benchmarks.perturb.cells import TOLERANCE, UndefinedError
from attrib.metric import Score

Run = tuple[int, int]  # frames, half-open


@dataclass(frozen=True)
class SegmentIoU(SegmentMetric):
    r"""IoU in seconds of the longest run of frames above the mean m_t with the union of the segments, in [0, 1].

    Runs of the same length count by their mean. Chance is the larger of the whole video's and a random interval's IoU.
    Also undefined for a profile that is the same in all frames.

    $$\frac{|R \cap S|}{|R \cup S|}$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "the better one of the whole video and of a random interval"
    reference: ClassVar[str] = "Gao et al. 2017, TALL, arXiv 1705.02101 (temporal IoU)"

    def measure(self, profile: Profile) -> Score:
        """Return the seconds in both over seconds in either."""
        runs = longest_runs(profile)
        if not runs:
            raise UndefinedError("the saliency of all frames is the same")
        return Score(
            float(np.mean([iou(profile, run) for run in runs])), max(whole_video(profile), random_interval(profile))
        )


def longest_runs(profile: Profile) -> list[Run]:
    """Return the runs of frames above the mean that last longest; several if they tie, none if no frame is above."""
    above = profile.mass > (1 + TOLERANCE) * profile.mass.mean()
    changes = np.flatnonzero(np.diff(np.r_[False, above, False]))
    runs = list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
    edges = np.r_[profile.times, profile.end]
    lengths = [float(edges[end] - edges[start]) for start, end in runs]
    return [run for run, length in zip(runs, lengths, strict=True) if length >= max(lengths) - 1e-9]


def iou(profile: Profile, run: Run) -> float:
    """Return the IoU of the interval of a run of frames with the segments, in seconds."""
    return float(_ious(profile, np.array([run[0]]), np.array([run[1]]))[0])


def whole_video(profile: Profile) -> float:
    """Return the IoU of all scored frames: the share of their time that the segments cover."""
    return iou(profile, (0, len(profile.mass)))


def random_interval(profile: Profile) -> float:
    """Return the mean IoU over all intervals of whole frames, equally weighted."""
    starts, ends = np.triu_indices(len(profile.mass))
    return float(_ious(profile, starts, ends + 1).mean())


def _ious(profile: Profile, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    seconds, covered = (np.r_[0.0, np.cumsum(lengths)] for lengths in profile.seconds)
    both = covered[ends] - covered[starts]
    return both / (seconds[ends] - seconds[starts] + covered[-1] - both)
