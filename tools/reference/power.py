"""Reach of so many videos: the smallest difference to a control that is seen, from the observed spread."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.permutation import POWER
from attrib.benchmarks.tables.matrix import Column
from tools.reference.scores import ReferenceRun
from tools.reference.text import heading, number
from tools.reference.text import table as lines_of


def smallest_difference(deviation: float, videos: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Difference that a two-sided test of so many videos sees with `power`: (z(1 - alpha / 2) + z(power)) sd / sqrt(n).

    The inverse of `videos_needed`, by the same normal approximation. NaN without videos.
    """
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(quantiles * deviation / math.sqrt(videos)) if videos else math.nan


class Sight(NamedTuple):
    """Medians over a column's methods of the videos and the spread of the difference to the best control.

    `alone`: the smallest difference that a single test sees, `first`: that Holm's first step sees; `undecided`: methods
    whose difference has an interval that contains 0.
    """

    videos: int
    deviation: float
    alone: float
    first: float
    undecided: int
    methods: int


def sight(one: ReferenceRun, column: Column) -> Sight:
    """Return what the run's videos can tell on a column."""
    rows, tested = one.controls(column), one.of(column)
    videos, deviation = int(rows["videos"].median()), float(rows["sd"].median())
    contains = (tested["difference_low"] <= 0) & (tested["difference_high"] >= 0)
    return Sight(
        videos, deviation, smallest_difference(deviation, videos),
        smallest_difference(deviation, videos, ALPHA / len(one.tested)), int(contains.sum()), len(tested),
    )  # fmt: skip


def sights(one: ReferenceRun) -> list[str]:
    """Table of what the run's videos can tell on each primary metric."""
    rows = []
    for column in one.columns:
        found = sight(one, column)
        numbers = map(number, (found.deviation, found.alone, found.first))
        rows.append([heading(column), str(found.videos), *numbers, f"{found.undecided} of {found.methods}"])
    return lines_of(["metric", "videos", "sd", "one test", "Holm's first", "undecided"], rows)
