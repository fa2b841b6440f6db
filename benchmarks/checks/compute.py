"""The optional checks of a run (sanity, floors, nulls): compute them and write their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pandas as pd

from attrib.benchmarks.checks import floors, jobs, nulls, sampling, sanity, schema
from attrib.benchmarks.checks.jobs import CheckContext, CheckJob
from attrib.benchmarks.engines.executor import Executor, Stage
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Failure, Record
from attrib.benchmarks.stats.resampling import Resampling
from attrib.capabilities import NamesBlocks, require
from attrib.config import Entry
from attrib.errors import ConfigError, nearest
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample


@dataclass(frozen=True, eq=False)
class Checks:
    """Tables of the checks, None if not configured; `verdicts` and `differences` sum up sanity and floors by method."""

    sanity: pd.DataFrame | None = None
    floors: pd.DataFrame | None = None
    nulls: pd.DataFrame | None = None
    verdicts: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    failures: tuple[Failure, ...] = ()  # the first failure of each method on each sample and kind of check


@dataclass(frozen=True)
class Check:
    """One kind of check: the jobs of a sample by method, the samples to check, and the others whose maps a job reads.

    `alone`: the jobs of a sample depend on no other sample. `lengths`: number of frames by sample, where it is known.
    """

    kind: str
    lengths: Mapping[str, int]
    jobs: Callable[[Sample], Mapping[str, CheckJob]]
    samples: tuple[Sample, ...]
    others: Callable[[Sample], Sequence[Sample]]
    alone: bool = False


def check(plan: Plan) -> None:
    """Raise ConfigError or UnsupportedModel, before anything is computed, for a check that is not possible."""
    if plan.config.sanity.videos:
        require(plan.model, NamesBlocks, "sanity")
    null_metrics(plan)


def null_metrics(plan: Plan) -> list[Entry]:
    """Return the metrics of the nulls. Raises ConfigError for a label that is not an alignment metric of the run."""
    known, wanted = nulls.alignment(plan.metrics), plan.config.null_metrics
    for label in wanted or ():
        labels = [entry.label for entry in known]
        if label not in labels:
            raise ConfigError(
                f"null_metrics: {label!r} is not an alignment metric of this run; {nearest(label, labels)}"
            )
    return nulls.primary(known) if wanted is None else [entry for entry in known if entry.label in wanted]


def compute(executor: Executor, run: RunDirectory, results: pd.DataFrame, step: Progress | None = None) -> Checks:
    """Compute the configured checks, if missing, and write their tables. `results` has the scores."""
    plan = executor.plan
    for name in schema.FILES:
        (run.directory / name).unlink(missing_ok=True)  # from an earlier run with more checks
    config = plan.config
    if not (config.sanity.videos or config.floors.videos or config.null_pairs):
        return Checks()
    tables: dict[str, pd.DataFrame] = {}
    failures: list[Failure] = []
    for kind, each in checks(plan, run).items():
        rows = []
        for sample, found in checked(executor, run, each, each.samples, step):
            rows += [row for label, record in found.items() for row in schema.rows(sample, label, record)]
            failures += failures_of(kind, sample, found)
        rows += _unpaired(plan, each.lengths) if kind == "nulls" else []
        tables[kind] = schema.write(run.directory, kind, rows)
    summaries = _summaries(plan, tables, results)
    for name, table in (("sanity.csv", summaries.get("verdicts")), ("floors.csv", summaries.get("differences"))):
        if table is not None:
            run.write_table(name, table)
    return Checks(**tables, **summaries, failures=tuple(failures))


def checks(plan: Plan, run: RunDirectory, answered: bool = True) -> dict[str, Check]:
    """Return the configured checks by kind, which is also the name of their table; compute nothing.

    Unless the model has `answered` about every sample, only checks that are `alone` have their final jobs.
    """
    config, lengths = plan.config, _lengths(plan, run) if answered else {}
    wanted = {"sanity": config.sanity.videos, "floors": config.floors.videos, "nulls": config.null_pairs}
    return {kind: CHECKS[kind](plan, run, lengths) for kind, count in wanted.items() if count}


def _sanity(plan: Plan, run: RunDirectory, lengths: Mapping[str, int]) -> Check:
    chosen = sampling.spread_out(plan.samples, plan.config.sanity.videos, plan.config.seed)
    own = CheckContext(plan, run, (), _code(sanity.sanity_rows), lengths)
    return Check("sanity", lengths, partial(jobs.sanity_jobs, own), chosen, lambda sample: (), alone=True)


def _floors(plan: Plan, run: RunDirectory, lengths: Mapping[str, int]) -> Check:
    chosen = sampling.spread_out(plan.samples, plan.config.floors.videos, plan.config.seed)
    own = CheckContext(plan, run, tuple(nulls.alignment(plan.metrics)), _code(floors.floor_rows), lengths)
    return Check("floors", lengths, partial(jobs.floor_jobs, own), chosen, partial(_swapped, plan, lengths))


def _nulls(plan: Plan, run: RunDirectory, lengths: Mapping[str, int]) -> Check:
    own = CheckContext(plan, run, tuple(null_metrics(plan)), _code(nulls.pairing_rows), lengths)
    served = _served(plan, lengths)
    partners = partial(jobs.null_jobs, own, served)
    return Check("nulls", lengths, partners, plan.samples, lambda sample: served.get(sample.id, ()))


CHECKS = {"sanity": _sanity, "floors": _floors, "nulls": _nulls}


def _code(rows: Callable[..., Any]) -> str:
    """Hash of the code that computes a check's rows."""
    code = CodeHashes()
    return digest(code.of(rows), code.of_module(jobs.__name__))


