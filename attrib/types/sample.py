"""Samples of a data set: one question on one video, with its annotation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attrib.types.annotation import Counterfactual, Evidence, PointTrack, Segment, Track
from attrib.types.question import Question


@dataclass(frozen=True)
class Sample:
    """One question on one video, with its annotation. `task` groups the videos with the same question.

    `rule` names the rule that selected the evidence; `area`, `reasoning` and `tags` are the question's, as annotated;
    `points` are the video's point tracks; `warnings` name what of the annotation is not used.
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
    warnings: tuple[str, ...] = ()

    @property
    def video_id(self) -> str:
        """File name of the video without folder and suffix: the unit of every statistic."""
        return self.video.stem

    @property
    def evidence_tracks(self) -> frozenset[int]:
        """Ids of the tracks that are evidence for the answer."""
        return frozenset(item.track for item in self.evidence if item.role != "context")
