"""Output of the commands: lines, warnings, JSON, progress, failures, and one line where they are stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

screen, notes = Console(), Console(stderr=True)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress line with the time left, on standard error so that standard output stays clean."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True, disable=quiet or not notes.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield step


@contextmanager
def stopping(kept: str) -> Iterator[None]:
    """Let SIGTERM stop the work as Ctrl-C does: one line says what is `kept`; exit code 143 or 130."""

    def stop(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        code, word = (143, "terminated") if isinstance(error, _Terminated) else (130, "interrupted")
        notes.print(f"{word}; {kept}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(code) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def print_json(value: Any) -> None:
    """JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """A line on standard output, as it is."""
    screen.print(text, highlight=False, markup=False, soft_wrap=True)


def warn(warnings: Sequence[str]) -> None:
    """Each warning as a line on standard error."""
    for warning in warnings:
        notes.print(f"warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def finish(failures: Sequence[str]) -> None:
    """List what failed on standard error; exit code 1 if anything did."""
    if failures:
        notes.print(f"[red]{len(failures)} failed:[/red]")
        for failure in failures:
            notes.print(f"  {failure}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)
