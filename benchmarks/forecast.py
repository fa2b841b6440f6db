"""Forecast of a run: how many results are cached, missing or failed, and the time that the missing ones take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from attrib.benchmarks.checks import compute
from attrib.benchmarks.checks.jobs import errors
from attrib.benchmarks.engines.choose import expected_workers
from attrib.benchmarks.jobs import curves
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.question import refuse_other_question
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Record, State, Store, file_name
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.metrics.faithfulness import CurveMetric
from attrib.config import Config
from attrib.errors import AttribError
from attrib.explaining.expected_memory import memory_note, memory_warnings
from attrib.runtime.progress import Progress, report_progress
from attrib.settings.engine import AUTO, Engine
from attrib.settings.shard import Shard
from attrib.types import Sample

Kind = tuple[str, ...]  # ("answers",), ("volumes", method) or ("scores", method, group): records of similar cost


@dataclass(frozen=True)
class Count:
    """Numbers of records of one kind: cached (`kept`), to be computed (`missing`), or failed and not retried.

    `seconds` is the estimate for the missing ones, from the mean of earlier ones; None if there are no earlier ones.
    """

    kind: str
    method: str
    kept: int
    missing: int
    failed: int
    seconds: float | None


@dataclass(frozen=True)
class ShardsForecast:
    """Seconds that the longest shard takes, and those of the checks between samples, which may be left after them."""

    longest: float | None
    rest: float | None


@dataclass(frozen=True)
class ExpectedMemory:
    """Sentence on the memory that the methods are expected to need on the first video, and one if it is not there."""

    note: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """Counts by kind and method, the number of processes, and the peak memory in bytes of the cached maps.

    `memory` is what a process is expected to need; None if no video can be read.

    `seconds` is the estimate for the whole run; None if the cost of one kind is unknown. So is that of each sample in
    `by_sample`, in the data set's order; `rest` is that of the checks that read other samples' maps.
    """

    counts: tuple[Count, ...]
    seconds: float | None
    workers: int
    peak_memory: int | None
    memory: ExpectedMemory | None
    by_sample: tuple[float | None, ...]
    rest: float | None

    def shards(self, count: int) -> ShardsForecast:
        """Forecast of `count` shards, each on a GPU of its own."""
        shares = [_sum(Shard(number, count).of(self.by_sample)) for number in range(1, count + 1)]
        known = [share for share in shares if share is not None]
        return ShardsForecast(max(known) if len(known) == count else None, self.rest)

    def totals(self) -> list[Count]:
        """Sum the counts over all methods, by kind."""
        kinds = dict.fromkeys(count.kind for count in self.counts)
        return [_total(kind, [count for count in self.counts if count.kind == kind]) for kind in kinds]


@dataclass(frozen=True)
class _Past:
    """Log of what was computed in the directory before, and the number of processes that will go on."""

    log: Store
    workers: int


def forecast(
    config: Config, directory: Path, step: Progress | None = None, retry_failed: bool = False, replace: bool = False,
    engine: Engine = AUTO,
) -> Forecast:  # fmt: skip
    """Forecast the work of a run with the same arguments; raise the same errors, but write nothing."""
    plan = Plan.of(config, step)
    past = _Past(Store(directory), expected_workers(engine, config, plan))
    if replace:
        with TemporaryDirectory() as empty:
            return _forecast(plan, RunDirectory.at(Path(empty)), past, step)
    refuse_other_question(directory, plan)
    return _forecast(plan, RunDirectory.at(directory, retry_failed), past, step)


def _forecast(plan: Plan, run: RunDirectory, past: _Past, step: Progress | None) -> Forecast:
    states: dict[str, Counter[tuple[Kind, State]]] = {sample.id: Counter() for sample in plan.samples}
    rest: Counter[tuple[Kind, State]] = Counter()
    peaks = []
    for number, sample in enumerate(plan.samples):
        report_progress(step, sample.id, number, len(plan.samples))
        with run.indexed(save=False) as indexed:
            for kind, state, record in _states(SampleJob(plan, indexed, sample)):
                states[sample.id][kind, state] += 1
                peaks.append(record.value["peak_memory"] if kind[0] == "volumes" and record and record.value else None)
    for sample, alone, kind, state in _check_states(plan, run):
        (states[sample.id] if alone else rest)[kind, state] += 1
    costs = _costs(past.log)

    def seconds(some: Mapping[tuple[Kind, State], int]) -> float | None:
        total = _total("", _counts(some, costs)).seconds
        return None if total is None else total / past.workers

    together = sum(states.values(), Counter[tuple[Kind, State]]()) + rest
    known = [peak for peak in peaks if peak is not None]
    return Forecast(
        _counts(together, costs), seconds(together), past.workers, max(known, default=None),
        _memory(plan, run), tuple(map(seconds, states.values())), seconds(rest),
    )  # fmt: skip


def _memory(plan: Plan, run: RunDirectory) -> ExpectedMemory | None:
    """Return what the methods are expected to need on the first video that can be read."""
    for sample in plan.samples:
        try:
            subject = SampleJob(plan, run, sample).unanswered()
        except AttribError:
            continue
        methods = [(method.label, method.item) for method in plan.methods]
        return ExpectedMemory(memory_note(subject, methods), memory_warnings(subject, methods))
    return None


def _states(item: SampleJob) -> Iterator[tuple[Kind, State, Record | None]]:
    """Yield kind, state and record of every result of a sample; results that depend on a failed one count as failed."""
    store = item.run.store
    answer = store.peek(item.answer_name, item.answer_key)
    yield ("answers",), _state(answer), answer
    blocked = answer is not None and bool(answer.error)
    if item.sample.counterfactuals:
        gate = store.peek(item.gate_name, item.gate_key)
        yield ("gates",), "failed" if blocked else _state(gate), gate
    for method in item.plan.methods:
        yield from _map_states(VolumeJob(item, method), blocked)


def _map_states(job: VolumeJob, blocked: bool) -> Iterator[tuple[Kind, State, Record | None]]:
    plan, label = job.item.plan, job.method.label
    volume = job.peek()
    yield ("volumes", label), "failed" if blocked else _state(volume), volume
    blocked = blocked or (volume is not None and bool(volume.error))
    if plan.contrasts:
        rival = job.towards_rival.peek()
        yield ("rivals", label), "failed" if blocked else _state(rival), rival
    for group in plan.metric_groups:
        scores = job.peek_scores(group)
        rows = [scores.get(key) for key in job.score_keys(group)]
        state: State = "missing" if None in rows else "failed" if any(row and row["error"] for row in rows) else "kept"
        yield ("scores", label, group), "failed" if blocked else state, None
        yield from _curve_states(job, group, blocked)


def _curve_states(job: VolumeJob, group: str, blocked: bool) -> Iterator[tuple[Kind, State, Record | None]]:
    """Yield the state of a group's curves, if its metrics read some; failed if all of these metrics failed."""
    scores, keys = job.peek_scores(group), job.score_keys(group)
    rows = [scores.get(key) for key, metric in keys.items() if isinstance(metric.item, CurveMetric)]
    if rows:
        blocked = blocked or all(row and row["error"] for row in rows)
        record = None if blocked else curves.peek(job, group)
        yield ("curves", job.method.label, group), "failed" if blocked else _state(record), None


