"""Values that travel through attrib: clips, questions, annotations and saliency volumes.

All are frozen and validated when made. Times are seconds, boxes are normalised xyxy in [0, 1], intervals are half-open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from attrib.errors import HARMFUL, InputError, shown
from attrib.runtime.files import writing
from attrib.runtime.parsing import complaint
from attrib.types.reply import Reply

FloatArray = NDArray[np.floating[Any]]
SegmentKind = Literal["action", "sound"]
Role = Literal["necessary", "alternative", "context"]
Absence = Literal["part", "removed", "only"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _check_times(times: FloatArray, count: int, owner: str) -> None:
    _require(times.shape == (count,), f"{owner}: expected {count} times, got an array of shape {times.shape}")
    _require(times.dtype.kind in "fiu", f"{owner}: expected real times, got {times.dtype}")
    _require(bool(np.isfinite(times).all()), f"{owner}: times must be finite")
    _require(bool((np.diff(times) > 0).all()), f"{owner}: times must increase strictly")


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 (t, H, W, 3), RGB, and their times float64 (t,) in seconds, increasing.

    Frame i stands for the interval from its time to the next frame's; the last one for that up to `end`.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    end: float
    path: Path | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.frames.shape
        _require(
            self.frames.dtype == np.uint8 and len(shape) == 4 and shape[3] == 3 and min(shape) > 0,
            f"clip: expected uint8 frames of shape (t, H, W, 3), got {self.frames.dtype} {shape}",
        )
        _check_times(self.times, shape[0], "clip")
        _require(self.end > self.times[-1], f"clip: end {self.end} s must lie after the last frame {self.times[-1]} s")

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Question:
    """Its text, two or more options and the index of the right one if known; or no options and a free answer.

    Without options, `reply` is the answer that is explained; a question with neither can only be put to a model.
    """

    text: str
    options: tuple[str, ...] = ()
    answer: int | None = None
    id: int = 0
    reply: Reply | None = None

    def __post_init__(self) -> None:
        _require(bool(self.text.strip()), "question: the text is empty")
        for text in (self.text, *self.options):
            harmful = HARMFUL.search(text)
            _require(harmful is None, f"question: {shown(harmful and harmful[0])} in {shown(text)} is no text")
        _require(len(self.options) != 1, "question: expected at least two options, got 1")
        _require(len(self.options) <= 26, f"question: expected at most 26 options, got {len(self.options)}")
        _require(not (self.options and self.reply), "question: expected options or a free answer, got both")
        known = self.answer is None or 0 <= self.answer < len(self.options)
        _require(known, f"question: answer {self.answer} is not one of the options 0..{len(self.options) - 1}")

    @property
    def letters(self) -> tuple[str, ...]:
        """The option letters: A, B, C, ..."""
        return tuple(chr(ord("A") + i) for i in range(len(self.options)))


@dataclass(frozen=True, eq=False)
class Track:
    """One object's boxes over time: times float64 (n,), boxes float64 (n, 4) normalised xyxy, hidden bool (n,)."""

    id: int
    label: str
    times: NDArray[np.float64]
    boxes: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    is_occluder: bool = False

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _require(self.boxes.shape == (count, 4), f"track {self.id}: expected boxes (n, 4), got {self.boxes.shape}")
        _check_times(self.times, count, f"track {self.id}")
        _require(self.hidden.shape == (count,), f"track {self.id}: expected {count} hidden flags")
        _require(bool(np.isfinite(self.boxes).all()), f"track {self.id}: boxes must be finite")

    def at(self, time: float, gap: float = 2.0) -> NDArray[np.float64] | None:
        """The box (4,) at `time`, interpolated between annotations at most `gap` seconds apart; None where unknown.

        Before the first and after the last annotation the box is unknown, save for half a gap-free frame step (50 ms).
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
    """One point of an object over time: times float64 (n,), xy float64 (n, 2) normalised, x first.

    It is annotated frame by frame, and has no entry where it is occluded. `parents` are the tracks that it lies on.
    """

    id: int
    label: str
    times: NDArray[np.float64]
    xy: NDArray[np.float64]
    parents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.xy)
        _require(self.xy.shape == (count, 2), f"point {self.id}: expected xy (n, 2), got {self.xy.shape}")
        _check_times(self.times, count, f"point {self.id}")
        _require(bool(np.isfinite(self.xy).all()), f"point {self.id}: xy must be finite")

    def at(self, time: float, slack: float = 0.02) -> NDArray[np.float64] | None:
        """xy (2,) in the frame shown at `time`, `slack` seconds to either side; None where it is occluded or unknown.

        Nothing is interpolated: a frame that is left out is one in which the point cannot be seen.
        """
        if len(self.times) == 0:
            return None
        nearest = int(np.abs(self.times - time).argmin())
        return self.xy[nearest] if abs(self.times[nearest] - time) <= slack else None


@dataclass(frozen=True)
class Segment:
    """One action or sound: the half-open interval [start, end) in seconds and the tracks that take part."""

    kind: SegmentKind
    label: str
    start: float
    end: float
    parents: tuple[int, ...] = ()
    is_visible: bool | None = None

    def __post_init__(self) -> None:
        _require(self.end > self.start, f"{self.kind} {self.label!r}: [{self.start}, {self.end}) s is empty")

    def contains(self, times: FloatArray) -> NDArray[np.bool_]:
        """Which of `times` (n,) lie in [start, end)."""
        return (times >= self.start) & (times < self.end)


@dataclass(frozen=True)
class Evidence:
    """What an answer rests on: one track during [start, end) seconds, and in what role."""

    track: int
    start: float = 0.0
    end: float = float("inf")
    role: Role = "necessary"

    def __post_init__(self) -> None:
        _require(self.end > self.start, f"evidence of track {self.track}: [{self.start}, {self.end}) s is empty")


@dataclass(frozen=True)
class Counterfactual:
    """The same video made again with something taken away; its frame times are those of the original.

    `part`: `track` is absent during [start, end) seconds; `removed`: all evidence but context is absent; `only`:
    nothing but the evidence is there.
    """

    video: Path
    kind: Absence
    track: int | None = None
    start: float = 0.0
    end: float = float("inf")

    def __post_init__(self) -> None:
        _require(self.kind in get_args(Absence), f"counterfactual {self.video.name}: unknown kind {self.kind!r}")
        named = (self.track is not None) == (self.kind == "part")
        _require(named, f"counterfactual {self.video.name}: a track is named for `part`, and only there")
        _require(self.end > self.start, f"counterfactual {self.video.name}: [{self.start}, {self.end}) s is empty")


@dataclass(frozen=True)
class Sample:
    """All that belongs to one question on one video. `task` groups the videos that the same question is asked of.

    `rule` says in a word how the evidence was found; area, reasoning and tags are the question's, as annotated; points
    are the video's point tracks.
    """

    id: str
    video: Path
    question: Question
    task: str = ""
    tracks: tuple[Track, ...] = ()
    segments: tuple[Segment, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    cut: float | None = None
    counterfactuals: tuple[Counterfactual, ...] = ()
    rule: str = ""
    area: str = ""
    reasoning: str = ""
    tags: tuple[str, ...] = ()
    points: tuple[PointTrack, ...] = ()

    @property
    def video_id(self) -> str:
        """The video's name without its folder and ending: the unit of every statistic."""
        return self.video.stem

    @property
    def evidence_tracks(self) -> frozenset[int]:
        """Ids of the tracks that the answer rests on."""
        return frozenset(item.track for item in self.evidence if item.role != "context")


