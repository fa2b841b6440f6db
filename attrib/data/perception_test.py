"""The Perception Test layout (Patraucean et al. 2023, arXiv 2305.13786): videos and annotations to samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from attrib.data import annotation as given
from attrib.data.choosing import Choice
from attrib.data.evidence import Exact, evidence_of
from attrib.data.layout import Layout
from attrib.data.stream import entries
from attrib.errors import InputError, UnknownName, shown
from attrib.runtime.parsing import complaint, read_json
from attrib.types import Counterfactual, Evidence, PointTrack, Question, Sample, Segment, SegmentKind, Track

MICROSECONDS = 1e6
_Checked = TypeVar("_Checked")
_VIDEO = TypeAdapter(given.Video)


@dataclass(frozen=True)
class PerceptionTest:
    """Samples of a directory with `videos/`, `all_{split}.json` and, where there are any, cuts, evidence and more.

    Without `all_{split}.json`, `mc_question_{split}.json` or `explorer_data.json` is read, which may map videos to
    plain lists of questions; `root` may be such a file itself. One sample per multiple-choice question, in the order of
    the file: of the questions with that text (`task`), `area`, `reasoning` and `tag`, of the videos `ids`, of the first
    `limit` videos that have one. Grounded questions have no options that a model could choose among, so they make no
    samples: they are evidence (see `evidence`), which ends at the cut. `counterfactuals_{split}.json` lists files of
    `counterfactuals/`, by video id and question id. A video that is missing is no fault here: reading it tells.
    """

    root: str
    split: Literal["train", "valid", "test"] = "valid"
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

        Raises InputError when the annotations are missing or not in this layout, with the location of the fault, and at
        the end for a selection without a match, with the nearest choice.
        """
        layout = Layout.of(self.root, self.split)
        words = {"task": self.task, "area": self.area, "reasoning": self.reasoning, "tag": self.tag}
        beside, choice, count = Beside.of(layout), Choice(words, self.ids), 0
        for video_id, found in videos(layout, choice):
            questions = choice.questions(found)
            if not questions:
                continue
            count += 1
            try:
                yield from samples(layout, video_id, found, questions, beside)
            except InputError as error:
                raise InputError(f"{layout.annotations}: {video_id}: {error}") from None
            if count == self.limit:
                return
        choice.check()

    def sample(self, video_id: str, question_id: int | None = None) -> Sample:
        """One question on one video; its id may be left out where there is only one. Raises InputError, UnknownName."""
        found = {sample.question.id: sample for sample in replace(self, ids=(video_id,), limit=None)}
        if not found:
            raise InputError(f"{video_id} has no multiple-choice question")
        if question_id is None and len(found) > 1:
            known = "; ".join(f"{id}: {sample.question.text}" for id, sample in found.items())
            raise InputError(f"{video_id} has {len(found)} questions, choose one by its id: {known}")
        if question_id is not None and question_id not in found:
            raise UnknownName(f"question of {video_id}", str(question_id), map(str, found))
        return found[next(iter(found)) if question_id is None else question_id]


def videos(layout: Layout, choice: Choice | None = None) -> Iterator[tuple[str, given.Video]]:
    """Ids and annotations, one video at a time, of those that are wanted. Raises InputError for the first fault."""
    for video_id, value in entries(layout.annotations):
        if not given.PLAIN_NAME.fullmatch(video_id):
            raise InputError(f"{layout.annotations}: video id {shown(video_id)} is not a plain file name")
        if choice is None or choice.wants(video_id):
            yield video_id, checked(_VIDEO, value, f"{layout.annotations}: {video_id}")
        if choice is not None and choice.complete:
            return


