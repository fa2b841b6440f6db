"""One job for each sample of a set: computed by several processes and kept, so that the work can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from attrib.benchmarks.engines.forked import map_in_processes
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import annotation_hash, digest, file_hashes
from attrib.benchmarks.jobs.store import Record, Store
from attrib.config import ExplainConfig
from attrib.explaining.binding import FrameSampling
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample


@dataclass(frozen=True)
class SampleTask:
    """Work on each sample: its name in the store, the function, and the `code` that it depends on.

    `given` is, by sample, what it depends on besides; "" stands for every sample.
    """

    name: str
    compute: Callable[[Sample], Any]
    code: Sequence[Callable[..., Any]]
    given: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SampleJobs:
    """Model, settings, target and samples, with the store of what is computed; failed jobs are tried again."""

    model: VideoModel
    settings: ExplainConfig
    samples: tuple[Sample, ...]
    store: Store
    annotations: Mapping[str, str]  # hash of each sample's annotation
    target: str = "predicted"
    workers: int = 1

    @staticmethod
    def hashes(samples: Sequence[Sample]) -> dict[str, str]:
        """Return the hash of each sample's annotation."""
        return {sample.id: annotation_hash(sample) for sample in samples}

    def records(self, task: SampleTask, step: Progress | None = None) -> Iterator[Record]:
        """Compute each sample's JSON value, kept as (task's name, sample).

        Several processes share a model on the CPU; one on a GPU is used by this process alone.
        """
        sources = CodeHashes()
        shared = [sources.of(type(self.model)), *map(sources.of, task.code)]
        workers = self.workers if self.model.device.type == "cpu" else 1
        report_progress(step, task.name, 0, len(self.samples))
        done = map_in_processes(partial(_one, self, task, shared), self.samples, workers)
        for number, record in enumerate(done, 1):
            yield record
            report_progress(step, task.name, number, len(self.samples))

    def key(self, sample: Sample) -> str:
        """Key of a sample: model, frames, question, video and the annotation of all samples."""
        model, section = self.model, self.settings.model
        sampling = FrameSampling.of(section, model)
        asked = [model.name, model.revision, str(model.dtype), section.pixels, sampling.frames, sampling.how]
        return digest(asked, self.target, self.settings.seed, sample.question, file_hashes([sample.video]),
                      sample.id, self.annotations)  # fmt: skip


def _one(jobs: SampleJobs, task: SampleTask, shared: Sequence[str], sample: Sample) -> Record:
    key = digest(jobs.key(sample), shared, task.given.get(sample.id), task.given.get(""))
    asked = {"video": str(sample.video), "question": sample.question.text}
    return jobs.store.get_or_compute((task.name, sample.id), key, lambda: task.compute(sample), asked)
