"""Do the values add up to the score change that the method reports?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import GATE
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

PROMISE = ("score_change", "completeness_error")  # reported by methods whose values add up to f(x) - f(baseline)
LEAST = 0.01  # nats; an error relative to less is rounding


@dataclass(frozen=True)
class Completeness(Metric):
    r"""|sum of the values - (f(x) - f(baseline))| / |f(x) - f(baseline)|, for methods that promise it; 0 is best.

    The method reports f(x) - f(baseline) for its own baseline. There is no chance level. Undefined for other methods,
    for a volume of zeros, and where the answer changes by less than 0.01 nats.

    $$\frac{\left| \sum_i M_i - (f(x) - f(x')) \right|}{\left| f(x) - f(x') \right|}$$
    """

    direction: ClassVar[Direction] = "low"
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    chance_level: ClassVar[str] = "none: a map that knows nothing promises no sum"
    reference: ClassVar[str] = "Sundararajan et al. 2017, arXiv 1703.01365, proposition 1"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            change = promised(volume)
        except UndefinedError as case:
            return Score.undefined(str(case))
        error = abs(total(volume.values, subject.grid.frames_per_step) - change) / abs(change)
        return Score(error, vision=change > GATE)


def promised(volume: SaliencyVolume) -> float:
    """Return the reported f(x) - f(baseline) in nats. Raises UndefinedError if the method promises no sum."""
    reports = volume.provenance.reports
    if any(name not in reports for name in PROMISE):
        raise UndefinedError("the method does not promise that its values add up to a change of the answer")
    if not volume.values.any():
        raise UndefinedError("the saliency is zero everywhere")
    if not abs(reports[PROMISE[0]]) >= LEAST:
        raise UndefinedError(f"the answer changes by less than {LEAST} nats between the clip and the baseline")
    return reports[PROMISE[0]]


def total(values: NDArray[np.float32], frames_per_step: int) -> float:
    """Return the sum of a volume (t, h, w); counts each token step once if the method has one map per step."""
    first = values[::frames_per_step]
    if np.array_equal(first.repeat(frames_per_step, axis=0)[: len(values)], values):
        values = first
    return float(values.sum(dtype=np.float64))