@dataclass(frozen=True)
class Provenance:
    """How a volume came about; everything needed to make it again, and what it cost."""

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    revision: str | None = None
    dtype: str = ""
    seed: int = 0
    target: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  # of all that the volume depends on; a run's, and empty outside one
    seconds: float = 0.0
    peak_memory: int | None = None  # bytes; None where it could not be measured
    extras: Mapping[str, float] = field(default_factory=dict)  # what the method reports, e.g. completeness_error


_PROVENANCE = TypeAdapter(Provenance)


@dataclass(frozen=True, eq=False)
class SaliencyVolume:
    """Signed saliency float32 (t, h, w) over normalised frame coordinates, one slice per clip frame; times (t,) s.

    Positive supports the explained target. Values are as the method gave them: normalising is a view, taken over the
    whole volume and never per frame. Raises InputError when values are not finite or shapes disagree.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64]
    provenance: Provenance

    def __post_init__(self) -> None:
        _require(
            self.values.dtype == np.float32 and self.values.ndim == 3 and self.values.size > 0,
            f"volume: expected float32 values of shape (t, h, w), got {self.values.dtype} {self.values.shape}",
        )
        _check_times(self.times, len(self.values), "volume")
        bad = int((~np.isfinite(self.values)).sum())
        _require(bad == 0, f"volume: {bad} of {self.values.size} values are not finite")

    def _with(self, values: FloatArray) -> SaliencyVolume:
        return replace(self, values=np.ascontiguousarray(values, dtype=np.float32))

    def positive(self) -> SaliencyVolume:
        """Negative values set to 0."""
        return self._with(np.maximum(self.values, 0))

    def absolute(self) -> SaliencyVolume:
        """Absolute values."""
        return self._with(np.abs(self.values))

    def normalised(self, percentile: float = 100.0) -> SaliencyVolume:
        """Divided by the given percentile of the whole volume's absolute values and clipped to [-1, 1]."""
        scale = float(np.percentile(np.abs(self.values), percentile)) or float(np.abs(self.values).max())
        return self._with(np.clip(self.values / scale, -1, 1)) if scale > 0 else self

    def on_grid(self, rows: int, columns: int) -> SaliencyVolume:
        """Averaged over the cells of a rows x columns grid; a pixel across a border counts in both by its share."""
        return self._with(
            np.einsum(
                "yh,thw,xw->tyx",
                _pool(rows, self.values.shape[1]),
                self.values.astype(np.float64),
                _pool(columns, self.values.shape[2]),
            )
        )

    def resize_to(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Values (t, H, W) at the size of `frames` (t, H, W, 3), bilinear; for drawing, never for scoring."""
        import cv2  # heavy, and only drawing needs it

        _require(len(frames) == len(self.values), f"expected {len(self.values)} frames, got {len(frames)}")
        size = (frames.shape[2], frames.shape[1])
        return np.stack([cv2.resize(v, size, interpolation=cv2.INTER_LINEAR) for v in self.values]).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write an .npz (no pickle) with values, times and the provenance as JSON, beside and then renamed."""
        with writing(Path(path)) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                values=self.values,
                times=self.times,
                provenance=np.array(json.dumps(asdict(self.provenance), default=str)),
            )

    @staticmethod
    def load(path: str | Path) -> SaliencyVolume:
        """Read what `save` wrote. Raises InputError when the file is missing, cut short or of another kind."""
        try:
            with np.load(path, allow_pickle=False) as data:
                provenance = _PROVENANCE.validate_json(str(data["provenance"]))
                return SaliencyVolume(data["values"], data["times"], provenance)
        except Exception as error:  # a damaged file makes zip, zlib, NumPy and its header's parser raise what they like
            words = complaint(error, "provenance") if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: expected a saliency volume (.npz written by attrib): {words}") from error


def _pool(cells: int, pixels: int) -> NDArray[np.float64]:
    """(cells, pixels) weights of exact area averaging; rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    start = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    weights = np.clip(overlap, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)
