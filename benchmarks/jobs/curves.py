"""The perturbation curves of a run: cached records, and one long table, curves.parquet.

A record has the curves of one map under one imputer, in the orders that the run's metrics read. The evaluator has
cached all of them when the scores are complete, so that storing them needs no further model evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.roles import is_seen
from attrib.benchmarks.jobs.store import Name, Record
from attrib.benchmarks.jobs.volume_job import VolumeJob
from attrib.benchmarks.metrics.faithfulness import CurveMetric
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import Curves, chance_curves, curves
from attrib.config import Entry
from attrib.runtime.files import writing

Order = Literal["most_first", "least_first", "insertion"]
ORDERS: tuple[Order, ...] = get_args(Order)
FILE = "curves.parquet"
COLUMNS = {
    "sample": "string", "video": "string", "task": "string", "method": "string", "imputer": "string",
    "order": "string", "fraction": "float64", "log_odds": "float64", "probability": "float64",
}  # fmt: skip


class CurveRecord(NamedTuple):
    """One curve of a sample; `method` is None for the seeded random order, which gives the chance levels.

    fraction (k,): share of cells removed, or inserted, from 0 to 1; log_odds (k,) in nats; probability (k,) of the
    explained option.
    """

    sample: str
    video: str
    task: str
    method: str | None
    imputer: str
    order: str
    fraction: Sequence[float]
    log_odds: Sequence[float | None]
    probability: Sequence[float | None]


def read_by(job: VolumeJob, group: str) -> dict[str, Entry]:
    """Return the group's metrics, by key, that read curves and have a score for this map."""
    wanted = job.item.curve_keys[group]
    scores = job.peek_scores(group) if wanted else {}
    return {
        key: metric for key, metric in wanted.items()
        if key in scores and not scores[key]["error"] and not is_seen(job.method, metric)
    }  # fmt: skip


def peek(job: VolumeJob, group: str) -> Record | None:
    """Return the cached record with the curves of a scored map, or None."""
    return job.store.peek(record_name(job, group), record_key(job, read_by(job, group)))


def curve_records(job: VolumeJob) -> Iterator[Record]:
    """Yield the curves of a scored map, cached or computed: one record for each group with metrics that read curves."""
    for group in job.item.plan.metric_groups:
        if metrics := read_by(job, group):
            make = partial(_compute, job, list(metrics.values()))
            yield job.store.get_or_compute(record_name(job, group), record_key(job, metrics), make, job.given)


def rows(job: VolumeJob, record: Record) -> Iterator[CurveRecord]:
    """Yield the curves of a record; none if it failed."""
    sample, label = job.item.sample, job.method.label
    for chance, *curve in record.value or ():
        yield CurveRecord(sample.id, sample.video_id, sample.task, None if chance else label, *curve)


def write(directory: Path, curves: Iterable[CurveRecord]) -> None:
    """Write curves.parquet with a row for each point and chance once per sample, or remove it if there are no curves.

    `method` is missing in the rows of the random order, which gives the chance levels.
    """
    first: dict[tuple[str | None, ...], CurveRecord] = {}
    for curve in curves:
        first.setdefault((curve.sample, curve.method, curve.imputer, curve.order), curve)
    if not first:
        (directory / FILE).unlink(missing_ok=True)  # from an earlier run with other metrics
        return
    table = pd.DataFrame(list(first.values()), columns=list(COLUMNS))
    table = table.explode(["fraction", "log_odds", "probability"], ignore_index=True).astype(COLUMNS)
    with writing(directory / FILE) as file:
        file.write_bytes(table.to_parquet(index=False))


def record_name(job: VolumeJob, group: str) -> Name:
    """Name of the record with the curves of a group."""
    return ("curves", job.item.sample.id, job.method.label, group)


def record_key(job: VolumeJob, metrics: Iterable[str]) -> str:
    """Cache key of the curves that these metrics, by their keys, read."""
    return digest(job.key, list(metrics), _code())


@cache
def _code() -> str:
    return CodeHashes().of_module(__name__)


def _compute(job: VolumeJob, entries: Sequence[Entry]) -> list[list[Any]]:
    """Compute the curves that the metrics read, of the map and of chance; none for a map that ranks nothing."""
    subject, metrics = job.item.subject, [entry.item for entry in entries]
    label, imputer = entries[0].parameters["imputer"], metrics[0].imputer  # one for the whole group
    try:
        own = curves(job.volume, subject, imputer)
        for metric in metrics:
            metric.read(own)
    except UndefinedError:
        return []
    chance = chance_curves(subject, imputer)
    for metric in metrics:
        if type(metric).chance is CurveMetric.chance:  # others know their chance level without a curve
            metric.read(chance)
    return [*_values(own, label, chance=False), *_values(chance, label, chance=True)]


def _values(curves: Curves, imputer: str, chance: bool) -> Iterator[list[Any]]:
    """Yield each order that was read, as a JSON list: the flag `chance`, then CurveRecord from `imputer` on."""
    for order in ORDERS:
        if order in vars(curves):  # evaluated when first read
            curve = getattr(curves, order)
            heights = (_finite(each.tolist()) for each in (curve.log_odds, curve.probability))
            yield [chance, imputer, order, curve.fractions.tolist(), *heights]


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
