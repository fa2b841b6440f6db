"""Simulate coverage of intervals and levels of tests: `python -m tools.calibrate_statistics`.

For coverage, values have a known mean, and half of their variance is between videos. For p-values there is no effect.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from attrib.benchmarks.stats.bootstrap import LEVEL, intervals
from attrib.benchmarks.stats.permutation import Pools, one_sided, repaired, sign_flip
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals

# Distributions that resemble metrics: quantile function and mean.
SHAPES: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "normal": (stats.norm.ppf, 0.0),
    "AUC": (stats.beta(4, 1.2).ppf, 4 / 5.2),  # bounded, concentrated below 1
    "mass": (stats.beta(0.8, 4).ppf, 0.8 / 4.8),  # bounded, concentrated above 0
    "hit": (lambda share: (share > 0.7).astype(np.float64), 0.3),  # pointing: 0 or 1
    "lift": (stats.lognorm(0.8).ppf, float(np.exp(0.32))),  # unbounded, long tail
}
# Differences with mean 0 that are not symmetric, which sign flips assume: random values (n,) of each.
SKEWED: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "lognormal": lambda generator, count: generator.lognormal(size=count) - np.exp(0.5),
    "exponential": lambda generator, count: generator.exponential(size=count) - 1,
    "left-skewed": lambda generator, count: 1 - generator.exponential(size=count),
    "log of lognormal": lambda generator, count: generator.normal(size=count),  # as lifts are tested
}
SKEWED_VIDEOS = (12, 24, 48)
VIDEOS, SAMPLES = (8, 12, 24, 48, 100, 300), (1, 3)
RESAMPLES = 1000
PARTNERS = 19
BLOCK = 50  # repeats that share their bootstrap draws


@dataclass(frozen=True)
class Coverage:
    """Share of the 95 % intervals that contain the true mean, for row distribution."""

    shape: str
    videos: int
    samples: int  # of each video
    covered: float
    low: float  # Wilson's 95 % interval of `covered`
    high: float


@dataclass(frozen=True)
class Uniformity:
    """Result of row test under its null: Kolmogorov-Smirnov p-value for uniformity, and how often it rejects."""

    test: str
    shape: str
    videos: int
    samples: int
    uniform: float
    at_05: tuple[float, float, float]  # share of p <= .05, with its 95 % interval
    at_01: tuple[float, float, float]


def coverage(repeats: int, seed: int) -> Iterator[Coverage]:
    """Yield the coverage for every distribution, number of videos and number of samples per video."""
    for shape, videos, samples in product(SHAPES, VIDEOS, SAMPLES):
        generator = np.random.default_rng([seed, *shape.encode(), videos, samples])
        names = np.repeat(np.arange(videos), samples).tolist()
        hits: list[bool] = []
        for block in range(0, repeats, BLOCK):
            size = (videos, samples, min(BLOCK, repeats - block))
            values = totals(simulated(shape, size, generator).reshape(videos * samples, -1), names)
            estimates = intervals(values, Resampling(RESAMPLES, block), LEVEL)
            hits += [interval.low <= SHAPES[shape][1] <= interval.high for interval in estimates]
        yield Coverage(shape, videos, samples, *_share(hits))


def simulated(shape: str, size: tuple[int, int, int], generator: np.random.Generator) -> Floats:
    """Random values (videos, samples, repeats) of a distribution; half of their variance is between videos."""
    videos, _, repeats = size
    normal = np.sqrt(0.5) * (generator.normal(size=(videos, 1, repeats)) + generator.normal(size=size))
    return np.asarray(SHAPES[shape][0](stats.norm.cdf(normal)), np.float64)


def uniformity(repeats: int, seed: int) -> Iterator[Uniformity]:
    """Run both permutation tests on data without any effect."""
    tests: dict[str, Callable[..., float]] = {"against a control": _against_control, "re-paired": _re_paired}
    for (test, run), shape, videos, samples in product(tests.items(), ("normal", "AUC", "mass"), (12, 24), SAMPLES):
        generator = np.random.default_rng([seed, *test.encode(), *shape.encode(), videos, samples])
        p = np.array([run(shape, (videos, samples), generator) for _ in range(repeats)])
        # p takes the values 1 / (1 + B), ..., 1: spread over each step, or the test would see the steps.
        smooth = p - generator.random(repeats) / (1 + RESAMPLES)
        uniform = float(stats.kstest(smooth, "uniform").pvalue)
        yield Uniformity(test, shape, videos, samples, uniform, _share(p <= 0.05), _share(p <= 0.01))


def skewed(repeats: int, seed: int) -> Iterator[Uniformity]:
    """Run both sign-flip tests on differences whose mean is 0 and whose distribution is skewed."""
    tests = {"two-sided": sign_flip, "one-sided": one_sided}
    for (test, run), shape, videos in product(tests.items(), SKEWED, SKEWED_VIDEOS):
        generator = np.random.default_rng([seed, *test.encode(), *shape.encode(), videos])
        p = np.empty(repeats)
        for index in range(repeats):
            differences = totals(SKEWED[shape](generator, videos)[:, None], list(range(videos)))
            p[index] = run(differences, Resampling(RESAMPLES, int(generator.integers(2**31))))[0]
        uniform = float(stats.kstest(p - generator.random(repeats) / (1 + RESAMPLES), "uniform").pvalue)
        yield Uniformity(test, shape, videos, 1, uniform, _share(p <= 0.05), _share(p <= 0.01))


def _against_control(shape: str, size: tuple[int, int], generator: np.random.Generator) -> float:
    """Return p for the difference between a method and a control with the same distribution."""
    method, control = simulated(shape, (*size, 2), generator).transpose(2, 0, 1)
    differences = totals((method - control).reshape(-1, 1), np.repeat(np.arange(size[0]), size[1]).tolist())
    return float(sign_flip(differences, Resampling(RESAMPLES, int(generator.integers(2**31))))[0])


def _re_paired(shape: str, size: tuple[int, int], generator: np.random.Generator) -> float:
    """Return p of uninformative maps: scores on their own and on 19 other annotations have the same distribution."""
    videos, samples = size
    values = simulated(shape, (videos, samples, 1 + PARTNERS), generator).reshape(-1, 1 + PARTNERS)
    count = len(values)
    shares = np.full((count, 1), 1 / count)
    pools = Pools(values[:, None], np.repeat(np.arange(videos), samples), shares)
    return float(repaired(pools, Resampling(RESAMPLES, int(generator.integers(2**31))))[0])


def _share(hits: object) -> tuple[float, float, float]:
    """Share of the hits with Wilson's 95 % interval."""
    flags = np.asarray(hits, bool)
    ends = stats.binomtest(int(flags.sum()), len(flags)).proportion_ci(method="wilson")
    return float(flags.mean()), float(ends.low), float(ends.high)


