"""Trace of the page's question: how the answer travels through the model, in a sentence and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib.benchmarks.engines.sample_jobs import SampleJobs
from attrib.benchmarks.jobs.store import Store
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.trace.sample import TraceOptions
from attrib.benchmarks.trace.trace import trace
from attrib.errors import AttribError
from attrib.explaining.request import explain_settings
from attrib.model import VideoModel
from attrib.runtime.progress import Progress
from attrib.types import Sample


@dataclass(frozen=True)
class Traced:
    """The finding in words, and the figure; None where the other video hardly changes the answer."""

    sentence: str
    figure: Path | None


def traced(
    model: VideoModel, sample: Sample, target: str, settings: Mapping[str, Any], folder: Path,
    step: Progress | None = None,
) -> Traced:  # fmt: skip
    """Trace one question into `folder`, against the video without the evidence's boxes or, without any, a blank one.

    Raises AttribError if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parsed, samples = explain_settings(model, settings), (sample,)
    jobs = SampleJobs(model, parsed, samples, Store(folder), SampleJobs.hashes(samples), target)
    found = trace(jobs, TraceOptions(), Resampling(seed=parsed.seed), step)
    for message in found.failures.values():
        raise AttribError(message)
    found.write(folder)
    figure = folder / "trace.png"
    reasons = "".join(f" ({reason})" for reason in found.about["left_out"].values())
    return Traced(found.sentence + reasons, figure if figure.exists() else None)
