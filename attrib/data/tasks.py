"""The tasks of a data set: a task is one question's text and all the videos that it is asked of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from attrib.data import annotation as given
from attrib.data.layout import Layout
from attrib.data.perception_test import videos


@dataclass
class Task:
    """One question's text with the numbers of its videos, of questions, and of what is annotated on these videos."""

    text: str
    videos: int = 0
    questions: int = 0
    annotated: Counter[str] = field(default_factory=Counter)  # tracks, boxes, points, actions, sounds
    areas: Counter[str] = field(default_factory=Counter)
    reasonings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Tasks:
    """All tasks of a split, the one with most videos first; `videos` counts those without a question too."""

    layout: Layout
    tasks: tuple[Task, ...]
    videos: int
    without_question: int

    @property
    def questions(self) -> int:
        """Number of questions of all tasks."""
        return sum(task.questions for task in self.tasks)


def tasks(root: str, split: str) -> Tasks:
    """Count them, one video in memory at a time. Raises InputError for what is not of the layout."""
    layout = Layout.of(root, split)
    found: dict[str, Task] = {}
    total, empty = 0, 0
    for _, video in videos(layout):
        total += 1
        empty += not video.mc_question
        own, asked = counts(video), set()
        for item in video.mc_question:
            task = found.setdefault(item.question, Task(item.question))
            task.questions += 1
            task.areas[item.area] += 1
            task.reasonings[item.reasoning] += 1
            if item.question not in asked:
                asked.add(item.question)
                task.videos += 1
                task.annotated += own
    ordered = sorted(found.values(), key=lambda task: (-task.videos, -task.questions, task.text))
    return Tasks(layout, tuple(ordered), total, empty)


def counts(video: given.Video) -> Counter[str]:
    """Count the annotation of one video, by kind."""
    return Counter({
        "tracks": len(video.object_tracking),
        "boxes": sum(len(track.bounding_boxes) for track in video.object_tracking),
        "point tracks": len(video.point_tracking),
        "points": sum(len(point.frame_ids) for point in video.point_tracking),
        "actions": len(video.action_localisation),
        "sounds": len(video.sound_localisation),
    })  # fmt: skip