def checked(kind: TypeAdapter[_Checked], value: Any, where: str) -> _Checked:
    """The value as its kind. Raises InputError with the place of its first fault."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InputError(complaint(error, where)) from None


@dataclass(frozen=True)
class Beside:
    """Side files of a split, by video id: cuts in original frames, exact evidence, counterfactuals."""

    cuts: Mapping[str, int] = field(default_factory=dict)
    evidence: Mapping[str, Exact] = field(default_factory=dict)
    remade: Mapping[str, Mapping[str, Sequence[given.Remade]]] = field(default_factory=dict)

    @staticmethod
    def of(layout: Layout) -> Beside:
        """Read what is there. Raises InputError for what is not of this layout."""
        evidence = _optional(layout.beside("evidence"), given.EVIDENCE)
        remade = _optional(layout.beside("counterfactuals"), given.COUNTERFACTUALS)
        return Beside(_optional(layout.beside("cut_frame_mapping"), given.CUTS), evidence, remade)

    def cut(self, video_id: str, video: given.Video) -> float | None:
        """The time in seconds from which on nothing was shown; None where there is no cut."""
        frame = self.cuts.get(video_id, -1)
        return frame / video.metadata.frame_rate if frame >= 0 else None


def _optional(path: Path, kind: TypeAdapter[dict[str, _Checked]]) -> dict[str, _Checked]:
    return checked(kind, read_json(path), f"{path}:") if path.exists() else {}


def samples(
    layout: Layout, video_id: str, video: given.Video, questions: Iterable[given.MultipleChoice], beside: Beside
) -> Iterator[Sample]:
    """The samples of some questions on one video."""
    end, rate = beside.cut(video_id, video), video.metadata.frame_rate
    tracks = tuple(map(_track, video.object_tracking))
    points = tuple(_point(item, rate) for item in video.point_tracking)
    actions = tuple(_segments("action", video.action_localisation))
    segments = (*actions, *_segments("sound", video.sound_localisation))
    for item in questions:
        question = Question(item.question, tuple(item.options), item.answer_id, item.id)
        rule, evidence = evidence_of(item, video, actions, beside.evidence.get(video_id))
        listed = beside.remade.get(video_id, {}).get(str(item.id), ())
        yield Sample(
            id=f"{video_id}_{item.id}", video=layout.video(video_id), question=question, task=question.text,
            tracks=tracks, segments=segments, points=points, evidence=tuple(_until(end, evidence)), cut=end, rule=rule,
            area=item.area, reasoning=item.reasoning, tags=tuple(item.tag),
            counterfactuals=tuple(_counterfactuals(layout.folder / "counterfactuals", listed)),
        )  # fmt: skip


def _track(item: given.ObjectTrack) -> Track:
    """Times rise whatever the order of the file; of several boxes at one time the first counts."""
    times, first = np.unique(np.asarray(item.timestamps, np.float64) / MICROSECONDS, return_index=True)
    boxes = np.asarray(item.bounding_boxes, np.float64).reshape(-1, 4)
    hidden = np.asarray(item.is_masked or [False] * len(boxes), bool)
    return Track(item.id, item.label, times, boxes[first], hidden[first], bool(item.is_occluder))


def _point(item: given.PointTrack, rate: float) -> PointTrack:
    """Points have frames of the original and no times; y is stored before x. Order and doubles as with tracks."""
    times, first = np.unique(np.asarray(item.frame_ids, np.float64) / rate, return_index=True)
    y, x = (np.asarray(part, np.float64) for part in item.points)
    return PointTrack(item.id, item.label, times, np.stack([x, y], axis=1)[first], _annotated(item.parent_objects))


def _segments(kind: SegmentKind, items: Iterable[given.TimedSegment]) -> Iterator[Segment]:
    """Those that last."""
    for item in items:
        start, end = (time / MICROSECONDS for time in item.timestamps)
        if end != start:
            yield Segment(kind, item.label, start, end, _annotated(item.parent_objects), item.is_visible)


def _annotated(parents: Iterable[int]) -> tuple[int, ...]:
    """Parents but for -1, which says that none is annotated."""
    return tuple(parent for parent in parents if parent >= 0)


def _until(cut: float | None, evidence: Iterable[Evidence]) -> Iterator[Evidence]:
    """Yield the evidence before the cut, after which nothing was shown."""
    for item in evidence:
        if cut is None:
            yield item
        elif item.start < cut:
            yield replace(item, end=min(item.end, cut))


def _counterfactuals(folder: Path, items: Iterable[given.Remade]) -> Iterator[Counterfactual]:
    for item in items:
        end = float("inf") if item.end is None else item.end
        yield Counterfactual(folder / item.video, item.kind, item.track, item.start, end)
