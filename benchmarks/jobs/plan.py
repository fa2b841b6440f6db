"""Plan of a run: all its inputs, validated before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attrib import video
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import annotation_hash, digest, entry_hash
from attrib.benchmarks.jobs.workers import can_fork
from attrib.benchmarks.perturb.counterfactual import gate
from attrib.config import Config, Entry, dataset, method_entries, metric_entries
from attrib.errors import ConfigError, InputError
from attrib.explaining.binding import FrameSampling, letter_mass, load, resolved
from attrib.metric import ContrastMetric
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.subject import Subject, Target
from attrib.types import Sample


@dataclass(frozen=True)
class Plan:
    """Model, samples, methods and metrics of a run, with their hashes."""

    config: Config
    model: VideoModel
    target: Target
    methods: tuple[Entry, ...]
    metrics: tuple[Entry, ...]
    metric_groups: Mapping[str, tuple[Entry, ...]]  # by name: metrics that share evaluations
    samples: tuple[Sample, ...]
    method_keys: Mapping[str, str]  # by label
    metric_keys: Mapping[tuple[str, str], str]  # by group and label
    annotation_keys: Mapping[str, str]  # by sample
    model_key: str
    gate_key: str

    @staticmethod
    def of(config: Config, step: Progress | None = None) -> Plan:
        """Load the model and read the data set. Raises InputError for bad input."""
        methods, metrics = tuple(method_entries(config)), tuple(metric_entries(config))
        if not methods or not metrics:
            raise ConfigError("expected at least one method and one metric")
        groups = grouped(metrics)  # raises for an invalid metric before the model is loaded
        target, data = Target.parse(config.target), dataset(config)
        model = load(config.model)
        config = config.model_copy(update={"model": resolved(config.model, model)})
        report_progress(step, "reading the data set", 0, 0)
        samples = tuple(data)
        if not samples:
            raise InputError(f"data set {config.data.get('name')!r}: expected samples, found none")
        sources = CodeHashes()
        items: list[Callable[..., Any]] = [*model.code, Subject, video.read, letter_mass]
        model_code = [sources.of(item) for item in items]
        return Plan(
            config=config, model=model, target=target, methods=methods, metrics=metrics,
            metric_groups=groups, samples=samples,
            method_keys={entry.label: entry_hash(entry, sources) for entry in methods},
            metric_keys={(group_of(entry), entry.label): entry_hash(entry, sources) for entry in metrics},
            annotation_keys={sample.id: annotation_hash(sample) for sample in samples},
            model_key=digest(model.name, model.revision, config.model.dtype, config.model.pixels, model_code),
            gate_key=sources.of(gate),
        )  # fmt: skip

    @property
    def sampling(self) -> FrameSampling:
        """Frames of every clip: how many at most, and how they are spread."""
        return FrameSampling.of(self.config.model, self.model)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return 1 if self.single_process_reason else self.config.workers

    @property
    def single_process_reason(self) -> str:
        """Reason why this run cannot use the configured number of processes; empty if it can."""
        if self.config.workers == 1:
            return ""
        if self.model.device.type != "cpu":
            return f"processes cannot share a model on {self.model.device.type}"
        return "" if can_fork() else "Python cannot fork processes on this platform"

    @property
    def contrasts(self) -> bool:
        """Flag of a run with a metric that needs the map of the strongest other option."""
        return any(isinstance(metric.item, ContrastMetric) for metric in self.metrics)

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """Return the samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)

    def peer_key(self, sample: Sample) -> str:
        """Return a hash that changes with the annotation of the other videos: that of all, and which one is left out.

        Hashing the others anew for each sample would take time with the square of the samples.
        """
        return digest(self._all_annotations, sample.video_id)

    @cached_property
    def _all_annotations(self) -> str:
        return digest([(sample.id, self.annotation_keys[sample.id]) for sample in self.samples])


def grouped(metrics: tuple[Entry, ...]) -> dict[str, tuple[Entry, ...]]:
    """Group the metrics that share model evaluations, by the name of their group."""
    groups: dict[str, tuple[Entry, ...]] = {}
    for metric in metrics:
        name = group_of(metric)
        groups[name] = (*groups.get(name, ()), metric)
    return groups


def group_of(metric: Entry) -> str:
    """Return the name of a metric's group: its imputer, its module where it asks the model, else `alignment`.

    Raises ConfigError for a metric that does not state what it needs.
    """
    if metric.imputer:
        return f"imputer {metric.imputer.label}"
    cls = type(metric.item)
    try:
        asks = {"model", "counterfactuals"} & {*metric.item.needs}
    except AttributeError:
        raise ConfigError(f"metric {metric.label!r}: {cls.__name__} does not state what it needs (`needs`)") from None
    return f"model {cls.__module__.rpartition('.')[2]}" if asks else "alignment"
