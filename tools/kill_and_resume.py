"""Does a run lose anything, or do anything twice, when it is killed? `python -m tools.kill_and_resume --kills 20`

A small benchmark with the built-in model is run once without a break; again, killed with SIGKILL at random moments and
resumed each time; and again by two worker processes of which one is killed at random moments. The results must be the
same row by row, cost apart, and no part may be in the log of computations twice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from attrib import api, config
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.store import Store
from attrib.benchmarks.jobs.workers import one_thread

COSTS = ["seconds", "peak_memory"]
METHODS = ("grad_cam", "attention_rollout", "random", "oracle")
METRICS = ("srg", "counterfactual_deletion", "target_sensitivity", "object_auc", "mass", "segment_auc")
PAUSE = 0.3  # seconds after a part is logged within which the kill comes


@dataclass(frozen=True)
class Verdict:
    """What came of one way to be killed: parts computed, those in the log twice, rows, and rows not as unbroken."""

    name: str
    kills: int
    parts: int
    twice: int
    rows: int
    unlike: int

    @property
    def good(self) -> bool:
        """Whether nothing was lost, done twice, or changed."""
        return self.twice == 0 and self.unlike == 0


def settings(folder: Path, videos: int, workers: int) -> dict[str, Any]:
    """The benchmark, with its data set in `folder`."""
    return {
        "data": {"name": "demo", "root": str(folder / "world"), "videos": videos, "seed": 3},
        "model": {"name": "demo", "frames": 4}, "methods": dict.fromkeys(METHODS), "metrics": dict.fromkeys(METRICS),
        "imputers": ["mean"], "overlays": 0, "workers": workers, "resamples": 100,
    }  # fmt: skip


def start(wanted: dict[str, Any], folder: Path) -> BaseProcess:
    """A process that runs, or resumes, the benchmark in `folder`."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(wanted, folder))
    with one_thread():
        process.start()
    return process


def _run(wanted: dict[str, Any], folder: Path) -> None:
    sys.exit(1 if api.bench(wanted, folder).failures else 0)


def killed(wanted: dict[str, Any], folder: Path, moments: Sequence[tuple[int, float]]) -> int:
    """Run, kill and resume until all moments have come; then run to the end. The number of runs that were killed.

    A moment is a number of parts that are computed since the start, and seconds more.
    """
    kills = 0
    for parts, seconds in moments:
        process = start(wanted, folder)
        _await(process, folder, parts, seconds)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    _finish(start(wanted, folder))
    return kills


def bereft(wanted: dict[str, Any], folder: Path, moments: Sequence[tuple[int, float]]) -> int:
    """Run once; at each moment kill the worker process that was the last to compute a part. The number of kills."""
    gone: set[int] = set()
    process = start(wanted, folder)
    for parts, seconds in moments:
        _await(process, folder, parts, seconds)
        last = [line["pid"] for line in Store(folder).logged()][-1:]
        if process.is_alive() and last and last[0] not in {*gone, process.pid}:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(last[0], signal.SIGKILL)
                gone.add(last[0])
    _finish(process)
    return len(gone)


def _await(process: BaseProcess, folder: Path, parts: int, seconds: float) -> None:
    """Wait for so many more parts in the log, and some seconds more."""
    log = Store(folder)
    wanted = sum(1 for _ in log.logged()) + parts
    while process.is_alive() and sum(1 for _ in log.logged()) < wanted:
        time.sleep(0.005)
    process.join(seconds)


def _finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise SystemExit(f"a run ended with exit code {process.exitcode}")


def judged(name: str, kills: int, folder: Path, unbroken: Path) -> Verdict:
    """Compare a run that was killed with one that was not."""
    found, expected = (
        pd.read_parquet(each / "results.parquet").drop(columns=COSTS).reset_index(drop=True)
        for each in (folder, unbroken)
    )
    pairs = list(zip(found.to_dict("records"), expected.to_dict("records"), strict=False))
    unlike = sum(repr(one) != repr(two) for one, two in pairs) + abs(len(found) - len(expected))  # NaN is NaN
    lines = Counter((line["item"], line["key"], tuple(line["what"])) for line in Store(folder).logged())
    twice = sum(count - 1 for count in lines.values())
    return Verdict(name, kills, len(lines), twice, len(found), unlike)


def moments(kills: int, parts: int, seed: int) -> list[tuple[int, float]]:
    """Random moments that are spread over a run of so many parts."""
    draw = np.random.default_rng(seed)
    most = max(2 * parts // (kills + 1), 1)
    return [(int(draw.integers(0, most, endpoint=True)), float(draw.uniform(0, PAUSE))) for _ in range(kills)]


def verdicts(folder: Path, kills: int, videos: int, seed: int) -> list[Verdict]:
    """Run all of it in `folder`."""
    unbroken = folder / "unbroken"
    torch.set_num_threads(1)
    Plan.of(config.parse(settings(folder, videos, 1)))  # what it imports and draws need not be done by each process
    _finish(start(settings(folder, videos, 1), unbroken))
    parts = sum(1 for _ in Store(unbroken).logged())
    ways = {
        "one process, killed and resumed": (killed, 1),
        "two workers, killed and resumed": (killed, 2),
        "one of two workers killed": (bereft, 2),
    }
    found = []
    for number, (name, (way, workers)) in enumerate(ways.items()):
        place = folder / str(number)
        count = way(settings(folder, videos, workers), place, moments(kills, parts, seed + number))
        found.append(judged(name, count, place, unbroken))
    return found


def main() -> None:
    """Run it in a temporary folder and print the verdicts; exit code 1 unless all are good."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--videos", type=int, default=8, help="the more, the more kills meet a run at work")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = verdicts(Path(folder), given.kills, given.videos, given.seed)
    table = Table("", "kills", "parts computed", "computed twice", "rows", "unlike", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.name, *map(str, (each.kills, each.parts, each.twice, each.rows, each.unlike)))
    Console(width=100).print(table)
    sys.exit(0 if all(each.good for each in found) else 1)


if __name__ == "__main__":
    main()
