"""Overlay videos of a run: the first samples of each method, all methods of a sample in one pass over its video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Failure
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.errors import NotWritten, failure_message
from attrib.render.overlay import RenderOptions, write_overlays
from attrib.runtime.progress import Progress, report_progress
from attrib.types import SaliencyVolume


def draw(plan: Plan, run: RunDirectory, failed: Set[tuple[str, str]], step: Progress | None) -> Iterator[Failure]:
    """Draw overlay videos of each method's first samples, unless they exist; yield the failures.

    `failed`: sample ids and labels of methods without a map.
    """
    wanted: dict[str, list[VolumeJob]] = {}
    items = {sample.id: SampleJob(plan, run, sample) for sample in plan.samples}
    for method in plan.methods:
        intact = [name for name in items if (name, method.label) not in failed]
        for name in intact[: plan.config.overlays]:
            wanted.setdefault(name, []).append(VolumeJob(items[name], method))
    for name, jobs in wanted.items():
        report_progress(step, f"drawing {name}", 0, 0)
        yield from _of_sample(items[name], jobs)


def _of_sample(item: SampleJob, jobs: Sequence[VolumeJob]) -> Iterator[Failure]:
    """Draw the missing overlays of one sample, all in one pass over its video."""
    drawn: dict[Path, tuple[SaliencyVolume, RenderOptions]] = {}
    named: dict[Path, VolumeJob] = {}
    for job in jobs:
        path, volume, label = item.run.overlay_path(item.sample, job.method.label), job.path, job.method.label
        if path.exists() and volume.exists() and path.stat().st_mtime >= volume.stat().st_mtime:
            continue
        try:
            drawn[path], named[path] = (job.volume, RenderOptions.of(item.sample, label)), job
        except NotWritten:
            raise
        except Exception as error:  # a failed picture must not lose the numbers
            yield _failure(job, error)
    try:
        if drawn:
            write_overlays(drawn, item.clip)
    except NotWritten:
        raise
    except Exception as error:
        yield from (_failure(job, error) for job in named.values())


def _failure(job: VolumeJob, error: Exception) -> Failure:
    sample = job.item.sample
    return Failure(sample.id, sample.video_id, job.method.label, "overlay", failure_message(error))
