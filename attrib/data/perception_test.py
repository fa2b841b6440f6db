"""Reader of the Perception Test layout (Patraucean et al. 2023, arXiv 2305.13786); yields samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from attrib.data import annotation
from attrib.data.box_faults import left_out
from attrib.data.choosing import Selection, one_question
from attrib.data.evidence import Exact, evidence_of
from attrib.data.layout import SplitFiles
from attrib.data.stream import entries
from attrib.errors import InputError, shown
from attrib.runtime.parsing import complaint, read_json
from attrib.types import Counterfactual, Evidence, PointTrack, Question, Sample, Segment, SegmentKind, Track
from attrib.types.annotation import inverted

MICROSECONDS = 1e6
_Value = TypeVar("_Value")
_VIDEO = TypeAdapter(annotation.Video)


@dataclass(frozen=True)
class LeftOut:
    """Question that is left out, and why."""

    video: str
    question: int
    reason: str

    def __str__(self) -> str:
        return f"{self.video}: question {self.question} left out: {self.reason}"


@dataclass(frozen=True)
class PerceptionTest:
    """Samples of a directory with `videos/`, `all_{split}.json` and optional side files (cuts, evidence, ...).

    Without `all_{split}.json`, `mc_question_{split}.json` or `explorer_data.json` is read, which may map videos to
    plain lists of questions; `root` may also be such a file. There is one sample per multiple-choice question, in file
    order. Filters: question text (`task`), `area`, `reasoning`, `tag`, video `ids`, and the first `limit` videos with a
    selected question. Grounded questions have no options that a model could choose among; they serve as evidence (see
    `evidence`), which ends at the cut. `counterfactuals_{split}.json` lists files of `counterfactuals/`, by video id
    and question id. A missing video raises no error here, but when it is opened.
    """

    root: str
    split: Literal["train", "valid", "test"] = "valid"  # part of the data set, by the names of its files
    limit: int | None = None
    task: str = ""
    area: str = ""
    reasoning: str = ""
    tag: str = ""
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit: expected at least one video, got {shown(self.limit)}")

    def __iter__(self) -> Iterator[Sample]:
        """Yield a sample for each selected question; one video's annotation is in memory at a time.

        A question with an option without text, or with options alike, is left out; a neighbour's `warnings` name it.
        Raises InputError when the annotations are missing or not in this layout, with the location of the fault; if
        every question is left out; and at the end for a selection without a match, with the nearest choice.
        """
        held: Sample | None = None  # until it is known whether questions after it are left out
        notes: list[str] = []
        for each in self._selected():
            if isinstance(each, LeftOut):
                notes.append(str(each))
                continue
            if held is not None:
                yield held
            held, notes = replace(each, warnings=(*each.warnings, *notes)), []
        if held is not None:
            yield replace(held, warnings=(*held.warnings, *notes))
        elif notes:
            raise InputError(notes[0])

    def _selected(self) -> Iterator[Sample | LeftOut]:
        """Yield the selected questions, each as a sample or, if it is left out, with the reason."""
        layout = SplitFiles.of(self.root, self.split)
        words = {"task": self.task, "area": self.area, "reasoning": self.reasoning, "tag": self.tag}
        side_files, selection, count = SideFiles.of(layout), Selection(words, self.ids), 0
        for video_id, video in videos(layout, selection):
            questions = selection.questions(video)
            yield from (LeftOut(video_id, item.id, item.fault) for item in questions if item.fault)
            questions = [item for item in questions if not item.fault]
            if not questions:
                continue
            count += 1
            try:
                yield from samples(layout, video_id, video, questions, side_files)
            except InputError as error:
                raise InputError(f"{layout.annotations}: {video_id}: {error}") from None
            if count == self.limit:
                return
        selection.check()

    def sample(self, video_id: str, question_id: int | None = None) -> Sample:
        """Return one question on one video; the id is optional if there is only one question.

        Raises InputError, or UnknownName for an unknown video or question.
        """
        found = list(replace(self, ids=(video_id,), limit=None)._selected())
        by_id = {each.question.id: each for each in found if isinstance(each, Sample)}
        for each in found:
            if isinstance(each, LeftOut) and (not by_id or each.question == question_id):
                raise InputError(str(each))
        if not by_id:
            raise InputError(f"{video_id} has no multiple-choice question")
        return one_question(by_id, video_id, question_id)


def videos(layout: SplitFiles, selection: Selection | None = None) -> Iterator[tuple[str, annotation.Video]]:
    """Yield ids and annotations of the selected videos, one at a time. Raises InputError for the first fault."""
    for video_id, value in entries(layout.annotations):
        if not annotation.PLAIN_NAME.fullmatch(video_id):
            raise InputError(f"{layout.annotations}: video id {shown(video_id)} is not a plain file name")
        if selection is None or selection.wants(video_id):
            yield video_id, validated(_VIDEO, value, f"{layout.annotations}: {video_id}")
        if selection is not None and selection.complete:
            return


def validated(schema: TypeAdapter[_Value], value: Any, where: str) -> _Value:
    """Validate a value by its schema. Raises InputError with the location of the first fault."""
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        raise InputError(complaint(error, where)) from None


@dataclass(frozen=True)
class SideFiles:
    """Content of a split's optional files, by video id: cuts in original frames, exact evidence, counterfactuals."""

    cuts: Mapping[str, int] = field(default_factory=dict)
    evidence: Mapping[str, Exact] = field(default_factory=dict)
    counterfactuals: Mapping[str, Mapping[str, Sequence[annotation.CounterfactualFile]]] = field(default_factory=dict)

    @staticmethod
    def of(layout: SplitFiles) -> SideFiles:
        """Read the files that exist. Raises InputError for a file that does not have this layout."""
        evidence = _optional(layout.side_file("evidence"), annotation.EVIDENCE)
        counterfactuals = _optional(layout.side_file("counterfactuals"), annotation.COUNTERFACTUALS)
        return SideFiles(_optional(layout.side_file("cut_frame_mapping"), annotation.CUTS), evidence, counterfactuals)

    def cut(self, video_id: str, video: annotation.Video) -> float | None:
        """Time in seconds at which the shown video was cut off; None if it was not cut.

        It lies half a frame before the first frame that is not shown, so that rounded rates and container times leave
        no doubt on which side a frame is.
        """
        frame = self.cuts.get(video_id, -1)
        return max(frame - 0.5, 0.0) / video.metadata.frame_rate if frame >= 0 else None


