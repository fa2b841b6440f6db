"""Saliency on the occluder while the object is hidden.

An event is a frame before the cut and an object that is fully hidden in it, with the object that hides it: of the
other visible objects whose boxes cover at least half of the hidden object's box, annotated occluders come first, then
the one that covers most. Shares that differ by at most a tenth tie, and the smallest box among them wins, so that a
table that fills the frame does not count as hiding what is under a cup. An event counts when the hidden or the hiding
object is evidence at that time. Its rivals are the other visible objects with the hiding object's label; if there are
none in that frame, all other visible objects.
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

LEAST = 0.5 - 1e-9  # share of the hidden object's box that the hiding one covers; the slack is for rounding
TIE = 0.1 + 1e-9  # shares that differ by no more are equivalent
FloatArray = NDArray[np.float64]


class Seen(NamedTuple):
    """A track and its box (4,) in one frame."""

    track: Track
    box: Box


class Event(NamedTuple):
    """A frame, and the weights of its cells in the mean of the hiding object (n,) and of each rival (k, n)."""

    frame: int
    hiding: FloatArray
    rivals: FloatArray


@dataclass(frozen=True)
class HiddenAUC(Metric):
    r"""Probability that the object that hides another is more salient than a rival during that time; in [0, 1].

    Mean over events of the share of rivals whose mean saliency in that frame is lower, ties half; means are weighted by
    the shares of the cells that a box covers. Chance .5. Undefined where no object is hidden, no object hides it,
    neither is evidence, or no rival is visible.

    $$P(m_h > m_r) + \frac{1}{2} P(m_h = m_r)$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = ".5, as a map has that looks at all objects of the kind alike"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            cases, frames = events(subject, sample), scored_frames(subject, sample)
            cells = np.broadcast_to(frames[:, None, None], (len(frames), subject.grid.rows, subject.grid.columns))
            saliency = np.zeros(cells.shape)
            saliency[cells] = saliency_cells(volume, subject, cells)
        except UndefinedError as error:
            return Score.undefined(str(error))
        shares = saliency.reshape(len(frames), -1) / saliency.max()
        return Score(float(np.mean([_beaten_rivals(event, shares[event.frame]) for event in cases])), 0.5)


def _beaten_rivals(event: Event, saliency: FloatArray) -> float:
    """Return the share of the rivals that are less salient, ties half; rounded, or summation order would break ties."""
    own, others = (np.round(weights @ saliency, 9) for weights in (event.hiding, event.rivals))
    return auc(own[None], others)


@per_subject
def events(subject: Subject, sample: Sample) -> tuple[Event, ...]:
    """Return the events that have a rival. Raises UndefinedError with the missing item when there is none."""
    times, grid = subject.clip.times, subject.grid
    frames = np.flatnonzero(scored_frames(subject, sample)).tolist()
    seen = {frame: _seen(sample.tracks, float(times[frame])) for frame in frames}
    hidden = [(frame, target) for frame in frames for target in seen[frame][1]]
    _require(hidden, "no object is hidden in the clip's frames")
    pairs = [(frame, target, hider) for frame, target in hidden if (hider := hiding(target.box, seen[frame][0]))]
    _require(pairs, "no visible object covers half of a hidden object's box")
    hiders = [(frame, hider) for frame, target, hider in pairs
              if _evidence(sample, float(times[frame])).intersection((target.track.id, hider.track.id))]  # fmt: skip
    _require(hiders, "neither a hidden object nor what hides it is evidence")
    with_rivals = [Event(frame, *weights) for frame, hider in hiders
                   if (weights := _weights(hider, seen[frame][0], (grid.rows, grid.columns)))]  # fmt: skip
    _require(with_rivals, "no other object is seen while one is hidden")
    return tuple(with_rivals)


def _require(items: Sequence[object], reason: str) -> None:
    if not items:
        raise UndefinedError(reason)


def _seen(tracks: Sequence[Track], time: float) -> tuple[list[Seen], list[Seen]]:
    """Return the visible and the hidden objects at `time`, with boxes clipped to the frame; omits those outside it."""
    objects_at: tuple[list[Seen], list[Seen]] = ([], [])
    for track in tracks:
        for boxes, objects in zip(boxes_at(time, [track]), objects_at, strict=True):
            cut = [np.clip(box, 0, 1) for box in boxes]
            objects += [Seen(track, box) for box in cut if _area(box) > 0]
    return objects_at


def hiding(box: Box, visible: Sequence[Seen]) -> Seen | None:
    """Return the object that hides `box` by the rule above; None if no object covers half of it."""
    shares = [(_shared(box, each.box) / _area(box), each) for each in visible]
    covering = [(share, each) for share, each in shares if share >= LEAST]
    marked = [pair for pair in covering if pair[1].track.is_occluder] or covering
    most = max((share for share, _ in marked), default=0.0)
    return min((each for share, each in marked if share >= most - TIE), key=lambda each: _area(each.box), default=None)


def _weights(hider: Seen, visible: Sequence[Seen], shape: tuple[int, int]) -> tuple[FloatArray, FloatArray] | None:
    """Return cell weights in the means of the hiding object (n,) and of its rivals (k, n); None without a rival."""
    others = [each for each in visible if each.track.id != hider.track.id]
    alike = [each for each in others if hider.track.label and each.track.label == hider.track.label] or others
    if not alike:
        return None
    own, *rivals = (coverage([each.box], *shape).ravel() for each in (hider, *alike))
    return own / own.sum(), np.stack([rival / rival.sum() for rival in rivals])


def _evidence(sample: Sample, time: float) -> frozenset[int]:
    """Return the ids of the tracks that are evidence at `time`."""
    return frozenset(item.track for item in sample.evidence if item.role != "context" and item.start <= time < item.end)


def _area(box: Box) -> float:
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def _shared(one: Box, two: Box) -> float:
    return _area(np.r_[np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])])
