"""Jobs of the checks: the rows of one method on one sample, read from the cache or computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

from attrib.benchmarks.checks.floors import Floor, FloorRow, NoVolume, conditions, floor_rows, map_of
from attrib.benchmarks.checks.nulls import NullRow, pairing_rows, shift_rows
from attrib.benchmarks.checks.sampling import asks_otherwise, swapped
from attrib.benchmarks.checks.sanity import SanityRow, sanity_rows
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.plan import Plan, group_of
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Name, Record
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.config import Entry
from attrib.errors import AttribError
from attrib.types import SaliencyVolume, Sample


@dataclass(frozen=True, eq=False)
class CheckJob:
    """Work on one check of a sample's volume; `rows` computes its rows."""

    name: Name
    key: str
    volume: VolumeJob
    rows: Callable[[], Iterable[Any]]

    def peek(self) -> Record | None:
        """Return the record if it exists, and, if the store retries failures, has no errors; compute nothing."""
        store = self.volume.store
        record = store.peek(self.name, self.key)
        return None if record and store.retry_failed and errors(record) else record

    def record(self) -> Record:
        """Return the record, computed if missing."""
        return self.peek() or self.volume.store.compute(
            self.name, self.key, lambda: [asdict(row) for row in self.rows()], self.volume.given
        )


def errors(record: Record) -> list[str]:
    """Return the errors of a check's record: its own, or those of its rows."""
    return [record.error] if record.error else [row["error"] for row in record.value if row["error"]]


@dataclass(frozen=True, eq=False)
class CheckContext:
    """Run, alignment metrics that score the maps, and hash of the code that computes a check's rows."""

    plan: Plan
    run: RunDirectory
    metrics: tuple[Entry, ...]
    code: str
    frames: Mapping[str, int]  # number of frames by sample id, if the model has answered
    _pooled: dict[str, SaliencyVolume] = field(default_factory=dict)  # by the map's key; not shared between processes

    def maps(self, sample: Sample) -> dict[str, VolumeJob]:
        """Return the jobs of the sample's computed maps by method."""
        item = SampleJob(self.plan, self.run, sample)
        jobs = {method.label: VolumeJob(item, method) for method in self.plan.methods}
        return {label: job for label, job in jobs.items() if (record := job.peek()) and not record.error}

    def pooled(self, job: VolumeJob) -> SaliencyVolume:
        """Return the map on the token grid, read once."""
        if job.key not in self._pooled:
            volume = job.volume
            self._pooled[job.key] = volume.on_grid(*job.item.grid)
        return self._pooled[job.key]

    def scoring_key(self, sample: Sample) -> list[Any]:
        """Return the keys of all inputs of the scores on the sample's annotation, except the map."""
        peers = any("other videos" in metric.item.needs for metric in self.metrics)
        keys = [self.plan.metric_keys[group_of(metric), metric.label] for metric in self.metrics]
        return [keys, self.plan.annotation_keys[sample.id], self.plan.peer_key(sample) if peers else ""]


def sanity_jobs(context: CheckContext, sample: Sample) -> dict[str, CheckJob]:
    """Return the sanity checks of a sample by method. The model is randomised once for all missing ones."""
    maps, stages = context.maps(sample), context.plan.config.sanity.stages

    @cache
    def computed() -> Mapping[str, Sequence[SanityRow]]:
        missing = {label: maps[label] for label, job in jobs.items() if not job.peek()}
        methods = {label: each.method.item for label, each in missing.items()}
        volumes = {label: each.volume for label, each in missing.items()}
        return sanity_rows(next(iter(missing.values())).item.subject, methods, volumes, stages)

    def rows(label: str) -> Iterable[SanityRow]:
        return computed()[label]

    jobs = {
        label: CheckJob(
            ("sanity", sample.id, label), digest(each.key, stages, context.code), each, partial(rows, label)
        )
        for label, each in maps.items()
    }
    return jobs


def floor_jobs(context: CheckContext, sample: Sample) -> dict[str, CheckJob]:
    """Return the floors of a sample by method."""
    samples, seed = context.plan.samples, context.plan.config.seed
    other, asking = swapped(sample, samples, context.frames, seed), asks_otherwise(sample, samples, seed)
    question = asking.question if asking else None
    swaps = context.maps(other) if other else {}
    subjects = cache(lambda item: conditions(item.subject, question))

    def rows(real: VolumeJob) -> Iterable[FloorRow]:
        label = real.method.label
        maps: dict[Floor, SaliencyVolume | NoVolume] = {
            floor: map_of(real.method.item, label, subject) for floor, subject in subjects(real.item).items()
        }
        missing = NoVolume("no other video of as many frames has a map")
        maps["swapped_video"] = swaps[label].volume if label in swaps else missing
        maps["other_option"] = _other_option(real)
        return floor_rows(real.volume, maps, real.item.subject, sample, context.metrics)

    def key(real: VolumeJob) -> str:
        swap = swaps[real.method.label].key if real.method.label in swaps else ""
        return digest(real.key, swap, question, context.scoring_key(sample), context.code)

    return {
        label: CheckJob(("floors", sample.id, label), key(each), each, partial(rows, each))
        for label, each in context.maps(sample).items()
    }


def _other_option(real: VolumeJob) -> SaliencyVolume | NoVolume:
    if not real.item.sample.question.options:
        return NoVolume("a free answer has no other option")
    try:
        return real.towards_rival.volume
    except AttribError as error:
        return NoVolume(error=str(error))


def null_jobs(context: CheckContext, served: Mapping[str, Sequence[Sample]], sample: Sample) -> dict[str, CheckJob]:
    """Return the null jobs of a sample by method: its own maps shifted, and other samples' maps on its annotation.

    `served` has, by sample id, the samples whose maps are scored on that sample's annotation.
    """
    others = [(other, context.maps(other)) for other in served.get(sample.id, ())]
    scoring = context.scoring_key(sample)

    def rows(own: VolumeJob, partners: Sequence[tuple[Sample, VolumeJob]]) -> Iterable[NullRow]:
        label, subject = own.method.label, own.item.subject
        yield from pairing_rows(
            subject, sample, [(other, {label: context.pooled(each)}) for other, each in partners], context.metrics
        )
        yield from shift_rows(subject, sample, {label: context.pooled(own)}, context.metrics)

    jobs = {}
    for label, own in context.maps(sample).items():
        partners = [(other, maps[label]) for other, maps in others if label in maps]
        key = digest(own.key, [(other.id, each.key) for other, each in partners], scoring, context.code)
        jobs[label] = CheckJob(("nulls", sample.id, label), key, own, partial(rows, own, partners))
    return jobs
