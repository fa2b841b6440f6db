"""Jobs of an atlas, one for each sample: computed by several processes and cached, so that an atlas can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from attrib.benchmarks.engines.sample_jobs import SampleJobs, SampleTask
from attrib.benchmarks.jobs.store import Record, Store
from attrib.benchmarks.stats.products import Floats
from attrib.config import Config
from attrib.method import require_at_least, require_choice
from attrib.model import VideoModel
from attrib.runtime.progress import Progress
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
class AtlasJobs(SampleJobs):
    """Jobs of an atlas with the settings of a benchmark, and its options."""

    settings: Config
    options: Options = Options()

    @staticmethod
    def of(model: VideoModel, settings: Config, samples: Sequence[Sample], options: Options, folder: Path) -> AtlasJobs:
        """Prepare the jobs; `folder` holds the cache."""
        return AtlasJobs(
            model, settings, tuple(samples), Store(folder, retry_failed=True), SampleJobs.hashes(samples),
            settings.target, settings.workers or 1, options,
        )  # fmt: skip

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)

    def each(self, name: str, compute: Compute, code: Sequence[Callable[..., Any]], step: Progress | None = None,
             given: Mapping[str, Any] | None = None) -> Iterator[SampleValues]:  # fmt: skip
        """Compute each sample's values, cached as (name, sample); the key covers `code` and what is `given`."""
        task = SampleTask(name, lambda sample: compute(self, sample).to_json(), code, given or {})
        return map(SampleValues.of, self.records(task, step))
