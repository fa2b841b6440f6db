"""The Perception Test layout (Patraucean et al. 2023, arXiv 2305.13786): videos and annotations to samples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from attrib.data import annotation as given
from attrib.errors import InputError, shown
from attrib.types import Counterfactual, Evidence, Question, Sample, Segment, SegmentKind, Track
from attrib.untrusted import complaint, read_json

MICROSECONDS = 1e6
_Checked = TypeVar("_Checked")
_VIDEO = TypeAdapter(given.Video)


@dataclass(frozen=True)
class PerceptionTest:
    """Samples of a directory with `videos/`, `all_{split}.json` and, where there are any, cuts, evidence and more.

    Without `all_{split}.json`, `mc_question_{split}.json` is read, which may map videos to plain lists of questions.
    One sample per multiple-choice question, in the order of the file; `limit` stops after so many videos. Evidence
    comes from `evidence_{split}.json` (known by construction), else from the grounded question with the same id, and
    ends at the cut. `counterfactuals_{split}.json` lists files of `counterfactuals/`, by video id and question id.
    A video that is missing is no fault here: reading it tells.
    """

    root: str
    split: Literal["train", "valid", "test"] = "valid"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit: expected at least one video, got {shown(self.limit)}")

    def __iter__(self) -> Iterator[Sample]:
        """Raises InputError when the annotations are missing or are not of this layout, with the place of the fault."""
        root = Path(self.root)
        path = root / f"all_{self.split}.json"
        questions = root / f"mc_question_{self.split}.json"
        path = questions if not os.path.exists(path) and os.path.exists(questions) else path
        videos = read_json(path)
        cuts = _optional(root / f"cut_frame_mapping_{self.split}.json", given.CUTS)
        evidence = _optional(root / f"evidence_{self.split}.json", given.EVIDENCE)
        remade = _optional(root / f"counterfactuals_{self.split}.json", given.COUNTERFACTUALS)
        for video_id in list(videos)[: self.limit]:
            if not given.PLAIN_NAME.fullmatch(video_id):
                raise InputError(f"{path}: video id {shown(video_id)} is not a plain file name")
            where = f"{path}: {video_id}"
            found = _checked(_VIDEO, videos[video_id], where)
            try:
                for sample in samples(root, video_id, found, cuts.get(video_id, -1), evidence.get(video_id)):
                    listed = remade.get(video_id, {}).get(str(sample.question.id), ())
                    yield replace(sample, counterfactuals=tuple(_counterfactuals(root / "counterfactuals", listed)))
            except InputError as error:
                raise InputError(f"{where}: {error}") from None


def _optional(path: Path, kind: TypeAdapter[dict[str, _Checked]]) -> dict[str, _Checked]:
    return _checked(kind, read_json(path), f"{path}:") if path.exists() else {}


def _checked(kind: TypeAdapter[_Checked], value: Any, where: str) -> _Checked:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InputError(complaint(error, where)) from None


def samples(
    root: Path, video_id: str, video: given.Video, cut: int, evidence: dict[str, list[given.ExactEvidence]] | None
) -> Iterator[Sample]:
    """The samples of one video. `cut` is the first original frame that is not shown, -1 for none."""
    end = cut / video.metadata.frame_rate if cut >= 0 else None
    tracks = tuple(map(_track, video.object_tracking))
    segments = (*_segments("action", video.action_localisation), *_segments("sound", video.sound_localisation))
    for item in video.mc_question:
        question = Question(item.question, tuple(item.options), item.answer_id, item.id)
        found = _grounded(item, video) if evidence is None else _exact(item, evidence)
        yield Sample(
            id=f"{video_id}_{item.id}", video=root / "videos" / f"{video_id}.mp4", question=question,
            task=question.text, tracks=tracks, segments=segments, evidence=tuple(_until(end, found)), cut=end,
        )  # fmt: skip


def _track(item: given.ObjectTrack) -> Track:
    """Times rise whatever the order of the file; of several boxes at one time the first counts."""
    times, first = np.unique(np.asarray(item.timestamps, np.float64) / MICROSECONDS, return_index=True)
    boxes = np.asarray(item.bounding_boxes, np.float64).reshape(-1, 4)
    hidden = np.asarray(item.is_masked or [False] * len(boxes), bool)
    return Track(item.id, item.label, times, boxes[first], hidden[first], bool(item.is_occluder))


def _segments(kind: SegmentKind, items: Iterable[given.TimedSegment]) -> Iterator[Segment]:
    """Those that last; parents that are not annotated are left out."""
    for item in items:
        start, end = (time / MICROSECONDS for time in item.timestamps)
        if end != start:
            parents = tuple(parent for parent in item.parent_objects if parent >= 0)
            yield Segment(kind, item.label, start, end, parents, item.is_visible)


def _exact(item: given.MultipleChoice, evidence: dict[str, list[given.ExactEvidence]]) -> Iterator[Evidence]:
    for part in evidence.get(str(item.id), ()):
        yield Evidence(part.track, part.start, part.end, part.role)


def _grounded(item: given.MultipleChoice, video: given.Video) -> Iterator[Evidence]:
    for grounded in video.grounded_question:
        if (grounded.id, grounded.question) == (item.id, item.question):
            yield from map(Evidence, grounded.answers)


def _until(cut: float | None, evidence: Iterable[Evidence]) -> Iterator[Evidence]:
    """What lies before the cut, after which nothing was shown."""
    for item in evidence:
        if cut is None:
            yield item
        elif item.start < cut:
            yield replace(item, end=min(item.end, cut))


def _counterfactuals(folder: Path, items: Iterable[given.Remade]) -> Iterator[Counterfactual]:
    for item in items:
        end = float("inf") if item.end is None else item.end
        yield Counterfactual(folder / item.video, item.kind, item.track, item.start, end)
