"""Segments in which the evidence acts or sounds, and the saliency of each frame.

The primary segments are the actions in which an evidence track takes part, regardless of that track's own evidence
interval. A model without audio cannot hear, so sounds with such a track are a control. Sounds without a visible source
are the negative control: nothing in the frames shows them.

Intervals are half-open, in seconds. A frame represents the time from its own to the next frame's, the last one the time
up to the clip's end or the sample's cut; it is in a segment when its own time is. The profile m_t is the sum of p over
the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.metrics.objects.ground_truth import saliency_cells, scored_frames
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample, Segment

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Kind = Literal["action", "sound", "invisible_sound"]


@dataclass(frozen=True, eq=False)
class Profile:
    """Saliency `mass` (t,) of the scored frames, which sums to 1, and the segments of one item.

    `frames` is the mask of the clip's scored frames; `end` is the time when the last of them ends.
    """

    subject: Subject
    sample: Sample
    frames: BoolArray
    mass: FloatArray
    segments: tuple[Segment, ...]
    end: float

    @property
    def times(self) -> FloatArray:
        """Seconds (t,) of the scored frames."""
        return self.subject.clip.times[self.frames]

    @property
    def ranked(self) -> FloatArray:
        """Mass (t,), rounded so that summation order does not break ties."""
        return np.round(self.mass, 9)

    @property
    def inside(self) -> BoolArray:
        """Mask (t,) of the scored frames in a segment."""
        return within(self.segments, self.times)

    @property
    def seconds(self) -> tuple[FloatArray, FloatArray]:
        """Length of each scored frame (t,), and the length that the segments cover in it, in seconds."""
        edges = np.r_[self.times, self.end]
        bounds = np.array([(segment.start, segment.end) for segment in self.segments])
        cuts = np.unique(np.r_[edges, np.clip(bounds.ravel(), edges[0], edges[-1])])
        middles, lengths = (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts)
        frame = np.searchsorted(edges, middles) - 1
        covered = np.where(within(self.segments, middles), lengths, 0.0)
        return np.diff(edges), np.bincount(frame, covered, minlength=len(self.mass)).astype(np.float64)


def profile(volume: SaliencyVolume, subject: Subject, sample: Sample, kind: Kind) -> Profile:
    """Return the frame profile with the segments.

    Raises UndefinedError without either, and where every scored frame is in a segment: no map can miss them then.
    """
    frames = scored_frames(subject, sample)
    segments = segments_of(sample, kind)
    if not segments:
        whose = "" if kind == "invisible_sound" else " with an evidence track among its parents"
        raise UndefinedError(f"no segment of kind {kind}{whose}")
    inside = within(segments, subject.clip.times[frames])
    if not inside.any():
        raise UndefinedError("no frame of the clip lies in a segment that counts")
    if inside.all():
        raise UndefinedError("the evidence fills every frame that is scored")
    grid = subject.grid
    cells = np.broadcast_to(frames[:, None, None], (len(frames), grid.rows, grid.columns))
    mass = saliency_cells(volume, subject, cells).reshape(int(frames.sum()), -1).sum(axis=1)
    end = subject.clip.end if sample.cut is None else min(subject.clip.end, sample.cut)
    return Profile(subject, sample, frames, mass / mass.sum(), segments, end)


def segments_of(sample: Sample, kind: Kind) -> tuple[Segment, ...]:
    """Return the segments of `kind` that count, by the rules above."""
    if kind == "invisible_sound":
        return tuple(each for each in sample.segments if each.kind == "sound" and each.is_visible is False)
    return tuple(
        each for each in sample.segments
        if each.kind == kind and each.is_visible is not False and sample.evidence_tracks.intersection(each.parents)
    )  # fmt: skip


def within(segments: Sequence[Segment], times: FloatArray) -> BoolArray:
    """Return the mask of `times` (t,) that are in one of the segments."""
    return np.any([segment.contains(times) for segment in segments], axis=0)
