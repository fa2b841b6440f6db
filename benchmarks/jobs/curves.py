"""The perturbation curves of a run: kept as parts, and one long table, curves.parquet.

A part holds the curves of one map under one imputer, those orders alone that the run's metrics read; after the scores
the evaluator knows all of them, so that keeping them asks the model nothing more.
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
    """One curve of a sample: `method` is None for the seeded random order that chance levels are read from.

    fraction (k,) of the cells that are removed, or put back, from 0 to 1; log_odds (k,) in nats; p(option) (k,).
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


def read_by(found: VolumeJob, group: str) -> dict[str, Entry]:
    """The group's metrics that read curves and gave this map a score, by their keys."""
    scores = found.kept_scores(group)
    return {
        key: metric
        for key, metric in found.score_keys(group).items()
        if isinstance(metric.item, CurveMetric) and key in scores and not scores[key]["error"]
    }


def kept(found: VolumeJob, group: str) -> Record | None:
    """The part with the curves of a scored map, if it is there."""
    return found.item.run.parts.kept(_name(found, group), _key(found, read_by(found, group)))


def parts(found: VolumeJob) -> Iterator[Record]:
    """The curves of a scored map, one part for each group of metrics that read some; kept or computed."""
    for group in found.item.plan.groups:
        if metrics := read_by(found, group):
            make = partial(_made, found, list(metrics.values()))
            yield found.item.run.keep(_name(found, group), _key(found, metrics), make, found.given)


def records(found: VolumeJob, part: Record) -> Iterator[CurveRecord]:
    """The curves of a part; none of one that failed."""
    sample, label = found.item.sample, found.method.label
    for chance, *curve in part.value or ():
        yield CurveRecord(sample.id, sample.video_id, sample.task, None if chance else label, *curve)


def write(directory: Path, found: Iterable[CurveRecord]) -> None:
    """Write curves.parquet, a row for each point, chance once for each sample; none where no metric read curves.

    `method` is missing in the rows of the random order that chance levels are read from.
    """
    first: dict[tuple[str | None, ...], CurveRecord] = {}
    for curve in found:
        first.setdefault((curve.sample, curve.method, curve.imputer, curve.order), curve)
    if not first:
        (directory / FILE).unlink(missing_ok=True)  # of an earlier run with other metrics
        return
    table = pd.DataFrame(list(first.values()), columns=list(COLUMNS))
    table = table.explode(["fraction", "log_odds", "probability"], ignore_index=True).astype(COLUMNS)
    with writing(directory / FILE) as file:
        table.to_parquet(file, index=False)


def _name(found: VolumeJob, group: str) -> Name:
    return ("curves", found.item.sample.id, found.method.label, group)


def _key(found: VolumeJob, metrics: Iterable[str]) -> str:
    return digest(found.key, list(metrics), _code())


@cache
def _code() -> str:
    return CodeHashes().of_module(__name__)


def _made(found: VolumeJob, entries: Sequence[Entry]) -> list[list[Any]]:
    """The orders that the metrics read, of the map and of chance; none of a map that ranks nothing."""
    subject, metrics = found.item.subject, [entry.item for entry in entries]
    label, imputer = entries[0].parameters["imputer"], metrics[0].imputer  # a group has one
    try:
        own = curves(found.volume, subject, imputer)
        for metric in metrics:
            metric.read(own)
    except UndefinedError:
        return []
    chance = chance_curves(subject, imputer)
    for metric in metrics:
        if type(metric).chance is CurveMetric.chance:  # others know theirs without a curve
            metric.read(chance)
    return [*_told(own, label, chance=False), *_told(chance, label, chance=True)]


def _told(found: Curves, imputer: str, chance: bool) -> Iterator[list[Any]]:
    """The orders that were read, as JSON can hold them: whether it is chance, then Kept from `imputer` on."""
    for order in ORDERS:
        if order in vars(found):  # evaluated when first read
            curve = getattr(found, order)
            heights = (_finite(each.tolist()) for each in (curve.log_odds, curve.probability))
            yield [chance, imputer, order, curve.fractions.tolist(), *heights]


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
