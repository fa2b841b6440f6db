"""Samples x methods x metrics: what is kept is not computed again, and a failing item does not stop the others."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

import attrib
from attrib import api, render, video
from attrib.api import Step, tell
from attrib.benchmarks import leaderboard
from attrib.benchmarks.run import Item, Run, ScoreRow
from attrib.config import Config, Entry, dataset, method_entries, metric_entries
from attrib.errors import ConfigError, InputError, told
from attrib.files import fingerprint
from attrib.metric import Score
from attrib.model import VideoModel
from attrib.subject import Subject, Target
from attrib.types import SaliencyVolume, Sample

# Code that volumes and scores depend on beside the plug-in's own file: when it changes, they are made again.
VOLUME_CODE = ("attention.py", "method.py", "model.py", "subject.py", "video*.py", "models/*.py")
SCORE_CODE = ("benchmarks/cells.py", "benchmarks/perturbation.py", "benchmarks/metrics/*.py")


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

    @property
    def frames(self) -> int:
        return self.config.model.frames or self.model.frames


def run(config: Config, directory: Path, step: Step | None = None) -> Outcome:
    """Compute what is missing in `directory`, then write results and leaderboard.

    Raises InputError for bad input before anything is written. On Ctrl-C the results so far are written first.
    """
    plan = _plan(config, directory, step)
    items: dict[tuple[str, str], Item] = {}
    computed = 0
    total = len(plan.samples) * len(plan.methods)
    try:
        for sample in plan.samples:
            for item, is_new in _sample_items(plan, sample):
                tell(step, f"{sample.id}  {item.method}", len(items), total)
                items[sample.id, item.method] = item
                computed += is_new
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
        {entry.label: _described(entry, VOLUME_CODE) for entry in methods},
        tuple(_described(entry, SCORE_CODE) for entry in metrics),
    )  # fmt: skip


def _sample_items(plan: _Plan, sample: Sample) -> Iterator[tuple[Item, bool]]:
    """One sample's items, kept or new; the video is read only when something is missing."""
    subject: Subject | None = None
    video_key = fingerprint([sample.video]) if sample.video.is_file() else "missing"
    for entry in plan.methods:
        blank = _blank(plan, sample, entry, video_key)
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
    return Subject.bind(plan.model, clip, sample.question, plan.target, plan.config.seed)


def _computed(plan: _Plan, sample: Sample, entry: Entry, subject: Subject, blank: Item) -> Item:
    volume = _volume(plan, sample, entry, subject, blank)
    scores = tuple(_scored(metric, volume, subject, sample) for metric in plan.metrics)
    question = sample.question
    return replace(
        blank, answer=question.letters[subject.predicted],
        correct=None if question.answer is None else question.answer == subject.predicted,
        seconds=volume.provenance.seconds, peak_memory=volume.provenance.peak_memory,
        warnings=subject.clip.warnings,
        reports={key: value for key, value in volume.provenance.extras.items() if math.isfinite(value)}, scores=scores,
    )  # fmt: skip


def _volume(plan: _Plan, sample: Sample, entry: Entry, subject: Subject, blank: Item) -> SaliencyVolume:
    """The kept volume if nothing that it depends on has changed, else a new one."""
    path, kept = plan.run.volume_path(sample, entry.label), plan.run.read(sample, entry.label)
    if kept is not None and kept.volume_key == blank.volume_key and path.exists():
        try:
            return SaliencyVolume.load(path)
        except InputError:
            path.unlink()  # cut short: made again
    volume: SaliencyVolume = entry.item.attribute(subject, entry.label)
    volume.save(path)
    return volume


def _scored(metric: Entry, volume: SaliencyVolume, subject: Subject, sample: Sample) -> ScoreRow:
    score: Score = metric.item.score(volume, subject, sample)
    imputer = metric.parameters.get("imputer")
    return ScoreRow(metric.label, imputer, _finite(score.value), _finite(score.chance), score.reason)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _blank(plan: _Plan, sample: Sample, entry: Entry, video_key: str) -> Item:
    """The item before it is computed: names, and the keys of what it depends on."""
    model = plan.config.model
    volume_key = _digest(
        video_key, sample.question, str(plan.target), plan.config.seed, plan.model.name, plan.model.revision,
        model.dtype, plan.frames, model.sampling, plan.method_keys[entry.label],
    )  # fmt: skip
    key = _digest(volume_key, plan.metric_keys, _plain(sample))
    return Item(sample.id, sample.video_id, sample.task, entry.label, key, volume_key)


def _described(entry: Entry, shared: tuple[str, ...]) -> str:
    """A hash of the label, name, parameters and code that an entry stands for."""
    code = {path for root in attrib.__path__ for pattern in shared for path in Path(root).glob(pattern)}
    own = Path(getattr(sys.modules.get(type(entry.item).__module__), "__file__", None) or "")
    code.update([own] if own.is_file() else [])  # a class from a notebook has no file
    return _digest(entry.label, entry.name, entry.parameters, fingerprint(code))


def _plain(sample: Sample) -> list[Any]:
    """What a sample's annotation says, as JSON can hold it."""
    tracks = [(track.id, track.times.tolist(), track.boxes.tolist(), track.hidden.tolist()) for track in sample.tracks]
    return [tracks, [asdict(part) for part in sample.segments], [asdict(part) for part in sample.evidence], sample.cut]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:24]


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
