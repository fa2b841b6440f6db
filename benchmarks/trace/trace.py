"""The trace of a set of samples: how the answer travels from the evidence's tokens to the last one.

Written into one folder: `trace.csv` (means with intervals over videos, see `table`), `trace.parquet` (each sample's
rows), `trace.json` (the finding, and the samples that are left out), `trace.png` and `trace.pdf`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.engines.sample_jobs import SampleJobs, SampleTask
from attrib.benchmarks.jobs.keys import file_hashes
from attrib.benchmarks.jobs.store import Record
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.trace.finding import finding
from attrib.benchmarks.trace.sample import TraceOptions, trace_subject
from attrib.benchmarks.trace.table import ROWS, means
from attrib.errors import InputError
from attrib.explaining.binding import bind_sample
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Sample

FILES = ("trace.csv", "trace.parquet", "trace.json", "trace.png", "trace.pdf")
PICTURES = (".png", ".pdf")


@dataclass(frozen=True, eq=False)
class Trace:
    """Each sample's `rows` (columns ROWS), their `table` of means, and what is known of the whole.

    `about`: `finding`, the model, the corrupt videos, and by sample `left_out`, with the reason, and `failures`.
    """

    rows: pd.DataFrame
    table: pd.DataFrame
    about: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def failures(self) -> Mapping[str, str]:
        """Error messages by sample."""
        failures: Mapping[str, str] = self.about["failures"]
        return failures

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values of `about`, as JSON can hold them."""
        return {key: _plain(value) for key, value in self.about.items()}

    @property
    def sentence(self) -> str:
        """The finding in words; without one, why."""
        found = self.about["finding"]
        count = self.about["samples"]
        return str(found["sentence"]) if found else f"no finding: 0 of {count} could be traced; try another --against"

    def write(self, folder: Path) -> list[str]:
        """Write FILES into `folder` and return their names; without any row there is no picture."""
        from attrib.benchmarks.trace.figure import draw  # matplotlib

        with writing(folder / "trace.parquet") as path:
            path.write_bytes(self.rows.to_parquet(index=False))
        with writing(folder / "trace.csv") as path:
            self.table.to_csv(path, index=False)
        write_text(folder / "trace.json", json.dumps(self.plain, indent=2, allow_nan=False) + "\n")
        if len(self.table):
            draw(folder / "trace", self.table, self.about)
            return list(FILES)
        for name in FILES:
            if name.endswith(PICTURES):
                (folder / name).unlink(missing_ok=True)  # of an earlier trace
        return [name for name in FILES if not name.endswith(PICTURES)]


def _plain(value: Any) -> Any:
    """Replace NaNs by None, which JSON can hold."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def trace(jobs: SampleJobs, options: TraceOptions, resampling: Resampling, step: Progress | None = None) -> Trace:
    """Trace every sample. A failed sample is left out and named.

    Raises InputError without any sample.
    """
    if not jobs.samples:
        raise InputError("trace: expected at least one question, got none")

    def compute(sample: Sample) -> Any:
        subject = bind_sample(jobs.model, jobs.settings, sample, Target.parse(jobs.target))
        return trace_subject(subject, options)

    given = {sample.id: _files(options, sample) for sample in jobs.samples}
    task = SampleTask("trace", compute, (trace_subject, bind_sample), {**given, "": repr(options)})
    return _gathered(jobs, list(jobs.records(task, step)), resampling)


def _files(options: TraceOptions, sample: Sample) -> list[str]:
    """Hashes of the file that the corrupt video is read from; none for a sample that lacks one, which will fail."""
    try:
        file = options.against.of(sample).file(sample)
    except InputError:
        return []
    return list(file_hashes([file])) if file else []


def _gathered(jobs: SampleJobs, records: Sequence[Record], resampling: Resampling) -> Trace:
    pairs = list(zip(jobs.samples, records, strict=True))
    known = {sample.id: record.value for sample, record in pairs if not record.error}
    tasks = {sample.id: sample.task for sample in jobs.samples}
    listed = [(name, tasks[name], *row) for name, value in known.items() for row in value["rows"]]
    rows = pd.DataFrame(listed, columns=list(ROWS))
    videos = {sample.id: sample.video_id for sample in jobs.samples}
    left_out = {name: value["reason"] for name, value in known.items() if value["reason"]}
    about = {
        "model": jobs.model.name, "samples": len(pairs), "videos": len({videos[name] for name in known}),
        "traced": len(known) - len(left_out), "against": sorted({value["against"] for value in known.values()}),
        "finding": finding(rows, videos, resampling), "left_out": left_out,
        "failures": {sample.id: record.error for sample, record in pairs if record.error},
    }  # fmt: skip
    warnings = [f"{videos[name]}: {text}" for name, value in known.items() for text in value["warnings"]]
    return Trace(rows, means(rows, videos, resampling), about, tuple(dict.fromkeys(warnings)))
