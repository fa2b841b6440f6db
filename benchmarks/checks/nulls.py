"""Null distributions of the alignment metrics: a map's scores on annotation that is not its own.

`pairing`: on the annotation of other videos of the same task whose clips have as many frames; frame k of the map stands
on frame k of the other clip. `shift`: on its own annotation, but turned in time as a circle, by every number of frames;
for metrics of segments, of the frames that are scored.

The maps are `pooled` to the token grid, on which alignment is scored: a map may be large and has many partners.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attrib.config import Entry
from attrib.metric import Metric, Score
from attrib.model import TokenGrid
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample

LEAST = 3  # videos of a task and a length: with two, every map has one partner, and the null one value
Maps = Mapping[str, SaliencyVolume]  # by method


@dataclass(frozen=True)
class NullRow:
    """One score of the sample's map under a null; `partner` is the other sample, or the number of frames shifted."""

    sample: str
    video: str
    task: str
    partner: str
    null: str
    method: str
    metric: str
    value: float | None
    reason: str = ""
    error: str = ""


def alignment(metrics: Sequence[Entry]) -> list[Entry]:
    """Those that compare a map with an annotation and ask the model nothing."""
    return [
        entry for entry in metrics
        if isinstance(entry.item, Metric) and not {"model", "counterfactuals"}.intersection(entry.item.needs)
    ]  # fmt: skip


def primary(metrics: Sequence[Entry]) -> list[Entry]:
    """Return the alignment metrics that are tested against chance."""
    return [entry for entry in alignment(metrics) if entry.item.primary]


def pooled(volume: SaliencyVolume, grid: TokenGrid) -> SaliencyVolume:
    """The map averaged to the token grid."""
    return volume.on_grid(grid.rows, grid.columns)


def pairing_rows(
    subject: Subject, sample: Sample, others: Sequence[tuple[Sample, Maps]], metrics: Sequence[Entry]
) -> Iterator[NullRow]:
    """The pooled maps of `others` (sample and maps), all of as many frames, on this sample's annotation."""
    for other, maps in others:
        for method, volume in maps.items():
            moved = replace(volume, times=subject.clip.times)
            for metric in metrics:
                found = metric.item.score(moved, subject, sample)
                yield _row(other, sample.id, "pairing", method, metric.label, found)


def shift_rows(subject: Subject, sample: Sample, maps: Maps, metrics: Sequence[Entry]) -> Iterator[NullRow]:
    """The sample's own pooled maps turned in time, for those of the metrics that need segments."""
    timed = [metric for metric in metrics if "segments" in metric.item.needs]
    scored = np.flatnonzero(subject.clip.times < (np.inf if sample.cut is None else sample.cut))
    for method, volume in maps.items() if timed else ():
        for shift in range(1, len(scored)):
            values = volume.values.copy()
            values[scored] = np.roll(values[scored], shift, axis=0)
            turned = replace(volume, values=values)
            for metric in timed:
                found = metric.item.score(turned, subject, sample)
                yield _row(sample, str(shift), "shift", method, metric.label, found)


def unpaired_rows(sample: Sample, videos: int, methods: Sequence[str], metrics: Sequence[Entry]) -> Iterator[NullRow]:
    """Rows that say why the sample's maps have no partner: too few `videos` of its task and length."""
    case = Score.undefined(f"expected {LEAST} videos of this task with as many frames, found {videos}")
    for method in methods:
        for metric in metrics:
            yield _row(sample, "", "pairing", method, metric.label, case)


def _row(sample: Sample, partner: str, null: str, method: str, metric: str, found: Score) -> NullRow:
    value = None if found.reason else found.value
    return NullRow(sample.id, sample.video_id, sample.task, partner, null, method, metric, value, found.reason)
