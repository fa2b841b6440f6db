"""One sample's sanity checks, floors and re-paired scores as parts of a run: one for each method, kept or computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import Any

from attrib.benchmarks.checks.floors import Floor, FloorRow, NoVolume, conditions, floor_rows, map_of
from attrib.benchmarks.checks.nulls import NullRow, pairing_rows, pooled, shift_rows
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

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Bench:
    """A run at work, the alignment metrics that maps are scored by, and a hash of the code that makes the rows."""

    plan: Plan
    run: RunDirectory
    metrics: tuple[Entry, ...]
    code: str
    frames: Mapping[str, int]  # of each sample's clip, where a map of it is kept
    _pooled: dict[str, SaliencyVolume] = field(default_factory=dict)  # by the map's key; each process has its own

    def maps(self, sample: Sample) -> dict[str, VolumeJob]:
        """The sample's maps that are there, by method."""
        item = SampleJob(self.plan, self.run, sample)
        found = {method.label: VolumeJob(item, method) for method in self.plan.methods}
        return {label: each for label, each in found.items() if (part := each.kept()) and not part.error}

    def pooled(self, found: VolumeJob) -> SaliencyVolume:
        """The map on the token grid, read once."""
        if found.key not in self._pooled:
            volume = found.volume
            self._pooled[found.key] = pooled(volume, self.plan.model.grid(len(volume.times)))
        return self._pooled[found.key]

    def scoring_key(self, sample: Sample) -> list[Any]:
        """Of all that scores on the sample's annotation depend on, beside the map."""
        peers = any("other videos" in metric.item.needs for metric in self.metrics)
        keys = [self.plan.metric_keys[group_of(metric), metric.label] for metric in self.metrics]
        return [keys, self.plan.annotation_keys[sample.id], self.plan.peer_keys(sample) if peers else []]

    def kept(self, name: Name, key: str) -> Record | None:
        """The part if it is there; with retry_failed not one with an error in any of its rows."""
        parts = self.run.parts
        part = parts.kept(name, key)
        again = part and not part.error and parts.retry_failed and any(is_failed(row) for row in part.value)
        return None if again else part

    def keep(self, name: Name, key: str, make: Callable[[], Iterable[Any]], given: VolumeJob) -> Record:
        """The rows kept under `name`, or those that `make` returns."""
        kept = self.kept(name, key)
        return kept or self.run.parts.compute(name, key, lambda: [asdict(row) for row in make()], given.given)


MISSING = Record("")  # stands for a part that is not kept


class Probe(Bench):
    """A bench that looks and computes nothing: what is not kept comes as MISSING."""

    def keep(self, name: Name, key: str, make: Callable[[], Iterable[Any]], given: VolumeJob) -> Record:
        """The rows kept under `name`, or MISSING."""
        return self.kept(name, key) or MISSING


def is_failed(row: Row) -> bool:
    """Whether a row has no value because of an error."""
    return bool(row["error"])


def sanity_parts(bench: Bench, sample: Sample) -> dict[str, Record]:
    """Parts by method, named ("sanity", sample, method). The model is made random once for all that are missing."""
    maps, stages = bench.maps(sample), bench.plan.config.sanity.stages
    names = {label: ("sanity", sample.id, label) for label in maps}
    keys = {label: digest(each.key, stages, bench.code) for label, each in maps.items()}
    missing = {label: each for label, each in maps.items() if not bench.kept(names[label], keys[label])}

    @cache
    def found() -> Mapping[str, Sequence[SanityRow]]:
        methods = {label: each.method.item for label, each in missing.items()}
        volumes = {label: each.volume for label, each in missing.items()}
        return sanity_rows(next(iter(missing.values())).item.subject, methods, volumes, stages)

    return {
        label: bench.keep(names[label], keys[label], lambda label=label: found()[label], each)  # type: ignore[misc]
        for label, each in maps.items()
    }


def floor_parts(bench: Bench, sample: Sample) -> dict[str, Record]:
    """Parts by method, named ("floors", sample, method)."""
    samples, seed = bench.plan.samples, bench.plan.config.seed
    other, asking = swapped(sample, samples, bench.frames, seed), asks_otherwise(sample, samples, seed)
    question = asking.question if asking else None
    swaps = bench.maps(other) if other else {}
    subjects = cache(lambda item: conditions(item.subject, question))

    def make(real: VolumeJob) -> Iterable[FloorRow]:
        label = real.method.label
        found: dict[Floor, SaliencyVolume | NoVolume] = {
            floor: map_of(real.method.item, label, subject) for floor, subject in subjects(real.item).items()
        }
        nothing = NoVolume("no other video of as many frames has a map")
        found["swapped_video"] = swaps[label].volume if label in swaps else nothing
        found["other_option"] = _rival(real)
        return floor_rows(real.volume, found, real.item.subject, sample, bench.metrics)

    def key(real: VolumeJob) -> str:
        swap = swaps[real.method.label].key if real.method.label in swaps else ""
        return digest(real.key, swap, question, bench.scoring_key(sample), bench.code)

    return {
        label: bench.keep(("floors", sample.id, label), key(each), partial(make, each), each)
        for label, each in bench.maps(sample).items()
    }


def _rival(real: VolumeJob) -> SaliencyVolume | NoVolume:
    if not real.item.sample.question.options:
        return NoVolume("a free answer has no other option")
    try:
        return real.rival
    except AttribError as error:
        return NoVolume(error=str(error))


def null_parts(bench: Bench, served: Mapping[str, Sequence[Sample]], sample: Sample) -> dict[str, Record]:
    """Parts by method, named ("nulls", sample, method): the sample's maps shifted, and others' on its annotation.

    `served` has the samples whose maps are held against this one's annotation.
    """
    others = [(other, bench.maps(other)) for other in served.get(sample.id, ())]
    scoring = bench.scoring_key(sample)

    def make(own: VolumeJob, partners: Sequence[tuple[Sample, VolumeJob]]) -> Iterable[NullRow]:
        label, subject = own.method.label, own.item.subject
        yield from pairing_rows(
            subject, sample, [(other, {label: bench.pooled(each)}) for other, each in partners], bench.metrics
        )
        yield from shift_rows(subject, sample, {label: bench.pooled(own)}, bench.metrics)

    parts = {}
    for label, own in bench.maps(sample).items():
        partners = [(other, found[label]) for other, found in others if label in found]
        key = digest(own.key, [(other.id, each.key) for other, each in partners], scoring, bench.code)
        parts[label] = bench.keep(("nulls", sample.id, label), key, partial(make, own, partners), own)
    return parts
