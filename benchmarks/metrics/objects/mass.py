"""Does the saliency lie on the objects that the answer rests on? How much of it, and whether in space or in time.

Cells, tubes, hidden frames and the cut are settled in `ground_truth`; the names p, g, G and a are those defined there.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, log2
from typing import ClassVar, NamedTuple, final

import numpy as np

from attrib.benchmarks.metrics.objects.ground_truth import Scene, scene
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

# Share of the saliency that is spread evenly before a logarithm is taken: a map that leaves the evidence out has -10
# bits and not no value at all, which would take the worst items out of its mean.
EVEN = 0.001
ARRAS = "Arras et al. 2022, CLEVR-XAI, arXiv 2003.07258"


@dataclass(frozen=True)
class TubeMetric(Metric):
    """Compares the saliency with the tube of the evidence tracks during their intervals.

    Undefined without visible evidence in the clip, and for saliency that is nowhere positive or the same everywhere.
    """

    direction: ClassVar[Direction] = "high"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """The value for one item."""
        try:
            return self.measure(scene(volume, subject, sample))
        except UndefinedError as case:
            return Score.undefined(str(case))

    @abstractmethod
    def measure(self, found: Scene) -> Score:
        """The value from the scored cells. Raises UndefinedError where it has none."""


@dataclass(frozen=True)
class Mass(TubeMetric):
    """Sum of p over g, in [0, 1]; chance a. The energy-based pointing game; relevance mass accuracy."""

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = "a, the share of the scored volume that the evidence covers"
    reference: ClassVar[str] = f"Wang et al. 2020, Score-CAM, arXiv 1910.01279; {ARRAS}"

    def measure(self, found: Scene) -> Score:
        """Share of the saliency on the evidence."""
        return Score(float(found.density @ found.truth), found.area)


@dataclass(frozen=True)
class Lift(TubeMetric):
    """Mass divided by the area a: how many times denser the saliency is on the evidence; >= 0, chance 1."""

    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    chance_level: ClassVar[str] = "1"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, found: Scene) -> Score:
        """Mass / a."""
        return Score(float(found.density @ found.truth) / found.area, 1.0)


class Lifts(NamedTuple):
    """log2 lift of the tube, of its frames, and of its place given the frames, in bits; the first is the others' sum.

    The tube's frames are those in which any of it lies; their lift is their share of the saliency over their share of
    the cells. Frames without ground truth hold nothing to find, so they count in that one only; a tube that lies in
    every scored frame has 0 bits there. The lift in space is that within the tube's frames.
    """

    tube: float
    time: float
    space: float


def log2_lifts(found: Scene) -> Lifts:
    """The three; they are defined wherever `scene` is."""
    density = (1 - EVEN) * found.density + EVEN / len(found.saliency)
    mass = float(density @ found.truth)
    lies = np.bincount(found.frames, found.truth)[found.frames] > 0
    mass_then, cells_then = float(density[lies].sum()), float(lies.mean())
    return Lifts(log2(mass / found.area), log2(mass_then / cells_then),
                 log2(mass / mass_then) - log2(found.area / cells_then))  # fmt: skip


@dataclass(frozen=True)
class Log2Lift(TubeMetric):
    """log2 of the lift, in bits, >= -10: the sum of `log2_lift_time` and `log2_lift_space`, see `Lifts`; chance 0."""

    bounds: ClassVar[tuple[float, float]] = (log2(EVEN), inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, found: Scene) -> Score:
        """Bits of the whole tube."""
        return Score(log2_lifts(found).tube, 0.0)


@dataclass(frozen=True)
class Log2LiftTime(TubeMetric):
    """log2 lift of the frames in which evidence lies, in bits, >= -10: is it looked for when it is there? Chance 0."""

    bounds: ClassVar[tuple[float, float]] = (log2(EVEN), inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, found: Scene) -> Score:
        """Bits of the tube's frames."""
        return Score(log2_lifts(found).time, 0.0)


@dataclass(frozen=True)
class Log2LiftSpace(TubeMetric):
    """log2 lift inside the frames in which evidence lies, in bits: is the place right given the time? Chance 0."""

    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    chance_level: ClassVar[str] = "0 bits, for a uniform map"
    reference: ClassVar[str] = f"{ARRAS}, relevance mass accuracy, over the area"

    def measure(self, found: Scene) -> Score:
        """Bits of the tube's place, given its frames."""
        return Score(log2_lifts(found).space, 0.0)
