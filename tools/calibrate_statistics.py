"""Do intervals cover, are p-values uniform? Simulated with a known truth: `python -m tools.calibrate_statistics`.

Coverage: values with a known mean, several a video, half their variance the video's. p-values: nothing to be found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from attrib.benchmarks.stats.bootstrap import LEVEL, Floats, intervals, totals
from attrib.benchmarks.stats.permutation import Pools, repaired, sign_flip
from attrib.benchmarks.stats.resampling import Resampling

# Distributions as metrics have them, from uniform shares to values, with the mean of those.
SHAPES: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "normal": (stats.norm.ppf, 0.0),
    "AUC": (stats.beta(4, 1.2).ppf, 4 / 5.2),  # bounded, piled up below 1
    "mass": (stats.beta(0.8, 4).ppf, 0.8 / 4.8),  # bounded, piled up above 0
    "hit": (lambda share: (share > 0.7).astype(np.float64), 0.3),  # pointing: 0 or 1
    "lift": (stats.lognorm(0.8).ppf, float(np.exp(0.32))),  # unbounded, long tail
}
VIDEOS, SAMPLES = (8, 12, 24, 48, 100, 300), (1, 3)
RESAMPLES = 1000
PARTNERS = 19
BLOCK = 50  # repeats that share their bootstrap draws


@dataclass(frozen=True)
class Coverage:
    """Share of the 95 % intervals that hold the true mean, for one distribution."""

    shape: str
    videos: int
    samples: int  # of each video
    covered: float
    low: float  # Wilson's 95 % interval of `covered`
    high: float


@dataclass(frozen=True)
class Uniformity:
    """One test under its null: Kolmogorov-Smirnov's p of uniform p-values, and how often it rejects."""

    test: str
    shape: str
    videos: int
    samples: int
    uniform: float
    at_05: tuple[float, float, float]  # share of p <= .05, with its 95 % interval
    at_01: tuple[float, float, float]


def coverage(repeats: int, seed: int) -> Iterator[Coverage]:
    """Yield the coverage for every distribution, number of videos and number of samples a video."""
    for shape, videos, samples in product(SHAPES, VIDEOS, SAMPLES):
        generator = np.random.default_rng([seed, *shape.encode(), videos, samples])
        names = np.repeat(np.arange(videos), samples).tolist()
        hits: list[bool] = []
        for block in range(0, repeats, BLOCK):
            size = (videos, samples, min(BLOCK, repeats - block))
            values = totals(drawn(shape, size, generator).reshape(videos * samples, -1), names)
            estimates = intervals(values, Resampling(RESAMPLES, block), LEVEL)
            hits += [one.low <= SHAPES[shape][1] <= one.high for one in estimates]
        yield Coverage(shape, videos, samples, *_share(hits))


def drawn(shape: str, size: tuple[int, int, int], generator: np.random.Generator) -> Floats:
    """(videos, samples, repeats) values of a distribution; half of their variance is between videos."""
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


def _against_control(shape: str, size: tuple[int, int], generator: np.random.Generator) -> float:
    """p of a method's difference to a control that has the same distribution."""
    method, control = drawn(shape, (*size, 2), generator).transpose(2, 0, 1)
    away = totals((method - control).reshape(-1, 1), np.repeat(np.arange(size[0]), size[1]).tolist())
    return float(sign_flip(away, Resampling(RESAMPLES, int(generator.integers(2**31))))[0])


def _re_paired(shape: str, size: tuple[int, int], generator: np.random.Generator) -> float:
    """p of uninformative maps: their own annotation is one of 20 that give the same distribution."""
    videos, samples = size
    values = drawn(shape, (videos, samples, 1 + PARTNERS), generator).reshape(-1, 1 + PARTNERS)
    count = len(values)
    pools = Pools(
        values.ravel(), np.arange(count) * (1 + PARTNERS), np.full(count, 1 + PARTNERS),
        np.repeat(np.arange(videos), samples), np.full(count, 1 / count),
    )  # fmt: skip
    return repaired(pools, Resampling(RESAMPLES, int(generator.integers(2**31))))


def _share(hits: object) -> tuple[float, float, float]:
    """Share of the hits with Wilson's 95 % interval."""
    held = np.asarray(hits, bool)
    ends = stats.binomtest(int(held.sum()), len(held)).proportion_ci(method="wilson")
    return float(held.mean()), float(ends.low), float(ends.high)


def main() -> None:
    """Print both tables, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate_statistics", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--repeats", type=int, default=2000, help="simulated benchmarks of each kind; 100 or more")
    parser.add_argument("--seed", type=int, default=0, help="0 or more")
    given = parser.parse_args()
    if given.repeats < 100 or given.seed < 0:
        parser.error(f"expected --repeats of 100 or more and --seed of 0 or more, got {given.repeats} and {given.seed}")
    covered, uniform = list(coverage(given.repeats, given.seed)), list(uniformity(given.repeats, given.seed))
    if given.json:
        rows = {"coverage": [asdict(one) for one in covered], "uniformity": [asdict(one) for one in uniform]}
        print(json.dumps(rows, indent=2))
        return
    screen = Console(width=100)
    screen.print(f"Share of 95 % intervals that hold the true mean, {given.repeats} simulated benchmarks each",
                 _coverage_table(covered), "", sep="\n", highlight=False)  # fmt: skip
    screen.print("p-values without any effect", _uniformity_table(uniform), sep="\n", highlight=False)


def _coverage_table(rows: list[Coverage]) -> Table:
    cells = {(one.shape, one.videos, one.samples): f"{one.covered:.3f}" for one in rows}
    table = Table("videos", "samples a video", *SHAPES, box=None, pad_edge=False)
    for videos, samples in product(VIDEOS, SAMPLES):
        table.add_row(str(videos), str(samples), *(cells[shape, videos, samples] for shape in SHAPES))
    return table


def _uniformity_table(rows: list[Uniformity]) -> Table:
    table = Table("test", "values", "videos", "samples", "uniform, p", "p <= .05", "p <= .01", box=None, pad_edge=False)
    for one in rows:
        shares = [f"{share:.3f} [{low:.3f}, {high:.3f}]" for share, low, high in (one.at_05, one.at_01)]
        table.add_row(one.test, one.shape, str(one.videos), str(one.samples), f"{one.uniform:.2f}", *shares)
    return table


if __name__ == "__main__":
    main()
