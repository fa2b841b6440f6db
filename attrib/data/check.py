"""Inventory of a data set: present, missing and odd entries; videos are decoded only on request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from attrib.data import annotation as given
from attrib.data.layout import Layout
from attrib.data.oddities import FAULTS, HANDLED, Odd, odd_video
from attrib.data.perception_test import Beside, samples
from attrib.data.stream import entries
from attrib.data.tasks import counts
from attrib.errors import InputError, VideoError, one_line, shown
from attrib.runtime.parsing import complaint
from attrib.video.decode import opened
from attrib.video.source import open_source

EXAMPLES, LONGEST = 3, 240  # places that are kept of a kind; characters of each
_VIDEO = TypeAdapter(given.Video)
_BAD = "annotations that are not of this layout"


@dataclass
class Finding:
    """One kind of oddity: how often it comes and a few places where."""

    kind: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_fault(self) -> bool:
        """Return whether the data are unusable as they are, or would give wrong numbers."""
        return self.kind in FAULTS

    @property
    def meaning(self) -> str:
        """Consequence of the finding."""
        return FAULTS.get(self.kind) or HANDLED[self.kind]


@dataclass
class Checked:
    """Result of checking one split. Counts are of videos, questions, tracks, boxes, points, actions, sounds, cuts."""

    layout: Layout
    counts: Counter[str] = field(default_factory=Counter)
    found: dict[str, Finding] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)

    @property
    def findings(self) -> list[Finding]:
        """Faults first, each group by falling count."""
        return sorted(self.found.values(), key=lambda finding: (not finding.is_fault, -finding.count, finding.kind))

    def add(self, odd: Odd, video_id: str = "") -> None:
        """Count it, and keep the first places."""
        finding = self.found.setdefault(odd.kind, Finding(odd.kind))
        finding.count += odd.count
        if len(finding.examples) < EXAMPLES:
            finding.examples.append(one_line(" ".join(filter(None, (video_id, odd.where))), LONGEST))


def check(layouts: tuple[Layout, ...], decode: bool = False) -> list[Checked]:
    """Each split by itself, one video in memory at a time. Of the video files the headers alone, unless `decode`.

    Files in `videos/` are held against all of `layouts` together.
    """
    done = [_split(layout, decode) for layout in layouts]
    known = set().union(*(split.videos for split in done))
    folder = layouts[0].videos
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.stem not in known:
            done[0].add(Odd("videos without an annotation", path.name))
    return done


def _split(layout: Layout, decode: bool) -> Checked:
    found = Checked(layout)
    try:
        beside = Beside.of(layout)
    except InputError as error:
        beside = Beside()
        found.add(_refused(layout, error))
    try:
        for video_id, raw in entries(layout.annotations):
            found.videos.add(video_id)
            for odd in _video(found, video_id, raw, beside, decode):
                found.add(odd, video_id)
    except InputError as error:  # cut short, or no JSON: what came before is counted
        found.add(_refused(layout, error))
    for video_id in sorted(set(beside.cuts).difference(found.videos)):
        found.add(Odd("cuts of unknown videos", video_id))
    return found


def _refused(layout: Layout, error: InputError) -> Odd:
    return Odd(_BAD, str(error).removeprefix(f"{layout.folder}{os.sep}"))


def _video(found: Checked, video_id: str, raw: Any, beside: Beside, decode: bool) -> Iterator[Odd]:
    found.counts["videos"] += 1
    if not given.PLAIN_NAME.fullmatch(video_id):
        yield Odd(_BAD, f"{shown(video_id)} is not a plain file name")
        return
    try:
        video = _VIDEO.validate_python(raw)
    except ValidationError as error:
        yield Odd(_BAD, complaint(error, "").removeprefix("."))
        return
    cut, meta = beside.cut(video_id, video), video.metadata
    found.counts.update(counts(video))
    found.counts["questions"] += len(video.mc_question)
    found.counts["grounded questions"] += len(video.grounded_question)
    found.counts["cuts"] += cut is not None
    annotated = meta.num_frames / meta.frame_rate if meta.num_frames else None
    yield from odd_video(video, raw, cut, annotated)
    if meta.video_id not in ("", video_id):
        yield Odd("metadata of another video", shown(meta.video_id))
    yield from _after(beside, video_id, cut)
    try:
        list(samples(found.layout, video_id, video, video.mc_question, beside))
    except InputError as error:
        yield Odd(_BAD, str(error))
    yield from _file(found.layout.video(video_id), meta.num_frames, annotated, decode)


def _after(beside: Beside, video_id: str, cut: float | None) -> Iterator[Odd]:
    """Evidence by construction that starts when nothing is shown any more."""
    for question, items in beside.evidence.get(video_id, {}).items():
        for item in items:
            if cut is not None and item.start >= cut:
                yield Odd("evidence after the cut", f"question {question}: track {item.track}")


def _file(path: Path, frames: int | None, annotated: float | None, decode: bool) -> Iterator[Odd]:
    """The video file: its header, or with `decode` every frame."""
    if not path.exists():
        yield Odd("videos that are missing", "")
        return
    try:
        with opened(path) as (file, stream):
            declared = stream.frames
            seconds = file.duration / 1e6 if file.duration else None
        for warning in open_source(path, count=True).warnings if decode else ():
            yield Odd("videos that are cut short or damaged", warning.removeprefix(f"{path}: "))
    except VideoError as error:
        yield Odd("videos that cannot be opened", str(error).removeprefix(f"{path}: "))
        return
    if frames and declared and frames != declared:
        yield Odd("frame counts that differ from the file's", f"{frames}, the file has {declared}")
    if annotated and seconds and abs(annotated - seconds) > max(1.0, 0.05 * annotated):
        yield Odd("videos of another length than annotated", f"{annotated:.2f} s, the file {seconds:.2f} s")
