"""What a run computes beside its scores: sanity.parquet, floors.parquet, nulls.parquet, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pandas as pd

from attrib.benchmarks.checks import floors, jobs, sanity
from attrib.benchmarks.checks.jobs import (
    MISSING,
    Bench,
    Probe,
    floor_parts,
    is_failed,
    null_parts,
    sanity_parts,
)
from attrib.benchmarks.checks.nulls import LEAST, alignment, pairing_rows, primary, unpaired_rows
from attrib.benchmarks.checks.sampling import groups, partners, spread_out
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Failure, Record, State
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.jobs.workers import map_in_processes
from attrib.benchmarks.stats.resampling import Resampling
from attrib.capabilities import NamesBlocks, require
from attrib.config import Entry
from attrib.errors import ConfigError, nearest
from attrib.runtime.files import writing
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample

SHARED = {"sample": "string", "video": "string", "task": "string", "method": "string"}
SCORED = {"metric": "string", "value": "float64", "reason": "string", "error": "string"}
COLUMNS = {
    "sanity": {**SHARED, "part": "string", "randomised": "Int64", "blocks": "Int64", **SCORED},
    "floors": {**SHARED, "floor": "string", **SCORED},
    "nulls": {**SHARED, "partner": "string", "null": "string", **SCORED},
}
FILES = ("sanity.parquet", "floors.parquet", "nulls.parquet", "sanity.csv", "floors.csv")
Work = Callable[[Sample], dict[str, Record]]


@dataclass(frozen=True, eq=False)
class Checks:
    """The long tables, None for those not asked for; a line for each method and part, and for each method and floor."""

    sanity: pd.DataFrame | None = None
    floors: pd.DataFrame | None = None
    nulls: pd.DataFrame | None = None
    verdicts: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    failures: tuple[Failure, ...] = ()  # the first one of each method on each sample, by kind of check


def check(plan: Plan) -> None:
    """Raises ConfigError or UnsupportedModel for what was asked for and cannot be had, before anything is computed."""
    if plan.config.sanity.videos:
        require(plan.model, NamesBlocks, "sanity")
    null_metrics(plan)


def null_metrics(plan: Plan) -> list[Entry]:
    """The metrics of the nulls. Raises ConfigError for a label that is none of the run's alignment metrics."""
    known, wanted = alignment(plan.metrics), plan.config.null_metrics
    for label in wanted or ():
        labels = [entry.label for entry in known]
        if label not in labels:
            raise ConfigError(f"null_metrics: {label!r} is no alignment metric of this run; {nearest(label, labels)}")
    return primary(known) if wanted is None else [entry for entry in known if entry.label in wanted]


def compute(plan: Plan, run: RunDirectory, results: pd.DataFrame, step: Progress | None = None) -> Checks:
    """What is asked for and missing, then the tables, written to the run's directory. `results` are its scores."""
    for name in FILES:
        (run.directory / name).unlink(missing_ok=True)  # of a run that asked for more
    config = plan.config
    if not (config.sanity.videos or config.floors.videos or config.null_pairs):
        return Checks()
    tables: dict[str, pd.DataFrame] = {}
    failures: list[Failure] = []
    for kind, (work, samples) in _jobs(plan, run).items():
        rows = []
        for number, (sample, parts) in enumerate(
            zip(samples, map_in_processes(work, samples, plan.workers), strict=True), 1
        ):
            report_progress(step, f"{kind}  {sample.id}", number, len(samples))
            rows += [row for label, part in parts.items() for row in _rows(sample, label, part)]
            failures += [each for label, part in parts.items() if (each := _failure(kind, sample, label, part))]
        rows += _unpaired(plan, _lengths(plan, run)) if kind == "nulls" else []
        tables[kind] = pd.DataFrame(rows, columns=list(COLUMNS[kind])).astype(COLUMNS[kind])
        with writing(run.directory / f"{kind}.parquet") as file:
            tables[kind].to_parquet(file, index=False)
    extras = Checks(**tables, **_told(plan, tables, results), failures=tuple(failures))
    for name, table in (("sanity.csv", extras.verdicts), ("floors.csv", extras.differences)):
        if table is not None:
            run.write_table(name, table)
    return extras


def states(plan: Plan, run: RunDirectory) -> Iterator[tuple[str, str, State]]:
    """Table, method and state of each part that `compute` would make or find; nothing is computed."""
    for kind, (work, samples) in _jobs(plan, run, Probe).items():
        for sample in samples:
            found, item = work(sample), SampleJob(plan, run, sample)
            answer = run.parts.kept(item.answer_name, item.answer_key)
            failed = answer if answer and answer.error else None
            for method in plan.methods:
                part = found.get(method.label) or failed or VolumeJob(item, method).kept() or MISSING
                yield kind, method.label, _state(part)


