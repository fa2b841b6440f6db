"""Saliency on the occluder while the object is hidden.

An event is a frame before the cut and an object that is fully hidden in it, with the object that hides it: of the
other visible objects whose boxes cover at least half of the hidden object's box, those annotated as occluders go first;
of these the one that covers most. Shares that differ by at most a tenth tie, and the smallest box of them wins, so that
a table that fills the frame does not hide what is under a cup. An event counts when the hidden or the hiding object is
evidence at that time. Its rivals are the other visible objects with the hiding object's label; where none is seen in
that frame, all other visible objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attrib.annotation_cells import Box, boxes_at, coverage
from attrib.benchmarks.metrics.cache import per_subject
from attrib.benchmarks.metrics.objects.ground_truth import saliency_cells, scored_frames
from attrib.benchmarks.metrics.roc import auc
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample, Track
from attrib.types.need import Need

LEAST = 0.5 - 1e-9  # of the hidden object's box that the hiding one covers; the slack is for rounding
TIE = 0.1 + 1e-9  # shares that differ by no more are as good
FloatArray = NDArray[np.float64]


class Seen(NamedTuple):
    """A track and its box (4,) in one frame."""

    track: Track
    box: Box


class Event(NamedTuple):
    """The frame, and the weights of its cells in the mean of the hiding object (n,) and of each rival (k, n)."""

    frame: int
    hiding: FloatArray
    rivals: FloatArray


@dataclass(frozen=True)
class HiddenAUC(Metric):
    """Probability that what hides an object is more salient than a rival, while the object is hidden; in [0, 1].

    The mean over events of the share of the rivals whose mean saliency in that frame is lower, ties half; means are
    weighted by the shares of the cells that a box covers. Chance .5. Undefined where nothing is hidden, nothing hides
    it, neither is evidence, or no rival is seen.
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = ".5, as a map has that looks at all objects of the kind alike"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            found, frames = events(subject, sample), scored_frames(subject, sample)
            cells = np.broadcast_to(frames[:, None, None], (len(frames), subject.grid.rows, subject.grid.columns))
            saliency = np.zeros(cells.shape)
            saliency[cells] = saliency_cells(volume, subject, cells)
        except UndefinedError as case:
            return Score.undefined(str(case))
        shares = saliency.reshape(len(frames), -1) / saliency.max()
        return Score(float(np.mean([_won(event, shares[event.frame]) for event in found])), 0.5)


def _won(event: Event, saliency: FloatArray) -> float:
    """Share of the rivals that are less salient, ties half; rounded, or summation order would break ties."""
    own, others = (np.round(weights @ saliency, 9) for weights in (event.hiding, event.rivals))
    return auc(own[None], others)


@per_subject
def events(subject: Subject, sample: Sample) -> tuple[Event, ...]:
    """The events that have a rival. Raises UndefinedError, with what is missing, when there is none."""
    times, grid = subject.clip.times, subject.grid
    frames = np.flatnonzero(scored_frames(subject, sample)).tolist()
    seen = {frame: _seen(sample.tracks, float(times[frame])) for frame in frames}
    hidden = [(frame, target) for frame in frames for target in seen[frame][1]]
    _require(hidden, "no object is hidden in the clip's frames")
    pairs = [(frame, target, one) for frame, target in hidden if (one := hiding(target.box, seen[frame][0]))]
    _require(pairs, "no visible object covers half of a hidden object's box")
    asked = [(frame, one) for frame, target, one in pairs
             if _evidence(sample, float(times[frame])).intersection((target.track.id, one.track.id))]  # fmt: skip
    _require(asked, "neither a hidden object nor what hides it is evidence")
    found = [Event(frame, *weights) for frame, one in asked
             if (weights := _weights(one, seen[frame][0], (grid.rows, grid.columns)))]  # fmt: skip
    _require(found, "no other object is seen while one is hidden")
    return tuple(found)


def _require(found: Sequence[object], otherwise: str) -> None:
    if not found:
        raise UndefinedError(otherwise)


def _seen(tracks: Sequence[Track], time: float) -> tuple[list[Seen], list[Seen]]:
    """The visible and the hidden objects at `time`, with their boxes cut to the frame, but for those outside it."""
    found: tuple[list[Seen], list[Seen]] = ([], [])
    for track in tracks:
        for boxes, objects in zip(boxes_at(time, [track]), found, strict=True):
            cut = [np.clip(box, 0, 1) for box in boxes]
            objects += [Seen(track, box) for box in cut if _area(box) > 0]
    return found


def hiding(box: Box, visible: Sequence[Seen]) -> Seen | None:
    """The object that hides what lies in `box`, by the rule above; None where none covers half of it."""
    shares = [(_shared(box, each.box) / _area(box), each) for each in visible]
    covering = [(share, each) for share, each in shares if share >= LEAST]
    marked = [pair for pair in covering if pair[1].track.is_occluder] or covering
    most = max((share for share, _ in marked), default=0.0)
    return min((each for share, each in marked if share >= most - TIE), key=lambda each: _area(each.box), default=None)


def _weights(hider: Seen, visible: Sequence[Seen], shape: tuple[int, int]) -> tuple[FloatArray, FloatArray] | None:
    """Weights of the frame's cells in the mean of the hiding object (n,) and of its rivals (k, n); None without one."""
    others = [each for each in visible if each.track.id != hider.track.id]
    alike = [each for each in others if each.track.label == hider.track.label] or others
    if not alike:
        return None
    own, *rivals = (coverage([each.box], *shape).ravel() for each in (hider, *alike))
    return own / own.sum(), np.stack([rival / rival.sum() for rival in rivals])


def _evidence(sample: Sample, time: float) -> frozenset[int]:
    """Ids of the tracks that are evidence at `time`."""
    return frozenset(item.track for item in sample.evidence if item.role != "context" and item.start <= time < item.end)


def _area(box: Box) -> float:
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def _shared(one: Box, two: Box) -> float:
    return _area(np.r_[np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])])
