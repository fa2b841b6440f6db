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
from attrib.benchmarks.jobs import curves
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.question import refuse_other_question
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Record, State, Store, file_name
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.metrics.faithfulness import CurveMetric
from attrib.config import Config
from attrib.runtime.progress import Progress, report_progress

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
class Forecast:
    """Counts by kind and method, the number of processes, and the peak memory in bytes of the cached maps.

    `seconds` is the estimate for the whole run; None if the cost of one kind is unknown.
    """

    counts: tuple[Count, ...]
    seconds: float | None
    workers: int
    peak_memory: int | None

    def totals(self) -> list[Count]:
        """Sum the counts over all methods, by kind."""
        kinds = dict.fromkeys(count.kind for count in self.counts)
        return [_total(kind, [count for count in self.counts if count.kind == kind]) for kind in kinds]


def forecast(
    config: Config, directory: Path, step: Progress | None = None, retry_failed: bool = False, replace: bool = False
) -> Forecast:
    """Forecast the work of a run with the same arguments; raise the same errors, but write nothing."""
    plan = Plan.of(config, step)
    if replace:
        with TemporaryDirectory() as empty:
            return _forecast(plan, RunDirectory.at(Path(empty)), Store(directory), step)
    refuse_other_question(directory, plan)
    run = RunDirectory.at(directory, retry_failed)
    return _forecast(plan, run, run.store, step)


def _forecast(plan: Plan, run: RunDirectory, log: Store, step: Progress | None) -> Forecast:
    states: Counter[tuple[Kind, State]] = Counter()
    peaks = []
    for number, sample in enumerate(plan.samples):
        report_progress(step, sample.id, number, len(plan.samples))
        for kind, state, record in _states(SampleJob(plan, run, sample)):
            states[kind, state] += 1
            peaks.append(record.value["peak_memory"] if kind[0] == "volumes" and record and record.value else None)
    states.update(_check_states(plan, run))
    counts = _counts(states, _costs(log))
    seconds = _total("", counts).seconds
    known = [peak for peak in peaks if peak is not None]
    return Forecast(counts, None if seconds is None else seconds / plan.workers, plan.workers, max(known, default=None))


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


def _check_states(plan: Plan, run: RunDirectory) -> Iterator[tuple[Kind, State]]:
    """Yield kind and state of every check; checks that depend on a failed answer or map count as failed."""
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
                yield (kind, method.label), "failed" if failed else "kept" if record else "missing"


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
    known = [count.seconds for count in counts if count.seconds is not None]
    return Count(kind, "", kept, missing, failed, sum(known) if len(known) == len(counts) else None)
