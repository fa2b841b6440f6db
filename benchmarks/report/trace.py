"""The trace of the answer through the model in the report, for runs that have one."""

from __future__ import annotations

from pathlib import Path

from attrib.benchmarks.report.layers import source_of
from attrib.benchmarks.trace.kept import FOLDER, PICTURE, finding_of


def trace(run: Path, beside: Path) -> dict[str, str] | None:
    """Source of the picture, and the finding in words; None without a picture."""
    source = source_of(run / FOLDER / PICTURE, beside)
    return {"source": source, "finding": finding_of(run)} if source else None
