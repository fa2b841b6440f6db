"""Simulate a benchmark on 1 to 1,024 GPUs: `python -m tools.simulate_scale [--gpus 8 64] [--forward-seconds S]`.

Nothing is run on a GPU. A piece of work is one map; its cost in forward passes is that of COSTS, and the seconds of a
forward pass are given, or for each model 2 x parameters x tokens / (PEAK x USED), an assumption. `queue`: a GPU that is
free takes the next video. `strides`: GPU I of N has every N-th video, as with `--shard I/N`. Some GPUs are slow, all
fail now and then: the piece in work is lost, and its GPU goes on after a restart. `--measure` prints the costs anew.
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from attrib import models, registry, video
from attrib.settings.shard import Shard
from attrib.subject import Subject

# CPU seconds of each method with its defaults over those of one forward pass from the pixels, on the first video of the
# built-in benchmark (288 visual tokens), one core beside other work: `python -m tools.simulate_scale --measure`.
COSTS: Mapping[str, float] = {
    "attention_gradient": 1.85, "attention_rollout": 0.80, "band_probe": 20.62, "centre": 0.18, "grad_cam": 2.30,
    "gradient_shap": 489.30, "input_x_gradient": 2.30, "integrated_gradients": 78.54, "legrad": 1.44,
    "localization_heads": 0.75, "lrp": 5.80, "motion": 0.14, "occlusion": 339.16, "random": 0.25, "raw_attention":
    0.81, "relevance": 2.51, "saliency": 3.17, "smoothgrad": 158.66, "tam": 0.64, "uniform": 0.13,
}  # fmt: skip
PARAMETERS: Mapping[str, float] = {"PerceptionLM 1B": 1e9, "PerceptionLM 3B": 3e9, "PerceptionLM 8B": 8e9}
TOKENS = 16 * 256 + 200  # 16 frames and a question
PEAK, USED = 312e12, 0.4  # operations a second of an 80 GB accelerator in bfloat16, and the share that is reached
VIDEOS = 6000
GPUS = (1, 8, 64, 256, 1024)


@dataclass(frozen=True)
class Cluster:
    """GPUs of one run: `slow` of them (a share) take `slowdown` times as long; each fails once in `between` seconds.

    `start`: seconds until a process works, also after a failure.
    """

    count: int
    slow: float = 0.02
    slowdown: float = 2.0
    between: float = math.inf
    start: float = 0.0
    seed: int = 0

    def workers(self) -> list[Worker]:
        """Return the GPUs, the slow ones drawn at random."""
        slow = np.random.default_rng(self.seed).choice(self.count, round(self.slow * self.count), replace=False)
        return [
            Worker(self.slowdown if index in slow else 1.0, self.start, self.failures(index))
            for index in range(self.count)
        ]

    def failures(self, index: int) -> Iterator[float]:
        """Yield the times of one GPU's failures."""
        chance, now = np.random.default_rng((self.seed, index)), 0.0
        while math.isfinite(self.between):
            now += float(chance.exponential(self.between))
            yield now


class Worker:
    """A GPU that computes pieces one after another and knows when it is free."""

    def __init__(self, slowdown: float, start: float, failures: Iterator[float]) -> None:
        self.slowdown, self.start, self.free, self.failed = slowdown, start, start, 0
        self._failures = failures
        self._next = next(failures, math.inf)

    def run(self, pieces: Sequence[float]) -> None:
        """Compute the pieces of one video; one that a failure interrupts begins anew after the restart."""
        for seconds in pieces:
            while self.free + seconds * self.slowdown > self._next:
                self.free, self.failed = max(self.free, self._next + self.start), self.failed + 1
                self._next = next((at for at in self._failures if at >= self.free), math.inf)
            self.free += seconds * self.slowdown


@dataclass(frozen=True)
class SimulatedRun:
    """Outcome of a simulated run: seconds until the last GPU is done, work without any loss, and lost pieces."""

    makespan: float
    work: float
    gpus: int
    failures: int

    @property
    def efficiency(self) -> float:
        """Share of the GPUs' time that is work."""
        return self.work / (self.gpus * self.makespan)


