"""Paths of a report, and the check whether it is older than its run."""

from __future__ import annotations

from pathlib import Path

from attrib.benchmarks.trace.kept import FOLDER as TRACE

PAGE, BESIDE = "report.html", "report"  # the page, and the folder of files too large for it
LAYERS = "layers"  # folder of the run's atlas
READ = {".csv", ".json", ".parquet", ".png", ".yaml"}  # file types that a report is built from


def is_stale(run: Path) -> bool:
    """True if the run has no report, or files newer than it."""
    page = run / PAGE
    if not page.is_file():
        return True
    sources = [
        path for folder in (run, run / LAYERS, run / TRACE) for path in folder.glob("*.*") if path.suffix in READ
    ]
    return any(path.stat().st_mtime > page.stat().st_mtime for path in sources)
