"""All that belongs to one question on one video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attrib.types.annotation import Counterfactual, Evidence, PointTrack, Segment, Track
from attrib.types.question import Question


@dataclass(frozen=True)
class Sample:
    """All that belongs to one question on one video. `task` groups the videos that the same question is asked of.

    `rule` says in a word how the evidence was found; area, reasoning and tags are the question's, as annotated; points
    are the video's point tracks.
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

    @property
    def video_id(self) -> str:
        """The video's name without its folder and ending: the unit of every statistic."""
        return self.video.stem

    @property
    def evidence_tracks(self) -> frozenset[int]:
        """Ids of the tracks that the answer rests on."""
        return frozenset(item.track for item in self.evidence if item.role != "context")
