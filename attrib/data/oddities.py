"""Oddities of one video's annotation: each kind by name, with its treatment by the reader, or as a fault.

A fault is what the reader refuses, or what would make numbers wrong without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.data import annotation as given

FAULTS: Mapping[str, str] = {
    "annotations that are not of this layout": "the data set cannot be read",
    "times that look like milliseconds": "read as microseconds: everything lies in the first moment",
    "times that do not fit the frame numbers": "the times are believed",
    "videos that are missing": "a run records them, goes on with the others and exits with 1",
    "videos that cannot be opened": "a run records them, goes on with the others and exits with 1",
    "videos that are cut short or damaged": "the frames that can be read are used, with a warning",
}
HANDLED: Mapping[str, str] = {
    "videos without an annotation": "not used",
    "videos without a question": "they make no sample",
    "videos of another length than annotated": "what is annotated beyond the end is not met",
    "frame counts that differ from the file's": "things are aligned by time, never by frame number",
    "metadata without a frame rate": f"cuts and points count {given.RATE:g} frames per second",
    "metadata of another video": "the annotation's key counts",
    "questions without an answer": "explained, neither right nor wrong",
    "questions with stray spaces in an option": "trimmed",
    "questions with an option that is an option's letter": "left as they are",
    "questions with options that are alike": "left as they are",
    "grounded answers that name no track": "no evidence",
    "tracks without boxes": "never drawn or scored",
    "boxes beyond the picture": "cut to it",
    "boxes without area": "they cover nothing",
    "boxes over the whole picture": "kept; overlap with them says little",
    "boxes off the 30-frame grid": "their times count",
    "times that go back": "sorted",
    "several boxes at one time": "the first counts",
    "initial boxes that are not the first": "not used",
    "points beyond the picture": "not drawn",
    "points that are never seen": "not drawn",
    "parents that are not annotated": "left out",
    "parents that name no track": "no evidence",
    "segments without length": "left out",
    "segments beyond the end": "cut to it when drawn",
    "cuts outside cup games": "evidence ends there too",
    "cuts beyond the end": "nothing is cut",
    "cuts of unknown videos": "not used",
    "boxes after the cut": "no evidence",
    "evidence after the cut": "left out",
}
WHOLE, GRID = 0.9, 30  # share of the picture, frames
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SLACK = 0.1  # seconds that a segment may last beyond the end


@dataclass(frozen=True)
class Odd:
    """Count of one kind of oddity in one location."""

    kind: str
    where: str
    count: int = 1


def odd_video(video: given.Video, raw: Any, cut: float | None, end: float | None) -> Iterator[Odd]:
    """All that can be seen in the annotation alone; `cut` and the video's `end` in seconds, None where not known."""
    if not video.mc_question:
        yield Odd("videos without a question", "")
    if isinstance(raw, dict) and "frame_rate" not in (raw.get("metadata") or {}):
        yield Odd("metadata without a frame rate", "")
    yield from _questions(video, raw)
    yield from _boxes(video, cut)
    yield from _times(video)
    yield from _points(video)
    yield from _segments(video, end)
    if cut is not None and not video.metadata.is_cup_game:
        yield Odd("cuts outside cup games", f"at {cut:.2f} s")
    if cut is not None and end is not None and cut > end + SLACK:
        yield Odd("cuts beyond the end", f"at {cut:.2f} s of {end:.2f} s")


def _questions(video: given.Video, raw: Any) -> Iterator[Odd]:
    written = (raw.get("mc_question") if isinstance(raw, dict) else raw) or ()
    for item, plain in zip(video.mc_question, written, strict=True):
        where = f"question {item.id}"
        if item.answer_id is None:
            yield Odd("questions without an answer", where)
        stray = [str(option) for option in plain["options"] if str(option) != str(option).strip()]
        if stray:
            yield Odd("questions with stray spaces in an option", f"{where}: {stray[0]!r}")
        if set(_LETTERS[: len(item.options)]).intersection(map(str.upper, item.options)):
            yield Odd("questions with an option that is an option's letter", f"{where}: {', '.join(item.options)}")
        if len(set(item.options)) < len(item.options):
            yield Odd("questions with options that are alike", where)
    tracks = {track.id for track in video.object_tracking}
    for grounded in video.grounded_question:
        for track in grounded.answers:
            if tracks and track not in tracks:
                yield Odd("grounded answers that name no track", f"grounded question {grounded.id}: {track}")


