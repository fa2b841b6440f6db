"""Do a set's values add up to the drop of the answer without it? Over random sets, the same for all volumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.perturb.cells import TOLERANCE, UndefinedError, cell_values, require_contrast
from attrib.benchmarks.perturb.curves import needs_video
from attrib.benchmarks.perturb.evaluator import answers, cell_shape
from attrib.imputer import BoolArray, Imputer
from attrib.method import require_at_least
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

FloatArray = NDArray[np.float64]
SHUFFLES = 100  # of the values, for the chance level


@dataclass(frozen=True)
class Infidelity(Metric):
    r"""1 - max(a . b, 0)^2 / (|a|^2 |b|^2) with a = I . phi and b = f(x) - f(x - I) over sets I, in [0, 1]; 0 is best.

    phi are the signed values of the cells, I are `subsets` random sets of cells, of any size. The sets' sizes are
    regressed out of a and b, without an intercept: otherwise any map would be rewarded for knowing that larger sets
    cost more. The value is therefore the same for a constant added to the map and for any positive multiple of it; an
    inverted map scores 1. Undefined for a volume that is zero or the same everywhere, where the sets change the answer
    by their size alone, or where an answer is not finite.

    $$1 - \frac{\max(a \cdot b, 0)^2}{|a|^2 |b|^2}$$
    """

    direction: ClassVar[Direction] = "low"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = "the mean over 100 seeded shuffles of the volume's own values among the cells"
    reference: ClassVar[str] = "Yeh et al. 2019, arXiv 1901.09392, definition 2.1, made free of scale, sign and offset"
    needs: ClassVar[frozenset[Need]] = frozenset({"model"})

    imputer: Imputer = field(default=Blur())
    subsets: int = 64  # random sets of cells

    def __post_init__(self) -> None:
        require_at_least("subsets", self.subsets, 2)

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item; the sets are evaluated once for all volumes of the subject."""
        _, rows, columns = cell_shape(subject)
        values = cell_values(volume, subject, rows, columns).ravel()
        try:
            require_contrast(values)
            drops = self.drops(subject)
        except UndefinedError as case:
            return Score.undefined(str(case))
        rng = np.random.default_rng([subject.seed, 4])
        shuffled = rng.permuted(np.tile(values, (SHUFFLES, 1)), axis=1)
        sets = self.sets(subject).reshape(self.subsets, -1).astype(np.float64)
        sizes = sets.sum(axis=1)
        sums, drops = (without_sizes(each, sizes) for each in (sets @ np.column_stack([values, *shuffled]), drops))
        for each, what in ((sums[:, 0], "the map's sum over a set depends"), (drops, "the answer's change depends")):
            if not each.any():
                return Score.undefined(f"{what} on the set's size alone")
        value, *others = residuals(sums, drops)
        return Score(float(value), float(np.mean(others)), vision=needs_video(subject, self.imputer))

    def sets(self, subject: Subject) -> BoolArray:
        """Return seeded random sets of cells (m, t, rows, columns); sizes 1 to all but one are equally likely."""
        shape = cell_shape(subject)
        rng, cells = np.random.default_rng([subject.seed, 3]), int(np.prod(shape))
        sizes = rng.integers(1, max(2, cells), size=self.subsets)
        ranks = rng.permuted(np.tile(np.arange(cells), (self.subsets, 1)), axis=1)
        return (ranks < sizes[:, None]).reshape(self.subsets, *shape)

    def drops(self, subject: Subject) -> FloatArray:
        """Return f(x) - f(x - I) (m,) of each set, in nats."""
        without = subject.log_odds(answers(subject, self.imputer, self.sets(subject)).double())
        drops = (subject.log_odds(subject.logprobs[None].cpu().double()) - without).numpy()
        if not np.isfinite(drops).all():
            raise UndefinedError("the model's answer to a perturbed clip is not finite")
        if not drops.any():
            raise UndefinedError("no random set of cells changes the answer")
        return drops


def without_sizes(values: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return `values` (m,) or (m, k) minus the multiple of `sizes` (m,) that fits each column best; rounding is 0."""
    left = values - np.multiply.outer(sizes, sizes @ values / (sizes @ sizes)).reshape(values.shape)
    scale = np.sqrt((values**2).sum(axis=0))
    return np.where(np.sqrt((left**2).sum(axis=0)) <= TOLERANCE * scale, 0.0, left)


def residuals(sums: FloatArray, drops: FloatArray) -> FloatArray:
    """Return the share (k,) of each column's mean square in `sums` (m, k) that no beta >= 0 times `drops` (m,) fits."""
    power = (sums**2).sum(axis=0)
    fitted = np.maximum(drops @ sums, 0) ** 2
    return 1 - fitted / np.where(power > 0, power * (drops**2).sum(), 1)