def queue(videos: Sequence[Sequence[float]], cluster: Cluster) -> SimulatedRun:
    """Simulate a queue: whoever is free first takes the next video."""
    workers = cluster.workers()
    free = [(worker.free, index) for index, worker in enumerate(workers)]
    heapq.heapify(free)
    used = set()
    for pieces in videos:
        _, index = free[0]
        workers[index].run(pieces)
        used.add(index)
        heapq.heapreplace(free, (workers[index].free, index))
    return _outcome(videos, [workers[index] for index in used], cluster)


def strides(videos: Sequence[Sequence[float]], cluster: Cluster) -> SimulatedRun:
    """Simulate shards: GPU I of N has every N-th video."""
    workers = cluster.workers()
    for index, worker in enumerate(workers):
        for pieces in Shard(index + 1, cluster.count).of(videos):
            worker.run(pieces)
    return _outcome(videos, workers[: len(videos)], cluster)


def _outcome(videos: Sequence[Sequence[float]], used: Sequence[Worker], cluster: Cluster) -> SimulatedRun:
    last = max(worker.free for worker in used)
    return SimulatedRun(last, math.fsum(map(math.fsum, videos)), cluster.count, sum(worker.failed for worker in used))


def pieces_of(count: int, forward: float, spread: float, seed: int = 0) -> list[list[float]]:
    """Return seconds of each map of each video; a video's factor is log-normal with this deviation and a mean of 1."""
    factors = np.random.default_rng(seed).lognormal(-(spread**2) / 2, spread, count).tolist()
    return [[cost * forward * factor for cost in COSTS.values()] for factor in factors]


def forward_seconds(parameters: float) -> float:
    """Return the assumed seconds of one forward pass."""
    return 2 * parameters * TOKENS / (PEAK * USED)


def measured() -> Iterator[tuple[str, float]]:
    """Yield CPU seconds of each method of COSTS over those of a forward pass, on the built-in model."""
    demo = models.load("demo", device="cpu")
    sample = next(iter(registry.get("datasets", "demo")(videos=1, counterfactuals=False)))
    subject = Subject.bind(demo, video.read(sample.video, frames=demo.frames), sample.question)

    def ask() -> None:
        with torch.no_grad():
            demo.option_logprobs(subject.pixels[None], subject.question)

    ask()
    forward = min(_seconds(ask) for _ in range(5))
    for name in COSTS:
        yield name, _seconds(partial(registry.get("methods", name)().attribute, subject, name)) / forward


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def table(forwards: Mapping[str, float], gpus: Sequence[int], cluster: Cluster, spread: float) -> Table:
    """Return hours and efficiency of each model (seconds of a forward pass) on each number of GPUs."""
    found = Table("model", "GPUs", box=None, pad_edge=False)
    for column in ("queue", "efficiency", "strides", "efficiency", "failures"):
        found.add_column(column, justify="right")
    for name, forward in forwards.items():
        videos = pieces_of(VIDEOS, forward, spread)
        for count in gpus:
            runs = [simulate(videos, replace(cluster, count=count)) for simulate in (queue, strides)]
            cells = [text for run in runs for text in (f"{run.makespan / 3600:,.2f} h", f"{run.efficiency:.0%}")]
            found.add_row(name, f"{count:,}", *cells, f"{runs[0].failures:,}")
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forward-seconds", type=float, help="of one forward pass, for a single row of the table")
    parser.add_argument("--gpus", type=int, nargs="+", default=list(GPUS))
    parser.add_argument("--spread", type=float, default=0.2, help="deviation of the logarithm of a video's cost")
    parser.add_argument("--slow", type=float, default=0.02, help="share of GPUs that take twice as long")
    parser.add_argument("--between-hours", type=float, default=500.0, help="between two failures of a GPU")
    parser.add_argument("--start", type=float, default=60.0, help="seconds until a process works")
    parser.add_argument("--measure", action="store_true", help="print the costs of this machine instead")
    given = parser.parse_args(arguments)
    if given.measure:
        torch.set_num_threads(1)
        for name, cost in measured():
            print(f'"{name}": {cost:.2f},', flush=True)
        return
    forwards = {name: forward_seconds(count) for name, count in PARAMETERS.items()}
    if given.forward_seconds:
        forwards = {f"{given.forward_seconds:g} s a forward": given.forward_seconds}
    cluster = Cluster(1, given.slow, between=given.between_hours * 3600, start=given.start)
    Console().print(table(forwards, given.gpus, cluster, given.spread))


if __name__ == "__main__":
    main()
