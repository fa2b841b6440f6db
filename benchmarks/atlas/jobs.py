"""The samples of an atlas shared out: each one's values are kept, so that a stopped atlas goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import annotation_hash, digest, file_hashes
from attrib.benchmarks.jobs.store import Record, Store
from attrib.benchmarks.jobs.workers import map_in_processes
from attrib.benchmarks.stats.bootstrap import Floats
from attrib.config import Config
from attrib.method import require_at_least, require_choice
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample

Causal = Literal["none", "heads", "layers"]


@dataclass(frozen=True)
class Options:
    """`top` heads are chosen on each half; `draws` random token sets and head choices for each knockout.

    `causal`: nothing is knocked out, the chosen heads, or also all heads of each layer.
    """

    top: int = 3
    draws: int = 5
    causal: Causal = "layers"

    def __post_init__(self) -> None:
        require_at_least("top", self.top, 1)
        require_at_least("draws", self.draws, 1)
        require_choice("causal", self.causal, get_args(Causal))


@dataclass(frozen=True)
class Found:
    """One sample's values, or the error it ended with; `reason` says why values are NaN."""

    values: Floats | None
    error: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """As JSON keeps it: NaNs are null."""
        values = np.asarray(self.values, np.float64)
        plain = values.astype(object)
        plain[np.isnan(values)] = None
        return {"values": plain.tolist(), "reason": self.reason, "warnings": list(self.warnings)}

    @staticmethod
    def of(part: Record) -> Found:
        """What was kept."""
        if part.error:
            return Found(None, part.error)
        values = np.array(part.value["values"], np.float64)  # null becomes NaN
        return Found(values, reason=part.value["reason"], warnings=tuple(part.value["warnings"]))


Make = Callable[["Work", Sample], Found]


@dataclass(frozen=True, eq=False)
class Work:
    """Model, settings, samples and options of an atlas, and the parts that are kept; what failed is tried again."""

    model: VideoModel
    settings: Config
    samples: tuple[Sample, ...]
    options: Options
    parts: Store
    annotations: Mapping[str, str]  # a hash by sample

    @staticmethod
    def of(model: VideoModel, settings: Config, samples: Sequence[Sample], options: Options, folder: Path) -> Work:
        """Parts are kept in `folder`."""
        hashes = {sample.id: annotation_hash(sample) for sample in samples}
        return Work(model, settings, tuple(samples), options, Store(folder, retry_failed=True), hashes)

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)

    def each(self, name: str, make: Make, code: Sequence[Callable[..., Any]], step: Progress | None = None,
             given: Mapping[str, Any] | None = None) -> Iterator[Found]:  # fmt: skip
        """What `make` gives of each sample, kept as (name, sample); it depends on `code` and on what is `given` to it.

        By several processes where the model is on the CPU, which forked ones can share.
        """
        sources, model = CodeHashes(), type(self.model)
        shared = [sources.of(model), *map(sources.of, code)]
        do = partial(_one, self, (name, make), shared, given or {})
        workers = self.settings.workers if self.model.device.type == "cpu" else 1
        report_progress(step, name, 0, len(self.samples))
        for number, found in enumerate(map_in_processes(do, self.samples, workers), 1):
            yield found
            report_progress(step, name, number, len(self.samples))

    def key(self, sample: Sample) -> str:
        """Of what is asked of a sample: model, frames, question, video and all annotation."""
        model, settings = self.model, self.settings
        frames = settings.model.frames or model.frames  # as they are read
        asked = [model.name, model.revision, str(model.dtype), frames, settings.model.sampling]
        return digest(asked, settings.target, settings.seed, sample.question, file_hashes([sample.video]),
                      sample.id, self.annotations)  # fmt: skip


def _one(work: Work, made: tuple[str, Make], shared: Sequence[str], given: Mapping[str, Any], sample: Sample) -> Found:
    name, make = made
    key = digest(work.key(sample), shared, given.get(sample.id), given.get(""))
    asked = {"video": str(sample.video), "question": sample.question.text}
    return Found.of(work.parts.keep((name, sample.id), key, lambda: make(work, sample).told(), asked))