def _optional(path: Path, schema: TypeAdapter[dict[str, _Value]]) -> dict[str, _Value]:
    return validated(schema, read_json(path), f"{path}:") if path.exists() else {}


def samples(
    layout: SplitFiles,
    video_id: str,
    video: annotation.Video,
    questions: Iterable[annotation.MultipleChoice],
    side_files: SideFiles,
) -> Iterator[Sample]:
    """Yield the samples of some questions on one video."""
    cut, rate = side_files.cut(video_id, video), video.metadata.frame_rate
    tracks, notes = tuple(map(_track, video.object_tracking)), tuple(left_out(video_id, video))
    points = tuple(_point(item, rate) for item in video.point_tracking)
    actions = tuple(_segments("action", video.action_localisation))
    segments = (*actions, *_segments("sound", video.sound_localisation))
    for item in questions:
        question = Question(item.question, tuple(item.options), item.answer_id, item.id)
        rule, evidence = evidence_of(item, video, actions, side_files.evidence.get(video_id))
        edited = side_files.counterfactuals.get(video_id, {}).get(str(item.id), ())
        yield Sample(
            id=f"{video_id}_{item.id}", video=layout.video(video_id), question=question, task=question.text,
            tracks=tracks, segments=segments, points=points, evidence=tuple(_until(cut, evidence)), cut=cut, rule=rule,
            area=item.area, reasoning=item.reasoning, tags=tuple(item.tag),
            counterfactuals=tuple(_counterfactuals(layout.folder / "counterfactuals", edited)), warnings=notes,
        )  # fmt: skip


def _track(item: annotation.ObjectTrack) -> Track:
    """Convert a track; boxes are sorted by time, and the first of several boxes at one time is used.

    Boxes whose corners are not in order are left out.
    """
    boxes = np.asarray(item.bounding_boxes, np.float64).reshape(-1, 4)
    used = ~inverted(boxes)
    hidden = np.asarray(item.is_masked or [False] * len(boxes), bool)
    times, first = np.unique(np.asarray(item.timestamps, np.float64)[used] / MICROSECONDS, return_index=True)
    return Track(item.id, item.label, times, boxes[used][first], hidden[used][first], bool(item.is_occluder))


def _point(item: annotation.AnnotatedPoint, rate: float) -> PointTrack:
    """Convert a point track: frame numbers to seconds, (y, x) to (x, y); sorted, without duplicate times."""
    times, first = np.unique(np.asarray(item.frame_ids, np.float64) / rate, return_index=True)
    y, x = (np.asarray(coordinates, np.float64) for coordinates in item.points)
    return PointTrack(item.id, item.label, times, np.stack([x, y], axis=1)[first], _annotated(item.parent_objects))


def _segments(kind: SegmentKind, items: Iterable[annotation.TimedSegment]) -> Iterator[Segment]:
    """Yield the segments; those without length are dropped."""
    for item in items:
        start, end = (time / MICROSECONDS for time in item.timestamps)
        if end != start:
            yield Segment(kind, item.label, start, end, _annotated(item.parent_objects), item.is_visible)


def _annotated(parents: Iterable[int]) -> tuple[int, ...]:
    """Parents without -1, which stands for "not annotated"."""
    return tuple(parent for parent in parents if parent >= 0)


def _until(cut: float | None, evidence: Iterable[Evidence]) -> Iterator[Evidence]:
    """Yield the evidence before the cut, shortened to end there."""
    for item in evidence:
        if cut is None:
            yield item
        elif item.start < cut:
            yield replace(item, end=min(item.end, cut))


def _counterfactuals(folder: Path, items: Iterable[annotation.CounterfactualFile]) -> Iterator[Counterfactual]:
    for item in items:
        end = float("inf") if item.end is None else item.end
        yield Counterfactual(folder / item.video, item.kind, item.track, item.start, end)
