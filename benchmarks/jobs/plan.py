"""Plan of a run: all its inputs, validated before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attrib import video
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import annotation_hash, digest, entry_hash
from attrib.benchmarks.perturb.counterfactual import gate
from attrib.config import Config, Entry, ModelSection, dataset, method_entries, metric_entries
from attrib.errors import ConfigError, InputError
from attrib.explaining.binding import FrameSampling, letter_mass, load
from attrib.metric import ContrastMetric
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.subject import Subject, Target
from attrib.types import Sample


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a loaded model: its default number of frames, its dtype and device, and the hash of its answers."""

    frames: int
    dtype: str
    device: str
    key: str

    @staticmethod
    def of(model: VideoModel, section: ModelSection, sources: CodeHashes) -> ModelFacts:
        """Read the facts from the model that a configuration's section describes."""
        dtype = str(model.dtype).removeprefix("torch.")
        items: list[Callable[..., Any]] = [*model.code, Subject, video.read, letter_mass]
        code = [sources.of(item) for item in items]
        key = digest(model.name, model.revision, dtype, section.pixels, code)
        return ModelFacts(model.frames, dtype, str(model.device), key)

    def resolve(self, section: ModelSection) -> ModelSection:
        """Return the section with the device and dtype that the model really has."""
        device = self.device if section.device == "auto" else section.device
        return section.model_copy(update={"device": device, "dtype": self.dtype})


@dataclass(frozen=True)
class Plan:
    """Model, samples, methods and metrics of a run, with their hashes. `loaded` is None where others hold the model."""

    config: Config
    loaded: VideoModel | None
    facts: ModelFacts
    target: Target
    methods: tuple[Entry, ...]
    metrics: tuple[Entry, ...]
    metric_groups: Mapping[str, tuple[Entry, ...]]  # by name: metrics that share evaluations
    samples: tuple[Sample, ...]
    method_keys: Mapping[str, str]  # by label
    metric_keys: Mapping[tuple[str, str], str]  # by group and label
    annotation_keys: Mapping[str, str]  # by sample
    gate_key: str

    @staticmethod
    def of(
        config: Config,
        step: Progress | None = None,
        samples: tuple[Sample, ...] | None = None,
        facts: ModelFacts | None = None,
    ) -> Plan:
        """Load the model and read the data set. Raises InputError for bad input.

        `samples` are those of a data set that was read before, `facts` those of a model that other processes hold.
        """
        methods, metrics = tuple(method_entries(config)), tuple(metric_entries(config))
        if not methods or not metrics:
            raise ConfigError("expected at least one method and one metric")
        groups = grouped(metrics)  # raises for an invalid metric before the model is loaded
        target, data = Target.parse(config.target), dataset(config) if samples is None else samples
        sources = CodeHashes()
        model = load(config.model) if facts is None else None
        if model:
            facts = ModelFacts.of(model, config.model, sources)
        assert facts is not None
        samples = read_samples(config, data, step) if samples is None else samples
        return Plan(
            config=config.model_copy(update={"model": facts.resolve(config.model)}), loaded=model, facts=facts,
            target=target, methods=methods, metrics=metrics, metric_groups=groups, samples=samples,
            method_keys={entry.label: entry_hash(entry, sources) for entry in methods},
            metric_keys={(group_of(entry), entry.label): entry_hash(entry, sources) for entry in metrics},
            annotation_keys={sample.id: annotation_hash(sample) for sample in samples},
            gate_key=sources.of(gate),
        )  # fmt: skip

    @property
    def model(self) -> VideoModel:
        """Model, in the process that computes with it."""
        if self.loaded is None:
            raise RuntimeError("other processes hold the model of this plan")
        return self.loaded

    @property
    def model_key(self) -> str:
        """Hash of everything that the model's answers depend on."""
        return self.facts.key

    @property
    def sampling(self) -> FrameSampling:
        """Frames of every clip: how many at most, and how they are spread."""
        return FrameSampling(self.config.model.frames or self.facts.frames, self.config.model.sampling)

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


def read_samples(config: Config, data: Iterable[Sample], step: Progress | None) -> tuple[Sample, ...]:
    """Read the samples of the configuration's data set. Raises InputError if it has none."""
    report_progress(step, "reading the data set", 0, 0)
    samples = tuple(data)
    if not samples:
        raise InputError(f"data set {config.data.get('name')!r}: expected samples, found none")
    return samples


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