def _check_states(plan: Plan, run: RunDirectory) -> Iterator[tuple[Sample, bool, Kind, State]]:
    """Yield the sample of every check, the flag of one that reads only its own maps, kind and state.

    Checks that depend on a failed answer or map count as failed.
    """
    for kind, check in compute.checks(plan, run).items():
        for sample in check.samples:
            jobs, item = check.jobs(sample), SampleJob(plan, run, sample)
            answer = run.store.peek(item.answer_name, item.answer_key)
            for method in plan.methods:
                job, record = jobs.get(method.label), None
                if job:
                    record = job.peek()
                    failed = record is not None and bool(errors(record))
                else:
                    failed = any(each and each.error for each in (answer, VolumeJob(item, method).peek()))
                state: State = "failed" if failed else "kept" if record else "missing"
                yield sample, check.alone, (kind, method.label), state


def _state(record: Record | None) -> State:
    return "missing" if record is None else "failed" if record.error else "kept"


def _costs(store: Store) -> Mapping[Kind, float]:
    """Mean seconds of earlier computations in this directory by kind, from its log."""
    seconds: dict[Kind, list[float]] = {}
    for line in store.logged():
        if not line["failed"]:
            kind, _, *rest = line["item"].split("/")
            seconds.setdefault((kind, *rest), []).append(line["seconds"])
    return {kind: fmean(each) for kind, each in seconds.items()}


def _counts(states: Mapping[tuple[Kind, State], int], costs: Mapping[Kind, float]) -> tuple[Count, ...]:
    def count(kind: Kind) -> Count:
        kept, missing, failed = (states.get((kind, state), 0) for state in ("kept", "missing", "failed"))
        cost = costs.get((kind[0], *map(file_name, kind[1:])))
        seconds = 0.0 if not missing else None if cost is None else missing * cost
        return Count(" ".join((kind[0], *kind[2:])), kind[1] if kind[1:] else "", kept, missing, failed, seconds)

    return tuple(count(kind) for kind in dict.fromkeys(kind for kind, _ in states))


def _total(kind: str, counts: Sequence[Count]) -> Count:
    kept, missing, failed = (sum(getattr(count, state) for count in counts) for state in ("kept", "missing", "failed"))
    return Count(kind, "", kept, missing, failed, _sum([count.seconds for count in counts]))


def _sum(seconds: Sequence[float | None]) -> float | None:
    """Sum of the seconds; None if some are unknown."""
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None
