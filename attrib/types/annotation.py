"""Annotation of a video: object and point tracks, segments, evidence, counterfactual videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attrib.errors import InputError
from attrib.types.validation import FloatArray, check_times, require

SegmentKind = Literal["action", "sound"]
Role = Literal["necessary", "alternative", "context"]
Absence = Literal["part", "removed", "only"]
ROUNDING = 1e-6  # by which corners that are in order may differ
FARTHEST = 1.5  # of a coordinate from the middle of the picture; larger ones are pixels


def inverted(boxes: FloatArray) -> NDArray[np.bool_]:
    """Mask (n,) of the boxes (n, 4) whose corners are not in order: they say nothing, whatever they were meant to."""
    return np.asarray((boxes[:, 2:] < boxes[:, :2] - ROUNDING).any(axis=1))


def has_area(boxes: FloatArray) -> NDArray[np.bool_]:
    """Mask (n,) of the boxes (n, 4) that cover a part of the picture; the others are neither drawn nor scored."""
    inside = np.clip(boxes, 0, 1)
    return np.asarray((inside[:, 2:] > inside[:, :2]).all(axis=1))


def _shown(box: FloatArray) -> str:
    return f"[{', '.join(f'{value:g}' for value in box)}]"


@dataclass(frozen=True, eq=False)
class Track:
    """Boxes of one object over time: times float64 (n,), boxes float64 (n, 4) normalised xyxy, hidden bool (n,).

    Objects may leave the picture, so that coordinates of -1 to 2 are allowed. `label` is empty for an object that has
    only a number. Raises InputError for corners that are not in order and for boxes in pixels.
    """

    id: int
    label: str
    times: NDArray[np.float64]
    boxes: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    is_occluder: bool = False

    def __post_init__(self) -> None:
        count = len(self.boxes)
        require(self.boxes.shape == (count, 4), f"track {self.id}: expected boxes (n, 4), got {self.boxes.shape}")
        check_times(self.times, count, f"track {self.id}")
        require(self.hidden.shape == (count,), f"track {self.id}: expected {count} hidden flags")
        require(bool(np.isfinite(self.boxes).all()), f"track {self.id}: boxes must be finite")
        for box in self.boxes[inverted(self.boxes)][:1]:
            raise InputError(
                f"track {self.id}: expected boxes x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got {_shown(box)}"
            )
        for box in self.boxes[(np.abs(self.boxes - 0.5) > FARTHEST).any(axis=1)][:1]:
            raise InputError(f"track {self.id}: expected boxes in shares of the picture, [0, 1], got {_shown(box)}")

    @property
    def name(self) -> str:
        """Text "id : label"; the id alone for a track without a label."""
        return f"{self.id} : {self.label}" if self.label else str(self.id)

    def at(self, time: float, gap: float = 2.0) -> NDArray[np.float64] | None:
        """Box (4,) at `time`, interpolated between annotations at most `gap` seconds apart; None if unknown.

        The box is unknown more than 50 ms before the first and after the last annotation.
        """
        if len(self.times) == 0:
            return None
        after = int(np.searchsorted(self.times, time))
        for index in (after, after - 1):
            if 0 <= index < len(self.times) and abs(self.times[index] - time) <= 0.05:
                return self.boxes[index]
        if after in (0, len(self.times)) or self.times[after] - self.times[after - 1] > gap:
            return None
        share = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return (1 - share) * self.boxes[after - 1] + share * self.boxes[after]


@dataclass(frozen=True, eq=False)
class PointTrack:
    """Point of an object over time: times float64 (n,), xy float64 (n, 2) normalised, x first.

    Every frame in which the point is visible has an entry. `parents` are the ids of the tracks that contain it.
    """

    id: int
    label: str
    times: NDArray[np.float64]
    xy: NDArray[np.float64]
    parents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.xy)
        require(self.xy.shape == (count, 2), f"point {self.id}: expected xy (n, 2), got {self.xy.shape}")
        check_times(self.times, count, f"point {self.id}")
        require(bool(np.isfinite(self.xy).all()), f"point {self.id}: xy must be finite")

    def at(self, time: float, slack: float = 0.02) -> NDArray[np.float64] | None:
        """Return xy (2,) in the frame at `time`, give or take `slack` seconds; None if it is occluded or unknown.

        Positions are not interpolated: in a frame without an entry the point is not visible.
        """
        if len(self.times) == 0:
            return None
        nearest = int(np.abs(self.times - time).argmin())
        return self.xy[nearest] if abs(self.times[nearest] - time) <= slack else None


@dataclass(frozen=True)
class Segment:
    """Action or sound: its half-open interval [start, end) in seconds and the ids of the tracks that take part."""

    kind: SegmentKind
    label: str
    start: float
    end: float
    parents: tuple[int, ...] = ()
    is_visible: bool | None = None

    def __post_init__(self) -> None:
        require(self.end > self.start, f"{self.kind} {self.label!r}: [{self.start}, {self.end}) s is empty")

    def contains(self, times: FloatArray) -> NDArray[np.bool_]:
        """Mask (n,) of the `times` (n,) within [start, end)."""
        return (times >= self.start) & (times < self.end)


@dataclass(frozen=True)
class Evidence:
    """Evidence for an answer: one track during [start, end) seconds, and its role."""

    track: int
    start: float = 0.0
    end: float = float("inf")
    role: Role = "necessary"

    def __post_init__(self) -> None:
        require(self.end > self.start, f"evidence of track {self.track}: [{self.start}, {self.end}) s is empty")


@dataclass(frozen=True)
class Counterfactual:
    """Copy of a video with objects removed; its frame times are those of the original.

    `part`: `track` is absent during [start, end) seconds; `removed`: all evidence except context is absent; `only`:
    everything except the evidence is absent.
    """

    video: Path
    kind: Absence
    track: int | None = None
    start: float = 0.0
    end: float = float("inf")

    def __post_init__(self) -> None:
        require(self.kind in get_args(Absence), f"counterfactual {self.video.name}: unknown kind {self.kind!r}")
        named = (self.track is not None) == (self.kind == "part")
        require(named, f"counterfactual {self.video.name}: expected a track for kind `part` and for no other kind")
        require(self.end > self.start, f"counterfactual {self.video.name}: [{self.start}, {self.end}) s is empty")
