"""Progress reports of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # name of the next item, number of items done, total


def report_progress(step: Progress | None, what: str, done: int, total: int) -> None:
    """Call `step`, unless it is None."""
    if step is not None:
        step(what, done, total)
