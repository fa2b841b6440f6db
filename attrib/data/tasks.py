"""Tasks of a data set; a task is a question text with all videos that it is asked about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from attrib.data import annotation
from attrib.data.layout import SplitFiles
from attrib.data.perception_test import videos


@dataclass
class Task:
    """Question text with the numbers of its videos, its questions and the annotations on these videos."""

    text: str
    videos: int = 0
    questions: int = 0
    annotated: Counter[str] = field(default_factory=Counter)  # tracks, boxes, points, actions, sounds
    areas: Counter[str] = field(default_factory=Counter)
    reasonings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Tasks:
    """Tasks of a split, most videos first; `videos` includes videos without a question."""

    layout: SplitFiles
    tasks: tuple[Task, ...]
    videos: int
    without_question: int

    @property
    def questions(self) -> int:
        """Number of questions of all tasks."""
        return sum(task.questions for task in self.tasks)


def tasks(root: str, split: str) -> Tasks:
    """Count the tasks of a split, one video in memory at a time. Raises InputError for malformed annotations."""
    layout = SplitFiles.of(root, split)
    by_text: dict[str, Task] = {}
    total, empty = 0, 0
    for _, video in videos(layout):
        total += 1
        empty += not video.mc_question
        annotated, questions = counts(video), set()
        for item in video.mc_question:
            task = by_text.setdefault(item.question, Task(item.question))
            task.questions += 1
            task.areas[item.area] += 1
            task.reasonings[item.reasoning] += 1
            if item.question not in questions:
                questions.add(item.question)
                task.videos += 1
                task.annotated += annotated
    ordered = sorted(by_text.values(), key=lambda task: (-task.videos, -task.questions, task.text))
    return Tasks(layout, tuple(ordered), total, empty)


def counts(video: annotation.Video) -> Counter[str]:
    """Count the annotation of one video, by kind."""
    return Counter({
        "tracks": len(video.object_tracking),
        "boxes": sum(len(track.bounding_boxes) for track in video.object_tracking),
        "point tracks": len(video.point_tracking),
        "points": sum(len(point.frame_ids) for point in video.point_tracking),
        "actions": len(video.action_localisation),
        "sounds": len(video.sound_localisation),
    })  # fmt: skip
