"""Distance of the map to what the method gives with far more gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attrib.benchmarks.metrics.completeness import promised
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

REPORT = "reference_error"  # of methods that compare their map with a densely sampled one


@dataclass(frozen=True)
class ReferenceDistance(Metric):
    r"""L2 distance of the map to a densely sampled reference over the reference's norm, as the method reports it.

    0 is best, a map of zeros would have 1. `integrated_gradients` reports it for the share of the samples that its
    parameter `checked` selects. There is no chance level. Undefined for other samples and methods, and where
    `completeness` is.

    $$\frac{|M - M^*|_2}{|M^*|_2}$$
    """

    direction: ClassVar[Direction] = "low"
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    chance_level: ClassVar[str] = "none: a map that knows nothing has no reference"
    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            promised(volume)
        except UndefinedError as case:
            return Score.undefined(str(case))
        error = volume.provenance.reports.get(REPORT)
        if error is None:
            return Score.undefined("the method has not compared this sample's map with a reference")
        return Score(error)
