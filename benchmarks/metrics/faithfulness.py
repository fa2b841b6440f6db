"""Does the answer change when salient cells are removed? Metrics computed from a volume's perturbation curves."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np

from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import Curves, Of, chance_curves, curves, needs_video
from attrib.imputer import Imputer
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)  # of the cells, for comprehensiveness and sufficiency
NOT_FINITE = "the model's answer to a perturbed clip is not finite"


@dataclass(frozen=True)
class CurveMetric(Metric):
    """Base of metrics of the perturbation curves, `of` the log-odds in nats or p(option) in [0, 1].

    `imputer` decides what removed cells show. Undefined for a volume that is zero or the same everywhere, and where the
    model's answer is not finite.
    """

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    chance_level: ClassVar[str] = "the value of one seeded random order of the same cells"
    needs: ClassVar[frozenset[Need]] = frozenset({"model"})

    imputer: Imputer = field(default=Blur())
    of: Of = "log_odds"

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item; all metrics of one imputer share the same evaluations."""
        try:
            value = self.read(curves(volume, subject, self.imputer))
        except UndefinedError as case:
            return Score.undefined(str(case))
        if not np.isfinite(value):
            return Score.undefined(NOT_FINITE)
        return Score(value, self.chance(subject), vision=needs_video(subject, self.imputer))

    @abstractmethod
    def read(self, curves: Curves) -> float:
        """Return the value from the volume's curves."""

    def chance(self, subject: Subject) -> float:
        """Return the value of one seeded random order of this item's cells."""
        return self.read(chance_curves(subject, self.imputer))


@dataclass(frozen=True)
class SRG(CurveMetric):
    r"""Symmetric relevance gain: AUC with the least salient removed first minus AUC with the most salient first.

    Both curves use the same order, one reversed. Unbounded in nats, in [-1, 1] for p(option); chance 0.

    $$\int_0^1 f(x_{\setminus \mathrm{least}(q)}) \, dq - \int_0^1 f(x_{\setminus \mathrm{top}(q)}) \, dq$$
    """

    direction: ClassVar[Direction] = "high"
    chance_level: ClassVar[str] = "0: a random order and its reverse are the same distribution"
    reference: ClassVar[str] = "Bluecher et al. 2024, arXiv 2401.06654"
    primary: ClassVar[bool] = True

    def read(self, curves: Curves) -> float:
        """Return the area between the two removal curves."""
        return curves.least_first.auc(self.of) - curves.most_first.auc(self.of)

    def chance(self, subject: Subject) -> float:
        """Return exactly 0."""
        return 0.0


@dataclass(frozen=True)
class Deletion(CurveMetric):
    r"""AUC of the answer while the most salient cells are removed first; low is good.

    $$\int_0^1 f(x_{\setminus \mathrm{top}(q)}) \, dq$$
    """

    direction: ClassVar[Direction] = "low"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv 1806.07421"

    def read(self, curves: Curves) -> float:
        """Return the area under the removal curve."""
        return curves.most_first.auc(self.of)


@dataclass(frozen=True)
class Insertion(CurveMetric):
    r"""AUC of the answer while the most salient cells are inserted first into the fully removed video; high is good.

    $$\int_0^1 f(x_{\mathrm{top}(q)}) \, dq$$
    """

    direction: ClassVar[Direction] = "high"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv 1806.07421"

    def read(self, curves: Curves) -> float:
        """Return the area under the insertion curve."""
        return curves.insertion.auc(self.of)


@dataclass(frozen=True)
class Comprehensiveness(CurveMetric):
    r"""Mean drop of the answer without the top 1, 5, 10, 20 and 50 % of the cells; high is good.

    A share that rounds to no cell counts as no drop.

    $$\frac{1}{5} \sum_q \left[ f(x) - f(x_{\setminus \mathrm{top}(q)}) \right]$$
    """

    direction: ClassVar[Direction] = "high"
    reference: ClassVar[str] = "DeYoung et al. 2020, arXiv 1911.03429"

    def read(self, curves: Curves) -> float:
        """Return the mean of f(x) - f(x without the top k)."""
        curve = curves.most_first
        return float(np.mean([curve.at(0, self.of) - curve.at(share, self.of) for share in SHARES]))


@dataclass(frozen=True)
class Sufficiency(CurveMetric):
    r"""Mean drop of the answer when only the top 1, 5, 10, 20 and 50 % of the cells are kept; low is good.

    A share that rounds to no cell counts as the fully removed video.

    $$\frac{1}{5} \sum_q \left[ f(x) - f(x_{\mathrm{top}(q)}) \right]$$
    """

    direction: ClassVar[Direction] = "low"
    reference: ClassVar[str] = "DeYoung et al. 2020, arXiv 1911.03429"

    def read(self, curves: Curves) -> float:
        """Return the mean of f(x) - f(only the top k)."""
        curve = curves.insertion
        return float(np.mean([curve.at(1, self.of) - curve.at(share, self.of) for share in SHARES]))
