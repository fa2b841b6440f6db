"""Test that killed runs lose and repeat nothing: `python -m tools.kill_and_resume --kills 20`.

A small benchmark with the built-in model runs once without interruption, then killed with SIGKILL at random moments and
resumed each time, then with two worker processes of which one is killed at random moments. Except for costs, the
results must be equal row by row, and no record may be computed twice according to the log.
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
from attrib.benchmarks.engines.forked import one_thread
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.store import Store

COSTS = ["seconds", "peak_memory"]
METHODS = ("grad_cam", "attention_rollout", "random", "oracle")
METRICS = ("srg", "counterfactual_deletion", "target_sensitivity", "object_auc", "mass", "segment_auc")
PAUSE = 0.3  # maximum seconds between a log line and the kill


@dataclass(frozen=True)
class Verdict:
    """Result of one way to kill a run: records computed, records computed twice, rows, and rows that differ."""

    name: str
    kills: int
    records: int
    twice: int
    rows: int
    differing: int

    @property
    def good(self) -> bool:
        """Return whether nothing was lost, computed twice or changed."""
        return self.twice == 0 and self.differing == 0


def settings(folder: Path, videos: int, workers: int) -> dict[str, Any]:
    """Settings of the benchmark, with its data set in `folder`."""
    return {
        "data": {"name": "demo", "root": str(folder / "world"), "videos": videos, "seed": 3},
        "model": {"name": "demo", "frames": 4}, "methods": dict.fromkeys(METHODS), "metrics": dict.fromkeys(METRICS),
        "imputers": ["mean"], "overlays": 0, "workers": workers, "resamples": 100,
    }  # fmt: skip


def start(settings_of_run: dict[str, Any], folder: Path) -> BaseProcess:
    """Start a process that runs or resumes the benchmark in `folder`."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(settings_of_run, folder))
    with one_thread():
        process.start()
    return process


def _run(settings_of_run: dict[str, Any], folder: Path) -> None:
    sys.exit(1 if api.bench(settings_of_run, folder).failures else 0)


def run_with_kills(settings_of_run: dict[str, Any], folder: Path, moments: Sequence[tuple[int, float]]) -> int:
    """Run, kill and resume once for each moment, then run to the end; return the number of kills.

    A moment is a number of records computed since the start of the process, and additional seconds.
    """
    kills = 0
    for records, seconds in moments:
        process = start(settings_of_run, folder)
        _await(process, folder, records, seconds)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    _finish(start(settings_of_run, folder))
    return kills


def run_with_killed_workers(settings_of_run: dict[str, Any], folder: Path, moments: Sequence[tuple[int, float]]) -> int:
    """Run once; at each moment kill the worker process that logged the last record. Return the number of kills."""
    gone: set[int] = set()
    process = start(settings_of_run, folder)
    for records, seconds in moments:
        _await(process, folder, records, seconds)
        last = [line["pid"] for line in Store(folder).logged()][-1:]
        if process.is_alive() and last and last[0] not in {*gone, process.pid}:
            with suppress(ProcessLookupError):  # it has already ended
                os.kill(last[0], signal.SIGKILL)
                gone.add(last[0])
    _finish(process)
    return len(gone)


def _await(process: BaseProcess, folder: Path, records: int, seconds: float) -> None:
    """Wait until the log has `records` more records, then for some more seconds."""
    log = Store(folder)
    expected = sum(1 for _ in log.logged()) + records
    while process.is_alive() and sum(1 for _ in log.logged()) < expected:
        time.sleep(0.005)
    process.join(seconds)


def _finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise SystemExit(f"a run ended with exit code {process.exitcode}")


def compared(name: str, kills: int, folder: Path, unbroken: Path) -> Verdict:
    """Compare a killed run with an uninterrupted one."""
    results, expected = (
        pd.read_parquet(each / "results.parquet").drop(columns=COSTS).reset_index(drop=True)
        for each in (folder, unbroken)
    )
    pairs = list(zip(results.to_dict("records"), expected.to_dict("records"), strict=False))
    differing = sum(repr(row) != repr(other) for row, other in pairs)  # repr: NaN equals NaN
    differing += abs(len(results) - len(expected))
    lines = Counter((line["item"], line["key"], tuple(line["what"])) for line in Store(folder).logged())
    twice = sum(count - 1 for count in lines.values())
    return Verdict(name, kills, len(lines), twice, len(results), differing)


def moments(kills: int, records: int, seed: int) -> list[tuple[int, float]]:
    """Random moments, spread over a run of `records` records."""
    draw = np.random.default_rng(seed)
    most = max(2 * records // (kills + 1), 1)
    return [(int(draw.integers(0, most, endpoint=True)), float(draw.uniform(0, PAUSE))) for _ in range(kills)]


def verdicts(folder: Path, kills: int, videos: int, seed: int) -> list[Verdict]:
    """Run the benchmark in every way, in `folder`."""
    unbroken = folder / "unbroken"
    torch.set_num_threads(1)
    # import modules and generate the data set once, before the processes start
    Plan.of(config.parse(settings(folder, videos, 1)))
    _finish(start(settings(folder, videos, 1), unbroken))
    records = sum(1 for _ in Store(unbroken).logged())
    ways = {
        "one process, killed and resumed": (run_with_kills, 1),
        "two workers, killed and resumed": (run_with_kills, 2),
        "one of two workers killed": (run_with_killed_workers, 2),
    }
    results = []
    for number, (name, (way, workers)) in enumerate(ways.items()):
        run = folder / str(number)
        count = way(settings(folder, videos, workers), run, moments(kills, records, seed + number))
        results.append(compared(name, count, run, unbroken))
    return results


def main() -> None:
    """Run the test in a temporary folder and print the verdicts; exit code 1 unless all are good."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--videos", type=int, default=8, help="more videos make longer runs, which more kills hit")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = verdicts(Path(folder), options.kills, options.videos, options.seed)
    table = Table(
        "", "kills", "records computed", "computed twice", "rows", "rows that differ", box=None, pad_edge=False
    )
    for verdict in results:
        numbers = (verdict.kills, verdict.records, verdict.twice, verdict.rows, verdict.differing)
        table.add_row(verdict.name, *map(str, numbers))
    Console(width=100).print(table)
    sys.exit(0 if all(verdict.good for verdict in results) else 1)


if __name__ == "__main__":
    main()
