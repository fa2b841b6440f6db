"""Computation of a run: samples x methods x metrics, with cached results and with failures that do not stop it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from attrib.benchmarks import overlays
from attrib.benchmarks.checks import compute
from attrib.benchmarks.checks.compute import Checks
from attrib.benchmarks.engines.choose import executor_of
from attrib.benchmarks.engines.executor import Executor, Stage
from attrib.benchmarks.jobs import curves
from attrib.benchmarks.jobs.directory import ResultRows, RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.question import refuse_other_question
from attrib.benchmarks.jobs.roles import searching
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Failure, Record
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.tables import write
from attrib.benchmarks.tables.corrected import with_corrected
from attrib.benchmarks.tables.tally import no_choices, undefined_reason
from attrib.benchmarks.tables.write import Tables
from attrib.config import Config, Entry
from attrib.model import vocabulary_warnings
from attrib.runtime.progress import Progress, report_progress
from attrib.settings.engine import AUTO, Engine
from attrib.types import Sample


@dataclass(frozen=True, eq=False)
class Outcome:
    """Outcome of a run: its directory, the long table of results, the summary tables and the failures."""

    directory: Path
    results: pd.DataFrame
    tables: Tables
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]  # of each video, once, and of damaged files
    computed: int  # number of records computed now: answers, gates, maps, groups of scores; the others were cached
    extras: Checks  # sanity checks, floors and nulls, if configured

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row for each subset, method and metric."""
        return self.tables.leaderboard


