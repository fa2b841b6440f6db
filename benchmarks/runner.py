"""Samples x methods x metrics: what is kept is not computed again, and a failing item does not stop the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from attrib import api, render, video
from attrib.api import Step, tell
from attrib.benchmarks import leaderboard
from attrib.benchmarks.counterfactual import gate
from attrib.benchmarks.keys import SCORE_CODE, VOLUME_CODE, annotated, content, described, digest
from attrib.benchmarks.run import Item, Run, ScoreRow
from attrib.benchmarks.workers import spread
from attrib.config import Config, Entry, dataset, method_entries, metric_entries
from attrib.errors import ConfigError, InputError, told
from attrib.method import PeerControl
from attrib.metric import ContrastMetric
from attrib.model import VideoModel
from attrib.subject import Subject, Target
from attrib.types import SaliencyVolume, Sample


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished run: its directory, the long table of results, the leaderboard and the items that failed."""

    directory: Path
    results: pd.DataFrame
    leaderboard: pd.DataFrame
    failures: tuple[Item, ...]
    warnings: tuple[str, ...]  # each video's, once
    computed: int  # items computed now; the others were kept from before


@dataclass(frozen=True)
class _Plan:
    """All that a run needs, validated before anything is computed."""

    config: Config
    run: Run
    model: VideoModel
    target: Target
    methods: tuple[Entry, ...]
    metrics: tuple[Entry, ...]
    samples: tuple[Sample, ...]
    method_keys: Mapping[str, str]
    metric_keys: tuple[str, ...]
    annotation_keys: Mapping[str, str]  # by sample

    @property
    def frames(self) -> int:
        return self.config.model.frames or self.model.frames

    @property
    def workers(self) -> int:
        """Processes; one where the model is not on the CPU, which forked processes could not share."""
        return self.config.workers if self.model.device.type == "cpu" else 1

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)


def run(config: Config, directory: Path, step: Step | None = None) -> Outcome:
    """Compute what is missing in `directory`, then write results and leaderboard.

    Raises InputError for bad input before anything is written. On Ctrl-C the results so far are written first.
    """
    plan = _plan(config, directory, step)
    items: dict[tuple[str, str], Item] = {}
    computed = 0
    total = len(plan.samples) * len(plan.methods)
    try:
        tell(step, plan.samples[0].id, 0, total)
        own = step if plan.workers == 1 else None  # progress within a sample; other processes could not tell it
        for made in spread(partial(_sample, plan, own), range(len(plan.samples)), plan.workers):
            items |= {(item.sample, item.method): item for item, _ in made}
            computed += sum(is_new for _, is_new in made)
            tell(step, made[0][0].sample, len(items), total)
        _overlays(plan, items, step)
    finally:
        results = plan.run.write_results(items.values())
    board = leaderboard.build(results, plan.metrics, config.resamples, config.seed)
    plan.run.write_table("leaderboard.csv", board)
    tell(step, "done", total, total)
    failures = tuple(item for item in items.values() if item.failed)
    warnings = tuple(dict.fromkeys(f"{item.video}: {text}" for item in items.values() for text in item.warnings))
    return Outcome(directory, results, board, failures, warnings, computed)


def _plan(config: Config, directory: Path, step: Step | None) -> _Plan:
    methods, metrics = method_entries(config), metric_entries(config)
    if not methods or not metrics:
        raise ConfigError("expected at least one method and one metric")
    target, data = Target.parse(config.target), dataset(config)
    model = api.load(config.model)
    tell(step, "reading the data set", 0, 0)
    samples = tuple(data)
    if not samples:
        raise InputError(f"data set {config.data.get('name')!r}: expected samples, found none")
    return _Plan(
        config, Run.create(directory, config), model, target, tuple(methods), tuple(metrics), samples,
        {entry.label: described(entry, VOLUME_CODE) for entry in methods},
        tuple(described(entry, SCORE_CODE) for entry in metrics),
        {sample.id: digest(annotated(sample)) for sample in samples},
    )  # fmt: skip


def _sample(plan: _Plan, step: Step | None, index: int) -> list[tuple[Item, bool]]:
    """All items of one sample, each with whether it is new."""
    sample, before, total = plan.samples[index], index * len(plan.methods), len(plan.samples) * len(plan.methods)
    made = []
    for done, found in enumerate(_sample_items(plan, sample), 1):
        tell(step, f"{sample.id}  {found[0].method}", before + done, total)
        made.append(found)
    return made


