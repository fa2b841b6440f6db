"""Jobs of an atlas, one for each sample: computed by several processes and cached, so that an atlas can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from attrib.benchmarks.engines.forked import map_in_processes
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import annotation_hash, digest, file_hashes
from attrib.benchmarks.jobs.store import Record, Store
from attrib.benchmarks.stats.products import Floats
from attrib.config import Config
from attrib.explaining.binding import FrameSampling
from attrib.method import require_at_least, require_choice
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample

Causal = Literal["none", "heads", "layers"]


@dataclass(frozen=True)
class Options:
    """`top` heads are chosen on each half; `draws` random token sets and head choices for each knockout.

    `causal`: what is knocked out: nothing, the chosen heads, or also all heads of each layer.
    """

    top: int = 3
    draws: int = 5
    causal: Causal = "layers"

    def __post_init__(self) -> None:
        require_at_least("top", self.top, 1)
        require_at_least("draws", self.draws, 1)
        require_choice("causal", self.causal, get_args(Causal))


@dataclass(frozen=True)
class SampleValues:
    """Values of one sample, or the error that its job ended with; `reason` says why values are NaN."""

    values: Floats | None
    error: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON, NaNs as null."""
        values = np.asarray(self.values, np.float64)
        plain = values.astype(object)
        plain[np.isnan(values)] = None
        return {"values": plain.tolist(), "reason": self.reason, "warnings": list(self.warnings)}

    @staticmethod
    def of(record: Record) -> SampleValues:
        """Read a cached record."""
        if record.error:
            return SampleValues(None, record.error)
        values = np.array(record.value["values"], np.float64)  # null becomes NaN
        return SampleValues(values, reason=record.value["reason"], warnings=tuple(record.value["warnings"]))


Compute = Callable[["AtlasJobs", Sample], SampleValues]


@dataclass(frozen=True, eq=False)
class AtlasJobs:
    """Model, settings, samples and options of an atlas, with the cache; failed jobs are tried again."""

    model: VideoModel
    settings: Config
    samples: tuple[Sample, ...]
    options: Options
    store: Store
    annotations: Mapping[str, str]  # hash of each sample's annotation

    @staticmethod
    def of(model: VideoModel, settings: Config, samples: Sequence[Sample], options: Options, folder: Path) -> AtlasJobs:
        """Prepare the jobs; `folder` holds the cache."""
        hashes = {sample.id: annotation_hash(sample) for sample in samples}
        return AtlasJobs(model, settings, tuple(samples), options, Store(folder, retry_failed=True), hashes)

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)

    def each(self, name: str, compute: Compute, code: Sequence[Callable[..., Any]], step: Progress | None = None,
             given: Mapping[str, Any] | None = None) -> Iterator[SampleValues]:  # fmt: skip
        """Compute each sample's values, cached as (name, sample); the key covers `code` and what is `given` by sample.

        Several processes share a model on the CPU; one on a GPU is used by this process alone.
        """
        sources, model = CodeHashes(), type(self.model)
        shared = [sources.of(model), *map(sources.of, code)]
        do = partial(_one, self, (name, compute), shared, given or {})
        workers = (self.settings.workers or 1) if self.model.device.type == "cpu" else 1
        report_progress(step, name, 0, len(self.samples))
        for number, values in enumerate(map_in_processes(do, self.samples, workers), 1):
            yield values
            report_progress(step, name, number, len(self.samples))

    def key(self, sample: Sample) -> str:
        """Cache key of a sample: model, frames, question, video and the annotation of all samples."""
        model, settings = self.model, self.settings
        sampling = FrameSampling.of(settings.model, model)
        asked = [model.name, model.revision, str(model.dtype), sampling.frames, sampling.how]
        return digest(asked, settings.target, settings.seed, sample.question, file_hashes([sample.video]),
                      sample.id, self.annotations)  # fmt: skip


def _one(
    jobs: AtlasJobs, step: tuple[str, Compute], shared: Sequence[str], given: Mapping[str, Any], sample: Sample
) -> SampleValues:
    name, compute = step
    key = digest(jobs.key(sample), shared, given.get(sample.id), given.get(""))
    asked = {"video": str(sample.video), "question": sample.question.text}
    record = jobs.store.get_or_compute((name, sample.id), key, lambda: compute(jobs, sample).to_json(), asked)
    return SampleValues.of(record)
