"""A metric: volume, subject and sample in, number out, with its direction and its chance level.

A contrast metric takes two volumes: one method's for two targets.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

Direction = Literal["high", "low"]
NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """A value and the level that chance reaches on this very item; NaN always comes with its reason.

    `vision` says whether the answer needs the video at all, where the metric knows: whether the score falls by more
    than a stated amount when everything is removed.
    """

    value: float
    chance: float = NAN
    reason: str = ""
    vision: bool | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value) != bool(self.reason):
            raise ValueError(f"a score is NaN exactly when it gives a reason, got {self.value} and {self.reason!r}")

    @staticmethod
    def undefined(reason: str) -> Score:
        """No value: why it has none."""
        return Score(NAN, NAN, reason)


class Stated:
    """Declarations of every metric class."""

    direction: ClassVar[Direction]  # which way is better
    bounds: ClassVar[tuple[float, float]]  # least and largest value that there can be, infinite where there is none
    chance_level: ClassVar[str]  # what a map that knows nothing reaches, in words; each score gives its number
    reference: ClassVar[str]  # the paper
    needs: ClassVar[frozenset[Need]]  # without which it is undefined or cannot run
    primary: ClassVar[bool] = False  # in the family of tests that Holm corrects


@dataclass(frozen=True)
class Metric(ABC, Stated):
    """Measures one volume. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item. Undefined cases give NaN with a reason, never a hit and never an exception."""


@dataclass(frozen=True)
class ContrastMetric(ABC, Stated):
    """Measures how a volume changes with what is explained. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def score(self, volume: SaliencyVolume, other: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item; `other` is the same method's volume for `subject.towards(subject.rival)`.

        Undefined cases give NaN with a reason, never a hit and never an exception.
        """