def _sample_items(plan: _Plan, sample: Sample) -> Iterator[tuple[Item, bool]]:
    """One sample's items, kept or new; the video is read only when something is missing."""
    subject: Subject | None = None
    videos = content([sample.video, *(item.video for item in sample.counterfactuals)])
    for entry in plan.methods:
        blank = _blank(plan, sample, entry, videos)
        kept = plan.run.read(sample, entry.label)
        if kept is not None and kept.key == blank.key and not kept.failed:
            yield kept, False
            continue
        try:
            subject = subject or _subject(plan, sample)
            item = _computed(plan, sample, entry, subject, blank)
        except Exception as error:  # the data or a plug-in may raise anything; the other items go on
            item = replace(blank, error=told(error))
        plan.run.write(sample, item)
        yield item, True


def _subject(plan: _Plan, sample: Sample) -> Subject:
    clip = video.read(sample.video, frames=plan.frames, sampling=plan.config.model.sampling)
    subject = Subject.bind(plan.model, clip, sample.question, plan.target, plan.config.seed)
    return replace(subject, sample=sample, peers=plan.peers(sample))


def _computed(plan: _Plan, sample: Sample, entry: Entry, subject: Subject, blank: Item) -> Item:
    volume = _volume(plan.run.volume_path(sample, entry.label), blank.volume_key, entry, subject)
    scores = tuple(_scores(plan, sample, entry, subject, volume))
    question = sample.question
    return replace(
        blank, answer=question.letters[subject.predicted],
        correct=None if question.answer is None else question.answer == subject.predicted,
        gated=gate(subject, sample), seconds=volume.provenance.seconds, peak_memory=volume.provenance.peak_memory,
        warnings=subject.clip.warnings,
        reports={key: value for key, value in volume.provenance.extras.items() if math.isfinite(value)}, scores=scores,
    )  # fmt: skip


def _volume(path: Path, key: str, entry: Entry, subject: Subject) -> SaliencyVolume:
    """The volume kept at `path` if nothing that it depends on has changed, else a new one."""
    try:
        kept = SaliencyVolume.load(path)
        if kept.provenance.key == key:
            return kept
    except InputError:
        pass  # not there, or cut short: made again
    volume: SaliencyVolume = entry.item.attribute(subject, entry.label)
    volume = replace(volume, provenance=replace(volume.provenance, key=key))
    volume.save(path)
    return volume


def _scores(plan: _Plan, sample: Sample, entry: Entry, subject: Subject, volume: SaliencyVolume) -> Iterator[ScoreRow]:
    """Every metric on one volume; the method runs for the strongest other option too if a metric contrasts the two."""
    rival: SaliencyVolume | None = None
    for metric in plan.metrics:
        if isinstance(metric.item, ContrastMetric):
            path, key = plan.run.rival_path(sample, entry.label), volume.provenance.key
            rival = rival or _volume(path, key, entry, subject.towards(subject.rival))
            score = metric.item.score(volume, rival, subject, sample)
        else:
            score = metric.item.score(volume, subject, sample)
        imputer = metric.parameters.get("imputer")
        yield ScoreRow(metric.label, imputer, _finite(score.value), _finite(score.chance), score.reason)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _blank(plan: _Plan, sample: Sample, entry: Entry, videos: list[str]) -> Item:
    """The item before it is computed: names, and the keys of what it depends on."""
    model, annotations = plan.config.model, plan.annotation_keys
    peers = plan.peers(sample) if isinstance(entry.item, PeerControl) else ()
    volume_key = digest(
        videos[0], sample.question, annotations[sample.id], str(plan.target), plan.config.seed, plan.model.name,
        plan.model.revision, model.dtype, plan.frames, model.sampling, plan.method_keys[entry.label],
        [annotations[peer.id] for peer in peers],
    )  # fmt: skip
    key = digest(volume_key, plan.metric_keys, videos)
    return Item(sample.id, sample.video_id, sample.task, entry.label, key, volume_key)


def _overlays(plan: _Plan, items: dict[tuple[str, str], Item], step: Step | None) -> None:
    """Overlay videos of each method's first samples that did not fail; those already there are kept."""
    for entry in plan.methods:
        done = [sample for sample in plan.samples if not items[sample.id, entry.label].failed]
        for sample in done[: plan.config.overlays]:
            path = plan.run.overlay_path(sample, entry.label)
            volume_path = plan.run.volume_path(sample, entry.label)
            if path.exists() and path.stat().st_mtime >= volume_path.stat().st_mtime:
                continue
            tell(step, f"drawing {entry.label}", len(items), len(items))
            clip = video.read(sample.video, frames=plan.frames, sampling=plan.config.model.sampling)
            drawing = render.Drawing(
                entry.label, sample.question.text,
                tracks=sample.tracks, segments=sample.segments, evidence=sample.evidence,
            )  # fmt: skip
            render.write_overlay(path, SaliencyVolume.load(volume_path), clip, drawing)
