"""Long tables of the checks: sanity.parquet, floors.parquet, nulls.parquet, and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attrib.benchmarks.checks.jobs import errors
from attrib.benchmarks.jobs.store import Failure, Record
from attrib.runtime.files import writing
from attrib.types import Sample

SHARED = {"sample": "string", "video": "string", "task": "string", "method": "string"}
SCORED = {"metric": "string", "value": "float64", "reason": "string", "error": "string"}
COLUMNS = {
    "sanity": {**SHARED, "part": "string", "randomised": "Int64", "blocks": "Int64", **SCORED},
    "floors": {**SHARED, "floor": "string", **SCORED},
    "nulls": {**SHARED, "partner": "string", "null": "string", **SCORED},
}
FILES = ("sanity.parquet", "floors.parquet", "nulls.parquet", "sanity.csv", "floors.csv")


def rows(sample: Sample, label: str, record: Record) -> list[dict[str, Any]]:
    """Return the table rows of a record; a failed record has one row with its error."""
    own = {"sample": sample.id, "video": sample.video_id, "task": sample.task, "method": label}
    return [{**own, **row} for row in ([{"reason": "", "error": record.error}] if record.error else record.value)]


def failure(kind: str, sample: Sample, label: str, record: Record) -> Failure | None:
    """Return the first error of one method on one sample."""
    first = next(iter(errors(record)), None)
    return Failure(sample.id, sample.video_id, label, kind, first) if first else None


def write(directory: Path, kind: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Write KIND.parquet and return the table."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS[kind])).astype(COLUMNS[kind])
    with writing(directory / f"{kind}.parquet") as path:
        path.write_bytes(table.to_parquet(index=False))
    return table
