"""Time of what reads a finished run again: `python -m tools.speed.reruns --videos 600`.

Draws a run of 20 methods and 40 columns at random (see tables), on copies of built-in videos, writes its records by the
store that a run uses, and times a run that has nothing to compute, the same without its index, a dry run and a report.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attrib import config
from attrib.benchmarks import runner
from attrib.benchmarks.forecast import forecast
from attrib.benchmarks.jobs import curves
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Record
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.perturb.curves import STEPS
from attrib.benchmarks.report import page
from attrib.config import Config
from attrib.demo.generate import generate
from attrib.runtime.memory import peak_memory
from tools.speed import tables

ORIGINALS = 4  # videos that are drawn; the others are copies
ANSWER = {"letter_mass": 0.9, "frames": 8, "grid": [4, 4], "warnings": []}


def dataset(folder: Path, videos: int) -> Path:
    """Write a data set in the official layout: built-in videos, each under many names."""
    generate(folder / "originals", ORIGINALS, seed=1)
    known = json.loads((folder / "originals" / "all_valid.json").read_text(encoding="utf-8"))
    (folder / "data" / "videos").mkdir(parents=True)
    copies = {}
    for number in range(videos):
        original = list(known)[number % ORIGINALS]
        name = f"video_{number}"
        copies[name] = {**known[original], "metadata": {**known[original]["metadata"], "video_id": name}}
        (folder / "data" / "videos" / f"{name}.mp4").hardlink_to(folder / "originals" / "videos" / f"{original}.mp4")
    (folder / "data" / "all_valid.json").write_text(json.dumps(copies), encoding="utf-8")
    return folder / "data"


def settings(data: Path, videos: int, methods: int, resamples: int) -> Config:
    """Return the configuration of the run."""
    given = tables.settings(tables.Size(videos, methods=methods), resamples).model_dump()
    return config.parse({
        **given, "data": {"name": "perception_test", "root": str(data)}, "null_pairs": 0, "overlays": 0,
    })  # fmt: skip


def fill(plan: Plan, run: RunDirectory, seed: int = 0) -> int:
    """Write the records and maps of a whole run, drawn at random, and return the number of records."""
    generator, written = np.random.default_rng(seed), 0
    blank = _map(plan, run)
    for sample in plan.samples:
        item = SampleJob(plan, run, sample)
        logprobs = np.log(generator.dirichlet(np.ones(len(sample.question.options)))).tolist()
        run.store.write(item.answer_name, Record(item.answer_key, {"logprobs": logprobs, **ANSWER}))
        written += 1
        for method in plan.methods:
            written += sum(_of_map(VolumeJob(item, method), blank, generator))
    return written


def _map(plan: Plan, run: RunDirectory) -> bytes:
    """Return the bytes of one map."""
    sample = plan.samples[0]
    with tempfile.TemporaryDirectory() as place:
        item = SampleJob(plan, RunDirectory.at(Path(place)), sample)
        job = VolumeJob(item, next(method for method in plan.methods if method.name == "uniform"))
        assert not job.record().error
        return job.path.read_bytes()


def _of_map(job: VolumeJob, blank: bytes, generator: np.random.Generator) -> Iterator[int]:
    """Write the records of a map, that of the strongest other option, its scores and curves; yield 1 for each."""
    for each in (job, job.towards_rival):
        each.path.parent.mkdir(parents=True, exist_ok=True)
        each.path.write_bytes(blank)
        job.store.write(each.name, Record(each.key, {"seconds": 0.1, "peak_memory": 1, "bytes": len(blank)}))
        yield 1
    for group in job.item.plan.metric_groups:
        rows = {
            key: {"value": generator.random(), "chance": 0.5, "reason": "", "vision": None, "error": ""}
            for key in job.score_keys(group)
        }
        job.store.write(job.scores_name(group), Record(job.key, rows))
        yield 1
        if metrics := curves.read_by(job, group):
            values = [
                [chance, group.split()[-1], order, list(STEPS), *generator.random((2, len(STEPS))).tolist()]
                for chance in (False, True) for order in curves.ORDERS
            ]  # fmt: skip
            job.store.write(curves.record_name(job, group), Record(curves.record_key(job, metrics), values))
            yield 1


def measure(folder: Path, videos: int, methods: int, resamples: int) -> dict[str, float]:
    """Return seconds of the clock and of the processor, and GiB, by name."""
    given = settings(dataset(folder, videos), videos, methods, resamples)
    run = RunDirectory.at(folder / "run")
    plan = Plan.of(given)
    found: dict[str, float] = {"samples": len(plan.samples)}
    with RunDirectory.opened(run.directory, plan.config) as opened:
        found["records"] = _timed(found, "writing", lambda: fill(plan, opened))
    time.sleep(2.5)  # records of the last two seconds are not trusted to the index
    _timed(found, "dry run without index", lambda: forecast(given, run.directory))
    first = _timed(found, "rerun without index", lambda: runner.run(given, run.directory))
    second = _timed(found, "rerun", lambda: runner.run(given, run.directory))
    assert not first.computed and not second.computed and first.results.equals(second.results)
    del first, second
    _timed(found, "dry run", lambda: forecast(given, run.directory))
    _timed(found, "report", lambda: page.write(run.directory))
    return found


def _timed(found: dict[str, float], name: str, function: Callable[[], Any]) -> Any:
    gc.collect()
    clock, processor = time.perf_counter(), time.process_time()
    result = function()
    found[f"{name}: seconds"] = time.perf_counter() - clock
    found[f"{name}: processor"] = time.process_time() - processor
    found[f"{name}: GiB, peak"] = peak_memory(torch.device("cpu")) / 2**30
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=600)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for name, value in measure(Path(place), given.videos, given.methods, given.resamples).items():
            print(f"{name:<36}{value:>14,.2f}", flush=True)


if __name__ == "__main__":
    main()
