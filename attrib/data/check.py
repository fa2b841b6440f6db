"""Check of a data set: counts of its content, and what is missing or odd; videos are decoded only on request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from attrib.data import annotation
from attrib.data.layout import SplitFiles
from attrib.data.oddities import FAULTS, HANDLED, Oddity, odd_sample, odd_video
from attrib.data.perception_test import SideFiles, samples
from attrib.data.stream import entries
from attrib.data.tasks import counts
from attrib.errors import InputError, VideoError, one_line, shown
from attrib.runtime.parsing import complaint
from attrib.video.container import declared_frames, declared_length
from attrib.video.decode import opened
from attrib.video.source import open_source

EXAMPLES, LONGEST = 3, 240  # locations listed for each kind; maximum characters of a location
_VIDEO = TypeAdapter(annotation.Video)
_MALFORMED = "malformed annotations"


@dataclass
class Finding:
    """Kind of oddity with its number of occurrences and a few locations."""

    kind: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_fault(self) -> bool:
        """Return whether the data cannot be used, or would give wrong numbers."""
        return self.kind in FAULTS

    @property
    def meaning(self) -> str:
        """Consequence of the finding."""
        return FAULTS.get(self.kind) or HANDLED[self.kind]


@dataclass
class SplitCheck:
    """Result of checking one split; `counts` of videos, questions, tracks, boxes, points, actions, sounds and cuts."""

    layout: SplitFiles
    counts: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Finding] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)

    @property
    def findings(self) -> list[Finding]:
        """Findings by descending count, faults first."""
        return sorted(self.by_kind.values(), key=lambda finding: (not finding.is_fault, -finding.count, finding.kind))

    def add(self, oddity: Oddity, video_id: str = "") -> None:
        """Count an oddity and store the first locations of its kind."""
        finding = self.by_kind.setdefault(oddity.kind, Finding(oddity.kind))
        finding.count += oddity.count
        if len(finding.examples) < EXAMPLES:
            finding.examples.append(one_line(" ".join(filter(None, (video_id, oddity.where))), LONGEST))


def check(layouts: tuple[SplitFiles, ...], decode: bool = False) -> list[SplitCheck]:
    """Check each split, one annotation in memory at a time. Only headers of video files are read, unless `decode`.

    A file in `videos/` must be annotated in at least one of `layouts`.
    """
    checks = [_split(layout, decode) for layout in layouts]
    known = set().union(*(split.videos for split in checks))
    folder = layouts[0].videos
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.stem not in known:
            checks[0].add(Oddity("videos without an annotation", path.name))
    return checks


def _split(layout: SplitFiles, decode: bool) -> SplitCheck:
    split = SplitCheck(layout)
    try:
        side_files = SideFiles.of(layout)
    except InputError as error:
        side_files = SideFiles()
        split.add(_refused(layout, error))
    try:
        for video_id, raw in entries(layout.annotations):
            split.videos.add(video_id)
            for oddity in _video(split, video_id, raw, side_files, decode):
                split.add(oddity, video_id)
    except InputError as error:  # truncated or invalid JSON: the entries before it are counted
        split.add(_refused(layout, error))
    for video_id in sorted(set(side_files.cuts).difference(split.videos)):
        split.add(Oddity("cuts of unknown videos", video_id))
    return split


def _refused(layout: SplitFiles, error: InputError) -> Oddity:
    return Oddity(_MALFORMED, str(error).removeprefix(f"{layout.folder}{os.sep}"))


def _video(split: SplitCheck, video_id: str, raw: Any, side_files: SideFiles, decode: bool) -> Iterator[Oddity]:
    split.counts["videos"] += 1
    if not annotation.PLAIN_NAME.fullmatch(video_id):
        yield Oddity(_MALFORMED, f"{shown(video_id)} is not a plain file name")
        return
    try:
        video = _VIDEO.validate_python(raw)
    except ValidationError as error:
        yield Oddity(_MALFORMED, complaint(error, "").removeprefix("."))
        return
    cut, meta = side_files.cut(video_id, video), video.metadata
    split.counts.update(counts(video))
    split.counts["questions"] += len(video.mc_question)
    split.counts["grounded questions"] += len(video.grounded_question)
    split.counts["cuts"] += cut is not None
    annotated = meta.num_frames / meta.frame_rate if meta.num_frames else None
    yield from odd_video(video, raw, cut, annotated)
    if meta.video_id not in ("", video_id):
        yield Oddity("metadata with the id of another video", shown(meta.video_id))
    yield from _late_evidence(side_files, video_id, cut)
    asked = [item for item in video.mc_question if not item.fault]
    try:
        for sample in samples(split.layout, video_id, video, asked, side_files):
            yield from odd_sample(sample)
    except InputError as error:
        yield Oddity(_MALFORMED, str(error))
    yield from _file(split.layout.video(video_id), meta.num_frames, annotated, decode)


def _late_evidence(side_files: SideFiles, video_id: str, cut: float | None) -> Iterator[Oddity]:
    """Yield exact evidence that starts at or after the cut."""
    for question, items in side_files.evidence.get(video_id, {}).items():
        for item in items:
            if cut is not None and item.start >= cut:
                yield Oddity("evidence after the cut", f"question {question}: track {item.track}")


def _file(path: Path, frames: int | None, annotated: float | None, decode: bool) -> Iterator[Oddity]:
    """Check the video file: its header, and with `decode` every frame."""
    if not path.exists():
        yield Oddity("missing video files", "")
        return
    try:
        with opened(path) as (file, stream):
            declared, seconds = declared_frames(stream), declared_length(file, stream)
        for warning in open_source(path, count=True).warnings if decode else ():
            yield Oddity("truncated or damaged videos", warning.removeprefix(f"{path}: "))
    except VideoError as error:
        yield Oddity("videos that cannot be opened", str(error).removeprefix(f"{path}: "))
        return
    if frames and declared and frames not in declared:
        yield Oddity("frame counts that differ from the video file", f"annotated {frames}, file {max(declared)}")
    if annotated and seconds and abs(annotated - seconds) > max(1.0, 0.05 * annotated):
        yield Oddity(
            "videos whose length differs from the annotation", f"annotated {annotated:.2f} s, file {seconds:.2f} s"
        )