def _state(part: Record) -> State:
    """`part` is of rows, MISSING, or stands for an answer or a map: one that failed gives no rows."""
    if part.error or (isinstance(part.value, list) and any(map(is_failed, part.value))):
        return "failed"
    return "missing" if part is MISSING else "kept"


def _lengths(plan: Plan, run: RunDirectory) -> dict[str, int]:
    return {sample.id: length for sample in plan.samples if (length := _frames(plan, run, sample))}


def _jobs(plan: Plan, run: RunDirectory, kind: type[Bench] = Bench) -> dict[str, tuple[Work, tuple[Sample, ...]]]:
    """What to do with which samples, by table."""
    config, sources, lengths = plan.config, CodeHashes(), _lengths(plan, run)

    def bench(metrics: Sequence[Entry], item: Callable[..., Any]) -> Bench:
        return kind(plan, run, tuple(metrics), digest(sources.of(item), sources.of_module(jobs.__name__)), lengths)

    found: dict[str, tuple[Work, tuple[Sample, ...]]] = {}
    if config.sanity.videos:
        chosen = spread_out(plan.samples, config.sanity.videos, config.seed)
        found["sanity"] = partial(sanity_parts, bench((), sanity.sanity_rows)), chosen
    if config.floors.videos:
        chosen = spread_out(plan.samples, config.floors.videos, config.seed)
        found["floors"] = partial(floor_parts, bench(alignment(plan.metrics), floors.floor_rows)), chosen
    if config.null_pairs:
        served = _served(plan, lengths)
        found["nulls"] = partial(null_parts, bench(null_metrics(plan), pairing_rows), served), plan.samples
    return found


def _served(plan: Plan, lengths: Mapping[str, int]) -> dict[str, list[Sample]]:
    """The samples whose maps are held against a sample's annotation, by its id."""
    served: dict[str, list[Sample]] = {}
    for group in _large(plan, lengths):
        found = partners(group, plan.config.null_pairs)
        for sample in group:
            for partner in found[sample.id]:
                served.setdefault(partner.id, []).append(sample)
    return served


def _large(plan: Plan, lengths: Mapping[str, int]) -> list[list[Sample]]:
    """The groups within which maps are paired."""
    return [group for group in groups(plan.samples, lengths, plan.config.seed) if _videos(group) >= LEAST]


def _unpaired(plan: Plan, lengths: Mapping[str, int]) -> list[dict[str, Any]]:
    """Rows of the samples without partners."""
    labels = [method.label for method in plan.methods]
    return [
        asdict(row)
        for group in groups(plan.samples, lengths, plan.config.seed) if _videos(group) < LEAST
        for sample in group for row in unpaired_rows(sample, _videos(group), labels, null_metrics(plan))
    ]  # fmt: skip


def _videos(group: Sequence[Sample]) -> int:
    return len({sample.video_id for sample in group})


def _frames(plan: Plan, run: RunDirectory, sample: Sample) -> int | None:
    """Of the sample's clip, where the model has answered."""
    item = SampleJob(plan, run, sample)
    answer = run.parts.kept(item.answer_name, item.answer_key)
    return int(answer.value["frames"]) if answer and not answer.error else None


def _rows(sample: Sample, label: str, part: Record) -> list[dict[str, Any]]:
    """Rows of a record in its table; one that failed has one row, with the error."""
    own = {"sample": sample.id, "video": sample.video_id, "task": sample.task, "method": label}
    return [{**own, **row} for row in ([{"reason": "", "error": part.error}] if part.error else part.value)]


def _failure(kind: str, sample: Sample, label: str, part: Record) -> Failure | None:
    errors = [part.error] if part.error else [row["error"] for row in part.value if is_failed(row)]
    return Failure(sample.id, sample.video_id, label, kind, errors[0]) if errors else None


def _told(plan: Plan, tables: Mapping[str, pd.DataFrame], results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    resampling = Resampling(plan.config.resamples, plan.config.seed)
    found = {}
    if "sanity" in tables:
        found["verdicts"] = sanity.verdicts(tables["sanity"], resampling)
    if "floors" in tables:
        tested = primary(plan.metrics) or alignment(plan.metrics)
        found["differences"] = floors.differences(tables["floors"], results, tested, resampling)
    return found
