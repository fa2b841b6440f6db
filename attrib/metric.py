"""Base classes of metrics: volume, subject and sample in, number out, with direction and chance level.

A contrast metric takes two volumes: one method's for two targets. A remaking metric computes further volumes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

Direction = Literal["high", "low"]
Remake = Callable[[Subject], SaliencyVolume]
NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """Value and chance level on this item; NaN always comes with a reason.

    `vision`: whether the answer needs the video at all, None if the metric cannot tell. It does if the score falls by
    more than a fixed amount when the whole video is removed.
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
        """Score without a value, for this reason."""
        return Score(NAN, NAN, reason)


class Stated:
    """Declarations of every metric class."""

    direction: ClassVar[Direction]  # which way is better
    bounds: ClassVar[tuple[float, float]]  # smallest and largest possible value; infinite if unbounded
    chance_level: ClassVar[str]  # level of an uninformative map, in words; each score has its number
    reference: ClassVar[str]  # the paper
    needs: ClassVar[frozenset[Need]]  # annotation that the metric requires
    primary: ClassVar[bool] = False  # in the family of tests that Holm corrects
    ratio: ClassVar[bool] = False  # to chance, 0 or more: differences are tested on its logarithm
    corrected: ClassVar[bool] = False  # shown beside its re-paired twin, LABEL_corrected, where nulls are computed


@dataclass(frozen=True)
class Metric(ABC, Stated):
    """Measures one volume. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Score of one item. Undefined cases give NaN with a reason, never a hit and never an exception."""


@dataclass(frozen=True)
class ContrastMetric(ABC, Stated):
    """Measures how a volume changes with what is explained. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def score(self, volume: SaliencyVolume, other: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Score of one item; `other` is the same method's volume for `subject.towards(subject.rival)`.

        Undefined cases give NaN with a reason, never a hit and never an exception.
        """


@dataclass(frozen=True)
class RemakingMetric(ABC, Stated):
    """Measures how a volume changes when it is computed again. Fields of the frozen subclass are its parameters."""

    @abstractmethod
    def score(self, volume: SaliencyVolume, remake: Remake, subject: Subject, sample: Sample) -> Score:
        """Score of one item; `remake` computes the same method's volume of a changed subject.

        Undefined cases give NaN with a reason, never a hit and never an exception.
        """


AnyMetric = Metric | ContrastMetric | RemakingMetric