def _boxes(video: given.Video, cut: float | None) -> Iterator[Odd]:
    """All boxes of the video at once, (n, 4), with the track (n,) of each: thousands of videos are to take seconds."""
    tracks = video.object_tracking
    for track in tracks:
        if not track.bounding_boxes:
            yield Odd("tracks without boxes", f"track {track.id}")
        if track.initial_tracking_box[:1] == [0]:
            yield Odd("initial boxes that are not the first", f"track {track.id}")
    boxes = np.array([box for track in tracks for box in track.bounding_boxes], np.float64).reshape(-1, 4)
    owner = np.repeat([track.id for track in tracks], [len(track.bounding_boxes) for track in tracks])
    times = np.array([time for track in tracks for time in track.timestamps], np.float64)
    frames = np.array([frame for track in tracks for frame in track.frame_ids], np.float64)
    sides = np.clip(boxes[:, 2:], 0, 1) - np.clip(boxes[:, :2], 0, 1)
    area = np.where((sides > 0).all(axis=1), sides.prod(axis=1), 0)
    same = np.diff(owner, prepend=-1) == 0  # as the box before
    step = np.diff(times, prepend=0)
    found = {
        "boxes beyond the picture": ((boxes < 0) | (boxes > 1)).any(axis=1),
        "boxes without area": area == 0,
        "boxes over the whole picture": area >= WHOLE,
        "boxes off the 30-frame grid": frames % GRID != 0 if len(frames) == len(boxes) else [],
        "times that go back": same & (step < 0),
        "several boxes at one time": same & (step == 0),
        "boxes after the cut": times >= (np.inf if cut is None else cut * 1e6),
    }
    for kind, flags in found.items():
        if np.any(flags):
            yield Odd(kind, f"track {owner[np.argmax(flags)]}", int(np.sum(flags)))


def _times(video: given.Video) -> Iterator[Odd]:
    """Times held against frame numbers, where both are given: their ratio says in which unit the times are."""
    items: list[given.ObjectTrack | given.TimedSegment] = [*video.object_tracking, *video.action_localisation]
    pairs = [
        (np.asarray(item.timestamps, np.float64), np.asarray(item.frame_ids, np.float64))
        for item in (*items, *video.sound_localisation)
        if len(item.frame_ids) == len(item.timestamps)
    ]
    if not pairs:
        return
    times, frames = (np.concatenate(part) for part in zip(*pairs, strict=True))
    ratio = _unit(times, frames / video.metadata.frame_rate * 1e6)
    if ratio is not None and 0.0005 < ratio < 0.002:
        yield Odd("times that look like milliseconds", f"at frame {frames.max():g}: {times.max():g}")
    elif ratio is not None and not 0.9 < ratio < 1.1:
        yield Odd("times that do not fit the frame numbers", f"at frame {frames.max():g}: {times.max():g}")


def _unit(times: NDArray[np.float64], expected: NDArray[np.float64]) -> float | None:
    """The median ratio of times to what is expected of their frames; None where all are at the start."""
    later = expected > 0
    return float(np.median(times[later] / expected[later])) if later.any() else None


def _points(video: given.Video) -> Iterator[Odd]:
    for point in video.point_tracking:
        xy = np.asarray(point.points, np.float64)
        outside = int(((xy < 0) | (xy > 1)).any(axis=0).sum())
        if outside:
            yield Odd("points beyond the picture", f"point {point.id}", outside)
        if not xy.size:
            yield Odd("points that are never seen", f"point {point.id}")
    yield from _parents(video, ((f"point {point.id}", point.parent_objects) for point in video.point_tracking))


def _segments(video: given.Video, end: float | None) -> Iterator[Odd]:
    kinds = (("action", video.action_localisation), ("sound", video.sound_localisation))
    found = [(f"{kind} {place}", item) for kind, items in kinds for place, item in enumerate(items)]
    for where, item in found:
        start, stop = item.timestamps
        if stop == start:
            yield Odd("segments without length", where)
        if end is not None and stop / 1e6 > end + SLACK:
            yield Odd("segments beyond the end", f"{where}: {stop / 1e6:.2f} s of {end:.2f} s")
    yield from _parents(video, ((where, item.parent_objects) for where, item in found))


def _parents(video: given.Video, items: Iterable[tuple[str, Sequence[int]]]) -> Iterator[Odd]:
    tracks = {track.id for track in video.object_tracking}
    for where, parents in items:
        for parent in parents:
            if parent < 0:
                yield Odd("parents that are not annotated", where)
            elif parent not in tracks:
                yield Odd("parents that name no track", f"{where}: {parent}")
