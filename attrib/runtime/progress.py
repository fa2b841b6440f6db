"""Progress of long work, reported to whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what begins now, how many are done, of how many


def report_progress(step: Progress | None, what: str, done: int, total: int) -> None:
    """Report to `step` where there is one."""
    if step is not None:
        step(what, done, total)
