"""Does the answer change when the salient cells go? Curves of the log-odds while cells are removed or put back."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from attrib.benchmarks.cells import UndefinedError
from attrib.benchmarks.perturbation import Curves, Imputer, chance_curves, curves
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample


@dataclass(frozen=True)
class CurveMetric(Metric):
    """A number read from the perturbation curves. `imputer` says what removed cells show.

    Undefined for a volume that is zero or the same everywhere, and where the model's answer is not finite.
    """

    imputer: Imputer = "blur"

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item, in nats of log-odds; all metrics of one imputer share the same evaluations."""
        try:
            value = self.read(curves(volume, subject, self.imputer))
        except UndefinedError as case:
            return Score.undefined(str(case))
        if not np.isfinite(value):
            return Score.undefined("the model's answer to a perturbed clip is not finite")
        return Score(value, self.chance(subject))

    @abstractmethod
    def read(self, found: Curves) -> float:
        """The value from the volume's curves."""

    def chance(self, subject: Subject) -> float:
        """The value of one seeded random order of this item's cells."""
        return self.read(chance_curves(subject, self.imputer))


@dataclass(frozen=True)
class SRG(CurveMetric):
    """Symmetric relevance gain: AUC with the least salient removed first minus AUC with the most salient first.

    The same order reversed; in nats, unbounded, chance 0 (Bluecher et al. 2024, arXiv 2401.06654).
    """

    direction: ClassVar[Direction] = "high"

    def read(self, found: Curves) -> float:
        """Area between the two removal curves."""
        return found.least_first.auc() - found.most_first.auc()

    def chance(self, subject: Subject) -> float:
        """Exactly 0: a random order and its reverse are the same distribution."""
        return 0.0


@dataclass(frozen=True)
class Deletion(CurveMetric):
    """AUC of the log-odds while the most salient cells are removed first (Petsiuk et al. 2018); nats, low is good."""

    direction: ClassVar[Direction] = "low"

    def read(self, found: Curves) -> float:
        """Area under the removal curve."""
        return found.most_first.auc()


@dataclass(frozen=True)
class Insertion(CurveMetric):
    """AUC of the log-odds while the most salient cells are put first into the fully removed video; nats, high is good.

    Petsiuk et al. 2018.
    """

    direction: ClassVar[Direction] = "high"

    def read(self, found: Curves) -> float:
        """Area under the insertion curve."""
        return found.insertion.auc()