def checked(
    executor: Executor, run: RunDirectory, check: Check, samples: Sequence[Sample], step: Progress | None
) -> Iterator[tuple[Sample, dict[str, Record]]]:
    """Yield each sample and its records by method, computed if missing."""
    report_progress(step, check.kind, 0, len(samples))
    stage = Stage(check.kind, partial(_check_work, check.kind, check.lengths), check.others)
    for number, (sample, found) in enumerate(zip(samples, executor.map(stage, run, samples), strict=True), 1):
        report_progress(step, f"{check.kind}  {sample.id}", number, len(samples))
        yield sample, found


def _check_work(
    kind: str, lengths: Mapping[str, int], plan: Plan, run: RunDirectory, step: Progress | None
) -> Callable[[Sample], dict[str, Record]]:
    del step  # a check has no steps
    return partial(_records, CHECKS[kind](plan, run, lengths))


def _records(check: Check, sample: Sample) -> dict[str, Record]:
    """Return the records of a sample by method, computed if missing."""
    return {label: job.record() for label, job in check.jobs(sample).items()}


def failures_of(kind: str, sample: Sample, records: Mapping[str, Record]) -> list[Failure]:
    """Return the first failure of each method on a sample."""
    first = (schema.failure(kind, sample, label, record) for label, record in records.items())
    return [failure for failure in first if failure]


def _swapped(plan: Plan, lengths: Mapping[str, int], sample: Sample) -> list[Sample]:
    """Return the sample whose map is the floor `swapped_video`, if there is one."""
    other = sampling.swapped(sample, plan.samples, lengths, plan.config.seed)
    return [other] if other else []


def _served(plan: Plan, lengths: Mapping[str, int]) -> dict[str, list[Sample]]:
    """Return, by sample id, the samples whose maps are scored on that sample's annotation."""
    served: dict[str, list[Sample]] = {}
    for group in sampling.groups(plan.samples, lengths, plan.config.seed):
        if _videos(group) >= nulls.LEAST:
            partners = sampling.partners(group, plan.config.null_pairs)
            for sample in group:
                for partner in partners[sample.id]:
                    served.setdefault(partner.id, []).append(sample)
    return served


def _unpaired(plan: Plan, lengths: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the rows of the samples without partners."""
    labels = [method.label for method in plan.methods]
    return [
        asdict(row)
        for group in sampling.groups(plan.samples, lengths, plan.config.seed) if _videos(group) < nulls.LEAST
        for sample in group for row in nulls.unpaired_rows(sample, _videos(group), labels, null_metrics(plan))
    ]  # fmt: skip


def _videos(group: Sequence[Sample]) -> int:
    return len({sample.video_id for sample in group})


def _lengths(plan: Plan, run: RunDirectory) -> dict[str, int]:
    """Return the number of frames of each sample's clip, by id, if the model has answered."""
    lengths = {}
    for sample in plan.samples:
        item = SampleJob(plan, run, sample)
        answer = run.store.peek(item.answer_name, item.answer_key)
        if answer and not answer.error:
            lengths[sample.id] = int(answer.value["frames"])
    return lengths


def _summaries(plan: Plan, tables: Mapping[str, pd.DataFrame], results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the verdicts of the sanity checks and the differences from the floors."""
    resampling = Resampling(plan.config.resamples, plan.config.seed)
    summaries = {}
    if "sanity" in tables:
        summaries["verdicts"] = sanity.verdicts(tables["sanity"], resampling)
    if "floors" in tables:
        tested = nulls.primary(plan.metrics) or nulls.alignment(plan.metrics)
        summaries["differences"] = floors.differences(tables["floors"], results, tested, resampling)
    return summaries
