"""Temporal intersection over union, beside what two answers get that need no map.

A uniform answer beats learned ones on plain temporal IoU, so the chance level of the score is the better one of the
whole video and of a random interval; both are here on their own for tables that show them as rows.
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
    """IoU in seconds of the longest run of frames above the mean m_t with the segments together, in [0, 1].

    Runs of the same length count by their mean. Chance is what the whole video gets, or a random interval if that is
    more. Also undefined for a profile that is the same in all frames: it names no time.
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "the better one of the whole video and of a random interval"
    reference: ClassVar[str] = "Gao et al. 2017, TALL, arXiv 1705.02101 (temporal IoU)"

    def measure(self, found: Profile) -> Score:
        """Seconds in both over seconds in either."""
        runs = longest_runs(found)
        if not runs:
            raise UndefinedError("the saliency of all frames is the same")
        return Score(float(np.mean([iou(found, run) for run in runs])), max(whole_video(found), random_interval(found)))


def longest_runs(found: Profile) -> list[Run]:
    """The longest runs of frames above the mean, in seconds; several where they tie, none where no frame is above."""
    above = found.mass > (1 + TOLERANCE) * found.mass.mean()
    changes = np.flatnonzero(np.diff(np.r_[False, above, False]))
    runs = list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
    edges = np.r_[found.times, found.end]
    lengths = [float(edges[end] - edges[start]) for start, end in runs]
    return [run for run, length in zip(runs, lengths, strict=True) if length >= max(lengths) - 1e-9]


def iou(found: Profile, run: Run) -> float:
    """IoU of the interval of a run of frames with the segments, in seconds."""
    return float(_ious(found, np.array([run[0]]), np.array([run[1]]))[0])


def whole_video(found: Profile) -> float:
    """IoU of all scored frames: the share of their time that the segments cover."""
    return iou(found, (0, len(found.mass)))


def random_interval(found: Profile) -> float:
    """Mean IoU over every interval of one or more whole frames, each as likely."""
    starts, ends = np.triu_indices(len(found.mass))
    return float(_ious(found, starts, ends + 1).mean())


def _ious(found: Profile, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    seconds, covered = (np.r_[0.0, np.cumsum(part)] for part in found.seconds)
    both = covered[ends] - covered[starts]
    return both / (seconds[ends] - seconds[starts] + covered[-1] - both)
