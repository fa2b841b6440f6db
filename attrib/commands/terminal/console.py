"""Output of the commands: lines, warnings, JSON, progress, failures, and one line after an interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from attrib.commands.terminal import progress_lines

WIDTH = 100  # of what is written to a file or a pipe


def _width(stream: TextIO) -> int | None:
    """Width for a stream that is no terminal; None: the terminal's own, or that of the variable COLUMNS."""
    return None if stream.isatty() or "COLUMNS" in os.environ else WIDTH


screen, notes = Console(width=_width(sys.stdout)), Console(stderr=True, width=_width(sys.stderr))


@contextmanager
def progress(quiet: bool, name: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Show progress with the time left on standard error, so that standard output stays clean.

    A terminal shows one line that changes. Without a terminal, or with the `name` of one of several processes, a line
    is printed every 30 s.
    """
    if not quiet and (name or not notes.is_terminal):
        with progress_lines.lines(
            lambda line: note(f"{name}: {line}" if name else line), progress_lines.PERIOD
        ) as step:
            yield step
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True, disable=quiet) as progress:
        task = progress.add_task("starting", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield step


@contextmanager
def stopping(message: str) -> Iterator[None]:
    """Let SIGTERM stop the work as Ctrl-C does: print `message` in one line; exit with code 143 or 130."""

    def stop(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        code, word = (143, "terminated") if isinstance(error, _Terminated) else (130, "interrupted")
        note(f"{word}; {message}")
        raise typer.Exit(code) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    """Signal SIGTERM as an exception."""


_SURROGATE = re.compile("[\ud800-\udfff]")  # stands for half a character, or a byte that is no character


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; bytes of a file name that are not UTF-8 as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(_SURROGATE.sub(lambda match: ascii(match[0])[1:-1], text))


def say(text: str) -> None:
    """Print a line on standard output without markup."""
    screen.print(text, highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """Print a line on standard error without markup."""
    notes.print(text, highlight=False, markup=False, soft_wrap=True)


def warn(warnings: Sequence[str], kind: Literal["warning", "note"] = "warning") -> None:
    """Print each warning or note as a line on standard error."""
    for warning in warnings:
        notes.print(f"{kind}: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def finish(failures: Sequence[str]) -> None:
    """List the failures on standard error and exit with code 1; do nothing without failures."""
    if failures:
        notes.print(f"[red]{len(failures)} failed:[/red]")
        for failure in failures:
            note(f"  {failure}")
        raise typer.Exit(1)
