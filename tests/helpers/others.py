"""Samples of several videos for the linear model, and subjects that have the other videos as peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attrib.metric import Score
from attrib.subject import Subject
from attrib.types import Sample, Track

from linear import blank, sample_of


def video_of(name: str, *tracks: Track, **sample: Any) -> Sample:
    """Sample like `sample_of`, on a video of its own."""
    return replace(sample_of(*tracks, **sample), id=f"{name}_0", video=Path(f"{name}.mp4"))


def among(subject: Subject, *peers: Sample) -> Subject:
    """Copy of the subject with `peers` as the samples of the other videos."""
    return replace(subject, peers=peers)


def subjects_of(videos: Sequence[Sample], frames: int, side: int) -> list[Subject]:
    """Subjects, one per video, with the other videos as peers."""
    return [
        replace(blank(frames, side, side), sample=own, peers=tuple(each for each in videos if each is not own))
        for own in videos
    ]


class Near:
    """Value that equals any score with this value and chance, up to rounding."""

    def __init__(self, value: float, chance: float) -> None:
        self.numbers = value, chance

    def __repr__(self) -> str:
        return f"Near{self.numbers}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Score) and (other.value, other.chance) == pytest.approx(self.numbers)

    __hash__ = None  # type: ignore[assignment]
