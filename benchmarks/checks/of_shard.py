"""Checks of a shard's samples: those whose inputs are there, which other shards may still have to compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from attrib.benchmarks.checks.compute import Check, checked, checks, failures_of
from attrib.benchmarks.engines.executor import Executor
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Failure
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.runtime.progress import Progress
from attrib.types import Sample


@dataclass(frozen=True)
class CheckedSamples:
    """Failures of the checks computed, and the number of checks left, by kind, for want of other samples' maps."""

    failures: tuple[Failure, ...]
    left: dict[str, int]


def compute(executor: Executor, run: RunDirectory, samples: Sequence[Sample], step: Progress | None) -> CheckedSamples:
    """Compute the missing checks of the samples whose inputs are there. Their maps must have been computed."""
    plan = executor.plan
    inputs = _Inputs(plan, replace(run, store=replace(run.store, retry_failed=False)))
    answered, own = inputs.answered(), {sample.id for sample in samples}
    failures: list[Failure] = []
    left: dict[str, int] = {}
    for kind, check in checks(plan, run, answered).items():
        wanted = [sample for sample in check.samples if sample.id in own]
        ready = [sample for sample in wanted if check.alone or (answered and inputs.there(check, sample))]
        for sample, found in checked(executor, run, check, ready, step):
            failures += failures_of(kind, sample, found)
        if len(ready) < len(wanted):
            left[kind] = len(wanted) - len(ready)
    return CheckedSamples(tuple(failures), left)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Inputs of checks that other shards compute; failed ones are there too."""

    plan: Plan
    run: RunDirectory
    _known: dict[str, bool] = field(default_factory=dict)  # by sample: whether all its maps are there

    def answered(self) -> bool:
        """Return whether the model has answered about every sample, which decides who is compared with whom."""
        items = [SampleJob(self.plan, self.run, sample) for sample in self.plan.samples]
        if not all(self.run.store.path(item.answer_name).exists() for item in items):
            return False  # without reading any video for its key
        return all(self.run.store.peek(item.answer_name, item.answer_key) for item in items)

    def there(self, check: Check, sample: Sample) -> bool:
        """Return whether the maps of all other samples that a check reads are there."""
        return all(self._mapped(other) for other in check.others(sample))

    def _mapped(self, sample: Sample) -> bool:
        if sample.id not in self._known:
            self._known[sample.id] = all(self._maps(sample))
        return self._known[sample.id]

    def _maps(self, sample: Sample) -> Iterator[bool]:
        item = SampleJob(self.plan, self.run, sample)
        answer = self.run.store.peek(item.answer_name, item.answer_key)
        for method in self.plan.methods if answer and not answer.error else ():
            yield VolumeJob(item, method).peek() is not None