def main() -> None:
    """Print both tables, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate_statistics", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--repeats", type=int, default=2000, help="simulated benchmarks of each kind; 100 or more")
    parser.add_argument("--seed", type=int, default=0, help="0 or more")
    options = parser.parse_args()
    if options.repeats < 100 or options.seed < 0:
        parser.error(
            f"expected --repeats of 100 or more and --seed of 0 or more, got {options.repeats} and {options.seed}"
        )
    covered = list(coverage(options.repeats, options.seed))
    uniform, flipped = (list(run(options.repeats, options.seed)) for run in (uniformity, skewed))
    if options.json:
        parts: dict[str, list[Any]] = {"coverage": covered, "uniformity": uniform, "skewed": flipped}
        rows = {name: [asdict(row) for row in part] for name, part in parts.items()}
        print(json.dumps(rows, indent=2))
        return
    screen = Console(width=100)
    screen.print(f"Share of 95 % intervals that contain the true mean, {options.repeats} simulated benchmarks each",
                 _coverage_table(covered), "", sep="\n", highlight=False)  # fmt: skip
    screen.print("p-values without any effect", _uniformity_table(uniform), "", sep="\n", highlight=False)
    screen.print("p-values of sign flips on skewed differences with mean 0", _uniformity_table(flipped), sep="\n",
                 highlight=False)  # fmt: skip


def _coverage_table(rows: list[Coverage]) -> Table:
    cells = {(row.shape, row.videos, row.samples): f"{row.covered:.3f}" for row in rows}
    table = Table("videos", "samples per video", *SHAPES, box=None, pad_edge=False)
    for videos, samples in product(VIDEOS, SAMPLES):
        table.add_row(str(videos), str(samples), *(cells[shape, videos, samples] for shape in SHAPES))
    return table


def _uniformity_table(rows: list[Uniformity]) -> Table:
    table = Table("test", "values", "videos", "samples", "uniform, p", "p <= .05", "p <= .01", box=None, pad_edge=False)
    for row in rows:
        shares = [f"{share:.3f} [{low:.3f}, {high:.3f}]" for share, low, high in (row.at_05, row.at_01)]
        table.add_row(row.test, row.shape, str(row.videos), str(row.samples), f"{row.uniform:.2f}", *shares)
    return table


if __name__ == "__main__":
    main()
