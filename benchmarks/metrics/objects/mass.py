"""Mass of the saliency on the objects that the answer depends on, in space and in time.

`ground_truth` defines cells, tubes, hidden frames, the cut, and the names p, g, G and a.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, log2
from typing import ClassVar, NamedTuple, final

import numpy as np

from attrib.benchmarks.metrics.objects.ground_truth import ObjectTruth, scene
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

# Share of the saliency that is spread evenly before a logarithm: a map that misses the evidence has -10 bits instead of
# no value, which would exclude the worst items from its mean.
EVEN = 0.001
ARRAS = "Arras et al. 2022, CLEVR-XAI, arXiv 2003.07258"


@dataclass(frozen=True)
class TubeMetric(Metric):
    """Compares the saliency with the tube of the evidence tracks during their intervals.

    Undefined without visible evidence in the clip or where it fills every scored cell, and for saliency that is nowhere
    positive or the same everywhere.
    """

    direction: ClassVar[Direction] = "high"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            return self.measure(scene(volume, subject, sample))
        except UndefinedError as case:
            return Score.undefined(str(case))

    @abstractmethod
    def measure(self, scene: ObjectTruth) -> Score:
        """Return the score from the scored cells. Raises UndefinedError where it has none."""


@dataclass(frozen=True)
class Mass(TubeMetric):
    r"""Sum of p over g, in [0, 1]; chance a. The energy-based pointing game; relevance mass accuracy.

    $$\sum_i p_i g_i$$
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = "a, the share of the scored volume that the evidence covers"
    reference: ClassVar[str] = f"Wang et al. 2020, Score-CAM, arXiv 1910.01279; {ARRAS}"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the share of the saliency on the evidence."""
        return Score(float(scene.density @ scene.truth), scene.area)


@dataclass(frozen=True)
class Lift(TubeMetric):
    r"""Mass divided by the area a: how many times denser the saliency is on the evidence; >= 0, chance 1.

    $$\frac{1}{a} \sum_i p_i g_i$$
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    chance_level: ClassVar[str] = "1"
    ratio: ClassVar[bool] = True
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return mass / a."""
        return Score(float(scene.density @ scene.truth) / scene.area, 1.0)


class Lifts(NamedTuple):
    """log2 lift in bits of the tube, of its frames, and of its position within them; the first is the others' sum.

    The tube's frames are those with any of its cells; their lift is their share of the saliency over their share of the
    cells. Frames without ground truth count in this lift only; a tube in every scored frame has a lift of 0 bits in
    time. The lift in space is computed within the tube's frames.
    """

    tube: float
    time: float
    space: float


def log2_lifts(scene: ObjectTruth) -> Lifts:
    """Return the three lifts; they are defined wherever `scene` is."""
    density = (1 - EVEN) * scene.density + EVEN / len(scene.saliency)
    mass = float(density @ scene.truth)
    in_frames = np.bincount(scene.frames, scene.truth)[scene.frames] > 0
    mass_then, cells_then = float(density[in_frames].sum()), float(in_frames.mean())
    return Lifts(log2(mass / scene.area), log2(mass_then / cells_then),
                 log2(mass / mass_then) - log2(scene.area / cells_then))  # fmt: skip


@dataclass(frozen=True)
class Log2Lift(TubeMetric):
    r"""log2 of the lift, in bits, >= -10: the sum of `log2_lift_time` and `log2_lift_space`, see `Lifts`; chance 0.

    $$\log_2 \frac{\sum_i \tilde{p}_i g_i}{a}, \quad \tilde{p}_i = 0.999 p_i + \frac{0.001}{n}$$
    """

    bounds: ClassVar[tuple[float, float]] = (log2(EVEN), inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the bits of the whole tube."""
        return Score(log2_lifts(scene).tube, 0.0)


@dataclass(frozen=True)
class Log2LiftTime(TubeMetric):
    r"""log2 lift of the frames with evidence, in bits, >= -10: is the time right? Chance 0.

    $$\log_2 \frac{\sum_{i \in T} \tilde{p}_i}{|T| / n}, \quad \tilde{p}_i = 0.999 p_i + \frac{0.001}{n}$$
    """

    bounds: ClassVar[tuple[float, float]] = (log2(EVEN), inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the bits of the tube's frames."""
        return Score(log2_lifts(scene).time, 0.0)


@dataclass(frozen=True)
class Log2LiftSpace(TubeMetric):
    r"""log2 lift within the frames with evidence, in bits: is the position right given the time? Chance 0.

    $$\log_2 \frac{\sum_i \tilde{p}_i g_i}{\sum_{i \in T} \tilde{p}_i} - \log_2 \frac{a}{|T| / n}, \quad
    \tilde{p}_i = 0.999 p_i + \frac{0.001}{n}$$
    """

    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the bits of the tube's position, given its frames."""
        return Score(log2_lifts(scene).space, 0.0)
