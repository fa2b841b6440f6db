"""Checks of one video's annotation: each kind of oddity with its consequence.

A fault (FAULTS) is refused by the reader or would silently give wrong numbers; the reader copes with HANDLED.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.data import annotation
from attrib.data.box_faults import SIZED, SWAPPED, kind_of
from attrib.types import Sample
from attrib.types.annotation import has_area, inverted
from attrib.types.question import visible_text

FAULTS: Mapping[str, str] = {
    "malformed annotations": "reading the data set stops there",
    "times that look like milliseconds": "read as microseconds, so that everything happens in the first moment",
    "times that contradict the frame numbers": "the times are used and the frame numbers ignored",
    SWAPPED: "these boxes are left out; expected x1, y1, x2, y2 with x1 <= x2 and y1 <= y2",
    SIZED: (
        "or have their corners the wrong way round; where x2 < x1 or y2 < y1 they are left out, elsewhere they are "
        "read as x1, y1, x2, y2"
    ),
    "questions with an option without text": "left out",
    "questions with identical options": "left out, also where the options are alike but for blanks",
    "questions whose evidence has no box with area": "metrics that need evidence are undefined for them",
    "missing video files": "a run records them as failed, continues with the others and exits with code 1",
    "videos that cannot be opened": "a run records them as failed, continues with the others and exits with code 1",
    "truncated or damaged videos": "the readable frames are used, with a warning",
}
HANDLED: Mapping[str, str] = {
    "videos without an annotation": "not used",
    "videos without a question": "they give no sample",
    "videos whose length differs from the annotation": "annotations after the end of the file are not used",
    "frame counts that differ from the video file": "annotations are aligned by time, never by frame number",
    "metadata without a frame rate": f"{annotation.RATE:g} frames per second are assumed for cuts and points",
    "metadata with the id of another video": "the annotation's key is used as the video's id",
    "questions without an answer": "explained, but counted neither as right nor as wrong",
    "questions with stray spaces in an option": "trimmed",
    "questions with an option that equals an option letter": "used unchanged",
    "grounded answers that name no track": "not used as evidence",
    "tracks without boxes": "never drawn or scored",
    "boxes that reach outside the picture": "clipped to it",
    "boxes without area": "neither drawn nor scored, as they cover no pixel",
    "boxes that cover nearly the whole picture": "used, though overlap with them is hardly informative",
    "boxes off the 30-frame grid": "used at their times",
    "times that are not in order": "sorted",
    "several boxes of a track at one time": "the first is used",
    "initial boxes that are not the first of their track": "not used",
    "points outside the picture": "not drawn",
    "points that are never visible": "not drawn",
    "parent objects that are not annotated": "dropped",
    "parent objects that name no track": "not used as evidence",
    "actions or sounds without length": "dropped",
    "actions or sounds that end after the video": "shortened to its end when drawn",
    "cuts in videos other than cup games": "evidence ends at the cut, as in cup games",
    "cuts after the end of the video": "no effect",
    "cuts of unknown videos": "not used",
    "boxes after the cut": "not used as evidence",
    "evidence after the cut": "dropped",
}
WHOLE, GRID = 0.9, 30  # share of the picture, frames
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SLACK = 0.1  # seconds that a segment may last beyond the end


@dataclass(frozen=True)
class Oddity:
    """Oddity of one kind at one location, with its count."""

    kind: str
    where: str
    count: int = 1


def odd_video(video: annotation.Video, raw: Any, cut: float | None, end: float | None) -> Iterator[Oddity]:
    """Yield what the annotation alone shows; `cut` and the video's `end` are in seconds, None if unknown."""
    if not video.mc_question:
        yield Oddity("videos without a question", "")
    if isinstance(raw, dict) and "frame_rate" not in (raw.get("metadata") or {}):
        yield Oddity("metadata without a frame rate", "")
    yield from _questions(video, raw)
    yield from _boxes(video, cut)
    yield from _times(video)
    yield from _points(video)
    yield from _segments(video, end)
    if cut is not None and not video.metadata.is_cup_game:
        yield Oddity("cuts in videos other than cup games", f"at {cut:.2f} s")
    if cut is not None and end is not None and cut > end + SLACK:
        yield Oddity("cuts after the end of the video", f"at {cut:.2f} s of {end:.2f} s")


def _questions(video: annotation.Video, raw: Any) -> Iterator[Oddity]:
    untrimmed = (raw.get("mc_question") if isinstance(raw, dict) else raw) or ()
    for item, plain in zip(video.mc_question, untrimmed, strict=True):
        where = f"question {item.id}"
        if item.answer_id is None:
            yield Oddity("questions without an answer", where)
        stray = [str(option) for option in plain["options"] if str(option) != str(option).strip()]
        if stray:
            yield Oddity("questions with stray spaces in an option", f"{where}: {stray[0]!r}")
        if set(_LETTERS[: len(item.options)]).intersection(map(str.upper, item.options)):
            yield Oddity("questions with an option that equals an option letter", f"{where}: {', '.join(item.options)}")
        texts = [visible_text(option) for option in item.options]
        if not all(texts):
            yield Oddity("questions with an option without text", where)
        elif len(set(texts)) < len(texts):
            yield Oddity("questions with identical options", where)
    tracks = {track.id for track in video.object_tracking}
    for grounded in video.grounded_question:
        for track in grounded.answers:
            if tracks and track not in tracks:
                yield Oddity("grounded answers that name no track", f"grounded question {grounded.id}: {track}")