@dataclass(frozen=True)
class Done:
    """Results of one sample."""

    rows: tuple[dict[str, Any], ...]
    curves: tuple[curves.CurveRecord, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def run(
    config: Config, directory: Path, step: Progress | None = None, retry_failed: bool = False, replace: bool = False,
    engine: Engine = AUTO,
) -> Outcome:  # fmt: skip
    """Compute the missing results in `directory`, then write the results and their tables (see tables.write).

    `replace` removes an earlier run there first. Raises InputError, before anything is written, for invalid input or if
    the directory has a run of another question; NotWritten if results can no longer be stored. On an interrupt the
    results so far are written first.
    """
    with executor_of(engine, config, compute.check, step) as executor:
        plan = executor.plan
        if not replace:
            refuse_other_question(directory, plan)
        with RunDirectory.opened(directory, plan.config, retry_failed, replace) as run:
            return _run(executor, run, step)


def _run(executor: Executor, run: RunDirectory, step: Progress | None) -> Outcome:
    plan, directory = executor.plan, run.directory
    begun = run.store.log_sizes()
    rows, done, unmapped = ResultRows(), list[Done](), set[tuple[str, str]]()
    try:
        for each in sample_results(executor, run, plan.samples, step):
            rows.add(each.rows)
            unmapped |= _without_map(each.rows)
            done.append(dataclasses.replace(each, rows=()))
        overlay_failures = tuple(overlays.draw(plan, run, unmapped, step))
    finally:
        results = run.write_results(rows.table())
        curves.write(directory, (curve for each in done for curve in each.curves))
    checks = compute.compute(executor, run, results, step)
    results = run.write_results(with_corrected(results, checks.nulls, plan.metrics))
    report_progress(step, "tables", 0, 0)
    tables = write.summarise(results, checks.nulls, plan.metrics, plan.config)
    write.write(directory, tables)
    log = list(run.store.logged(begun))
    report_progress(step, "done", len(done), len(done))
    failures = *(failure for each in done for failure in each.failures), *overlay_failures, *checks.failures
    count = "one process" if executor.workers == 1 else f"{executor.workers} processes"
    warnings = [f"workers: {count} instead of {plan.config.workers}: {executor.note}"] if executor.note else []
    warnings += [text for each in done for text in each.warnings]
    warnings += [f"{line['damaged']}: not readable, computed again" for line in log if line["damaged"]]
    warnings += searching(plan.config)
    warnings += filter(None, [no_choices(results), undefined_reason(results)])
    return Outcome(directory, results, tables, failures, tuple(dict.fromkeys(warnings)), len(log), checks)


def sample_results(
    executor: Executor, run: RunDirectory, samples: Sequence[Sample], step: Progress | None
) -> Iterator[Done]:
    """Compute the missing results of the samples; yield the results of each, in order."""
    each = len(executor.plan.methods)
    total = len(samples) * each
    finished = 0

    def within(what: str, done: int, _: int) -> None:
        report_progress(step, what, finished * each + done, total)

    report_progress(step, "first samples", 0, total)
    results = executor.map(Stage("samples", _sample_work), run, samples, within)
    for sample, done in zip(samples, results, strict=True):
        finished += 1
        report_progress(step, sample.id, finished * each, total)
        yield done


def _sample_work(plan: Plan, run: RunDirectory, step: Progress | None) -> Callable[[Sample], Done]:
    def work(sample: Sample) -> Done:
        with run.indexed() as indexed:
            return _sample(SampleJob(plan, indexed, sample), step)

    return work


def _sample(item: SampleJob, step: Progress | None) -> Done:
    """Compute the missing results of one sample and return all of them; read the video only if one is missing."""
    plan = item.plan
    rows, read, failures = [], [], list(_failures(item))
    for number, method in enumerate(plan.methods):
        report_progress(step, f"{item.sample.id}  {method.label}", number, len(plan.methods))
        job = VolumeJob(item, method)
        for row, failure in _rows(job):
            rows.append(row)
            failures += [failure] if failure else []
        for curve_rows, failure in _curves(job):
            read += curve_rows
            failures += [failure] if failure else []
    warnings = [f"{item.sample.video_id}: {text}" for text in (item.answer.value or {}).get("warnings", ())]
    warnings += [*item.sample.warnings, *vocabulary_warnings(plan.model, item.sample.question)]
    return Done(tuple(rows), tuple(read), tuple(failures), tuple(warnings))


def _failures(item: SampleJob) -> Iterator[Failure]:
    """Yield the failure of a sample without an answer, or without a gate."""
    failed = item.answer if item.answer.error else item.gate
    if failed.error:
        yield Failure(item.sample.id, item.sample.video_id, "", "", failed.error)


def _rows(job: VolumeJob) -> Iterator[tuple[dict[str, Any], Failure | None]]:
    """Yield rows of the results table for one map, each with its failure; a failed map has one row without a metric."""
    item, sample, label = job.item, job.item.sample, job.method.label
    record = Record("", error=item.answer.error) if item.answer.error else job.record()
    shared = {
        "sample": sample.id, "video": sample.video_id, "task": sample.task, "area": sample.area,
        "reasoning": sample.reasoning, "rule": sample.rule, "method": label, **_answered(item),
        "seconds": (record.value or {}).get("seconds"), "peak_memory": (record.value or {}).get("peak_memory"),
    }  # fmt: skip
    if record.error:
        own = not item.answer.error  # a failed answer is reported once
        failure = Failure(sample.id, sample.video_id, label, "", record.error) if own else None
        yield {**shared, "metric": "", "reason": "", "error": record.error}, failure
        return
    if item.plan.contrasts:
        job.towards_rival.record()  # the metrics that need it report its failure
    for metric, score in _ordered(job):
        error, imputer = score["error"], metric.parameters.get("imputer")
        failure = Failure(sample.id, sample.video_id, label, metric.label, error) if error else None
        yield {**shared, **score, "metric": metric.label, "imputer": imputer}, failure


def _curves(job: VolumeJob) -> Iterator[tuple[list[curves.CurveRecord], Failure | None]]:
    """Yield the curves behind the map's scores, or their failure, which leaves the scores intact."""
    sample, label = job.item.sample, job.method.label
    for record in curves.curve_records(job):
        failure = Failure(sample.id, sample.video_id, label, "curves", record.error) if record.error else None
        yield list(curves.rows(job, record)), failure


def _ordered(job: VolumeJob) -> list[tuple[Entry, dict[str, Any]]]:
    """Return the scores in the metrics' order."""
    plan = job.item.plan
    scores = {id(metric): score for group in plan.metric_groups for metric, score in job.scores(group)}
    return [(metric, scores[id(metric)]) for metric in plan.metrics]


def _answered(item: SampleJob) -> dict[str, Any]:
    """Model's choice, the letters' mass, whether it is correct, and whether the evidence is ground truth (`gated`)."""
    if item.answer.error:
        return {"answer": None, "letter_mass": None, "correct": None, "gated": None}
    logprobs, question = item.answer.value["logprobs"], item.sample.question
    chosen = logprobs.index(max(logprobs))
    correct = None if question.answer is None else question.answer == chosen
    mass = item.answer.value["letter_mass"]
    return {"answer": question.letters[chosen], "letter_mass": mass, "correct": correct, "gated": item.gate.value}


def _without_map(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Samples and labels of methods whose map failed."""
    return {(row["sample"], row["method"]) for row in rows if not row["metric"]}
