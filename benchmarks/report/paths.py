"""Where a report lies, and whether it is still that of its run."""

from __future__ import annotations

from pathlib import Path

PAGE, BESIDE = "report.html", "report"  # the page, and the folder of what is too large for it
LAYERS = "layers"  # folder of the run's atlas
READ = {".csv", ".json", ".parquet", ".png", ".yaml"}  # endings of what a report rests on


def is_stale(run: Path) -> bool:
    """Whether there is no report in the run's directory, or one that is older than what it reports."""
    page = run / PAGE
    if not page.is_file():
        return True
    sources = [path for folder in (run, run / LAYERS) for path in folder.glob("*.*") if path.suffix in READ]
    return any(path.stat().st_mtime > page.stat().st_mtime for path in sources)