def _boxes(video: annotation.Video, cut: float | None) -> Iterator[Oddity]:
    """Check all boxes of the video in one array (n, 4), for speed; `owner` (n,) holds the track of each box."""
    tracks = video.object_tracking
    for track in tracks:
        if not track.bounding_boxes:
            yield Oddity("tracks without boxes", f"track {track.id}")
        if track.initial_tracking_box[:1] == [0]:
            yield Oddity("initial boxes that are not the first of their track", f"track {track.id}")
    boxes = np.array([box for track in tracks for box in track.bounding_boxes], np.float64).reshape(-1, 4)
    owner = np.repeat([track.id for track in tracks], [len(track.bounding_boxes) for track in tracks])
    times = np.array([time for track in tracks for time in track.timestamps], np.float64)
    frames = np.array([frame for track in tracks for frame in track.frame_ids], np.float64)
    turned = inverted(boxes)
    area = np.where(has_area(boxes), (np.clip(boxes[:, 2:], 0, 1) - np.clip(boxes[:, :2], 0, 1)).prod(axis=1), 0)
    same = np.diff(owner, prepend=-1) == 0  # same track as the previous box
    step = np.diff(times, prepend=0)
    flags_by_kind = {
        kind_of(boxes): turned,
        "boxes that reach outside the picture": ((boxes < 0) | (boxes > 1)).any(axis=1),
        "boxes without area": (area == 0) & ~turned,
        "boxes that cover nearly the whole picture": area >= WHOLE,
        "boxes off the 30-frame grid": frames % GRID != 0 if len(frames) == len(boxes) else [],
        "times that are not in order": same & (step < 0),
        "several boxes of a track at one time": same & (step == 0),
        "boxes after the cut": times >= (np.inf if cut is None else cut * 1e6),
    }
    for kind, flags in flags_by_kind.items():
        if np.any(flags):
            first = int(np.argmax(flags))
            example = f": [{', '.join(f'{value:g}' for value in boxes[first])}]" if kind in (SWAPPED, SIZED) else ""
            yield Oddity(kind, f"track {owner[first]}{example}", int(np.sum(flags)))


def odd_sample(sample: Sample) -> Iterator[Oddity]:
    """Yield what makes a question's numbers undefined: evidence whose tracks never cover a part of the picture."""
    tracks = [track for track in sample.tracks if track.id in sample.evidence_tracks]
    if tracks and not any(has_area(track.boxes).any() for track in tracks):
        names = ", ".join(f"track {track.name}" for track in tracks)
        yield Oddity("questions whose evidence has no box with area", f"question {sample.question.id}: {names}")


def _times(video: annotation.Video) -> Iterator[Oddity]:
    """Compare times with frame numbers, where both exist; their ratio shows a wrong unit of time."""
    items: list[annotation.ObjectTrack | annotation.TimedSegment] = [*video.object_tracking, *video.action_localisation]
    pairs = [
        (np.asarray(item.timestamps, np.float64), np.asarray(item.frame_ids, np.float64))
        for item in (*items, *video.sound_localisation)
        if len(item.frame_ids) == len(item.timestamps)
    ]
    if not pairs:
        return
    times, frames = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    ratio = _unit(times, frames / video.metadata.frame_rate * 1e6)
    if ratio is not None and 0.0005 < ratio < 0.002:
        yield Oddity("times that look like milliseconds", f"at frame {frames.max():g}: {times.max():g}")
    elif ratio is not None and not 0.9 < ratio < 1.1:
        yield Oddity("times that contradict the frame numbers", f"at frame {frames.max():g}: {times.max():g}")


def _unit(times: NDArray[np.float64], expected: NDArray[np.float64]) -> float | None:
    """Median ratio of times to expected times; None if all are expected at 0."""
    later = expected > 0
    return float(np.median(times[later] / expected[later])) if later.any() else None


def _points(video: annotation.Video) -> Iterator[Oddity]:
    for point in video.point_tracking:
        xy = np.asarray(point.points, np.float64)
        outside = int(((xy < 0) | (xy > 1)).any(axis=0).sum())
        if outside:
            yield Oddity("points outside the picture", f"point {point.id}", outside)
        if not xy.size:
            yield Oddity("points that are never visible", f"point {point.id}")
    yield from _parents(video, ((f"point {point.id}", point.parent_objects) for point in video.point_tracking))


def _segments(video: annotation.Video, end: float | None) -> Iterator[Oddity]:
    kinds = (("action", video.action_localisation), ("sound", video.sound_localisation))
    segments = [(f"{kind} {index}", item) for kind, items in kinds for index, item in enumerate(items)]
    for where, item in segments:
        start, stop = item.timestamps
        if stop == start:
            yield Oddity("actions or sounds without length", where)
        if end is not None and stop / 1e6 > end + SLACK:
            yield Oddity("actions or sounds that end after the video", f"{where}: {stop / 1e6:.2f} s of {end:.2f} s")
    yield from _parents(video, ((where, item.parent_objects) for where, item in segments))


def _parents(video: annotation.Video, items: Iterable[tuple[str, Sequence[int]]]) -> Iterator[Oddity]:
    tracks = {track.id for track in video.object_tracking}
    for where, parents in items:
        for parent in parents:
            if parent < 0:
                yield Oddity("parent objects that are not annotated", where)
            elif parent not in tracks:
                yield Oddity("parent objects that name no track", f"{where}: {parent}")
