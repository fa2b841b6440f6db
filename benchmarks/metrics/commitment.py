"""Does a map commit itself to few cells? Says nothing about whether they are the right ones."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy

from attrib.benchmarks.perturb.cells import UndefinedError, on_tokens, require_contrast
from attrib.metric import NAN, Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

FloatArray = NDArray[np.float64]
NO_CHANCE = "none: a map that knows nothing may commit itself to any degree"


@dataclass(frozen=True)
class CommitmentMetric(Metric):
    """Describes p, the positive saliency of the token grid's cells over its sum, whatever is annotated.

    There is no chance level. Undefined for saliency that is nowhere positive or the same everywhere.
    """

    chance_level: ClassVar[str] = NO_CHANCE
    needs: ClassVar[frozenset[Need]] = frozenset()

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            positive = np.maximum(on_tokens(volume, subject), 0).ravel()
            if not positive.any():
                raise UndefinedError("no positive saliency")
            require_contrast(positive)
        except UndefinedError as case:
            return Score.undefined(str(case))
        return Score(self.measure(positive / positive.sum()), NAN)

    @abstractmethod
    def measure(self, p: FloatArray) -> float:
        """Return the value of p (n,), which sums to 1."""


@dataclass(frozen=True)
class Sparseness(CommitmentMetric):
    r"""Gini index of p: 0 for equal cells, (n - 1) / n for a single one; high means committed, not right.

    $$1 - 2 \sum_{k=1}^{n} p_{(k)} \frac{n - k + 1/2}{n}$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    reference: ClassVar[str] = "Chalasani et al. 2020, arXiv 1810.06583; Hurley and Rickard 2009, arXiv 0811.4706"

    def measure(self, p: FloatArray) -> float:
        """Return 1 - 2 sum_k p_(k) (n - k + 1/2) / n over the ascending p_(k), k from 1."""
        ranks = np.arange(len(p), 0, -1) - 0.5
        return max(0.0, 1 - 2 * float(np.sort(p) @ ranks) / len(p))


@dataclass(frozen=True)
class Entropy(CommitmentMetric):
    r"""Shannon entropy of p in nats, from 0 for a single cell to log n for equal ones; low means committed, not right.

    Maps are comparable on clips of the same number of cells n.

    $$-\sum_i p_i \log p_i$$
    """

    direction: ClassVar[Direction] = "low"
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    reference: ClassVar[str] = "Bhatt et al. 2020, arXiv 2005.00631 (complexity)"

    def measure(self, p: FloatArray) -> float:
        """Return - sum p log p."""
        return float(entropy(p))
