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

Direction = Literal["high", "low"]
NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """A value and the level that chance reaches on this very item; NaN always comes with its reason."""

    value: float
    chance: float = NAN
    reason: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.value) != bool(self.reason):
            raise ValueError(f"a score is NaN exactly when it gives a reason, got {self.value} and {self.reason!r}")

    @staticmethod
    def undefined(reason: str) -> Score:
        """No value: why it has none."""
        return Score(NAN, NAN, reason)


@dataclass(frozen=True)
class Metric(ABC):
    """Measures one volume. Fields of the frozen subclass are its parameters; `direction` says which way is better."""

    direction: ClassVar[Direction]

    @abstractmethod
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item. Undefined cases give NaN with a reason, never a hit and never an exception."""


@dataclass(frozen=True)
class ContrastMetric(ABC):
    """Measures how a method's volume changes with what is explained. Fields of the frozen subclass are its parameters.

    `direction` says which way is better.
    """

    direction: ClassVar[Direction]

    @abstractmethod
    def score(self, volume: SaliencyVolume, other: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item; `other` is the same method's volume for `subject.towards(subject.rival)`.

        Undefined cases give NaN with a reason, never a hit and never an exception.
        """
