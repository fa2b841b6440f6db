"""The trace that a run has: its folder and its finding, for what shows a finished run."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = "trace"  # in a run
PICTURE = "trace.png"


def finding_of(run: Path) -> str:
    """Return the finding's sentence; empty for a run without a trace, or with one that has no finding."""
    try:
        found = json.loads((run / FOLDER / "trace.json").read_text(encoding="utf-8"))
        return str(found["finding"].get("sentence", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
