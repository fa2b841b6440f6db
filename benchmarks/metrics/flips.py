"""Does the model choose another option when salient cells are removed?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import Order, cells_of, needs_video, saliency_order, without
from attrib.benchmarks.perturb.evaluator import answers
from attrib.imputer import Imputer
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

SHARE = 0.1  # of the cells


@dataclass(frozen=True)
class FlipRate(Metric):
    r"""1 where the model chooses another option without the top 10 % of the cells, else 0; its mean is the rate.

    Undefined for a volume that is zero or the same everywhere, for a free answer, for a clip with too few cells for
    10 % of them, and where the model's answer is not finite.

    $$\left[ \mathrm{argmax}_o p_o(x_{\setminus \mathrm{top}(0.1)}) \neq \mathrm{argmax}_o p_o(x) \right]$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = "the rate without a seeded random 10 % of the cells, none of them among the top 10 %"
    reference: ClassVar[str] = "Serrano and Smith 2019, arXiv 1906.03731 (decision flips)"
    needs: ClassVar[frozenset[Need]] = frozenset({"model"})

    imputer: Imputer = field(default=Blur())

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item; its chance is the value for the random cells."""
        try:
            if not subject.question.options:
                raise UndefinedError("a free answer is not one of several options")
            order = saliency_order(volume, subject)
            count = cells_of(SHARE, len(order))
            if not count:
                raise UndefinedError(f"10 % of {len(order)} cells are none")
        except UndefinedError as case:
            return Score.undefined(str(case))
        versions = (order[:count], random_others(order, count, subject.seed))
        removed = np.stack([without(cells, subject) for cells in versions])
        logprobs = answers(subject, self.imputer, removed)
        if not logprobs.isfinite().all():
            return Score.undefined("the model's answer to a perturbed clip is not finite")
        flipped, chance = (logprobs.argmax(dim=1) != subject.predicted).double().tolist()
        return Score(flipped, chance, vision=needs_video(subject, self.imputer))


def random_others(order: Order, count: int, seed: int) -> Order:
    """Return `count` seeded random cells, none of them among the first `count`."""
    return np.random.default_rng([seed, 2]).permutation(np.sort(order[count:]))[:count]
