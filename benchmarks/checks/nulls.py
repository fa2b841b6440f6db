"""Null distributions of the alignment metrics: scores of maps on annotation that does not belong to them.

`pairing`: scores on the annotation of other videos of the same task with as many frames; frame k of the map is compared
with frame k of the other clip. `shift`: scores on the map's own annotation after a circular shift in time by every
number of frames, for metrics of segments and among the scored frames only.

Maps are averaged over the token grid, on which alignment is scored, since a map may be large and has many partners.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attrib.config import Entry
from attrib.metric import Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import ANNOTATION, Need

LEAST = 3  # videos of a task and a length; with two, every map would have one partner, and the null one value
Maps = Mapping[str, SaliencyVolume]  # by method


@dataclass(frozen=True)
class NullRow:
    """Score of the sample's map under a null; `partner` is the other sample, or the number of frames shifted."""

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
    """Return the metrics that compare a map with an annotation without new model evaluations."""
    return [entry for entry in metrics if isinstance(entry.item, Metric) and _compares(entry.item.needs)]


def _compares(needs: Collection[Need]) -> bool:
    return bool(ANNOTATION.intersection(needs)) and not {"model", "counterfactuals"}.intersection(needs)


def primary(metrics: Sequence[Entry]) -> list[Entry]:
    """Return the alignment metrics that are tested against chance."""
    return [entry for entry in alignment(metrics) if entry.item.primary]


def pairing_rows(
    subject: Subject, sample: Sample, others: Sequence[tuple[Sample, Maps]], metrics: Sequence[Entry]
) -> Iterator[NullRow]:
    """Score pooled maps of `others` (sample and maps), with as many frames, on this sample's annotation."""
    for other, maps in others:
        for method, volume in maps.items():
            moved = replace(volume, times=subject.clip.times)
            for metric in metrics:
                score = metric.item.score(moved, subject, sample)
                yield _row(other, sample.id, "pairing", method, metric.label, score)


def shift_rows(subject: Subject, sample: Sample, maps: Maps, metrics: Sequence[Entry]) -> Iterator[NullRow]:
    """Score the sample's own pooled maps after shifts in time, by the metrics that need segments."""
    timed = [metric for metric in metrics if "segments" in metric.item.needs]
    scored = np.flatnonzero(subject.clip.times < (np.inf if sample.cut is None else sample.cut))
    for method, volume in maps.items() if timed else ():
        for shift in range(1, len(scored)):
            values = volume.values.copy()
            values[scored] = np.roll(values[scored], shift, axis=0)
            shifted = replace(volume, values=values)
            for metric in timed:
                score = metric.item.score(shifted, subject, sample)
                yield _row(sample, str(shift), "shift", method, metric.label, score)


def unpaired_rows(sample: Sample, videos: int, methods: Sequence[str], metrics: Sequence[Entry]) -> Iterator[NullRow]:
    """Yield rows without a value for a sample without partners: too few `videos` of its task and length."""
    undefined = Score.undefined(f"expected {LEAST} videos of this task with as many frames, found {videos}")
    for method in methods:
        for metric in metrics:
            yield _row(sample, "", "pairing", method, metric.label, undefined)


def _row(sample: Sample, partner: str, null: str, method: str, metric: str, score: Score) -> NullRow:
    value = None if score.reason else score.value
    return NullRow(sample.id, sample.video_id, sample.task, partner, null, method, metric, value, score.reason)
