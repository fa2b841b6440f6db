"""What the commands have in common: consoles, options, progress, and how failures are told."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from attrib import registry
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.types import Sample

screen, notes = Console(), Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a setting; repeatable.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file with methods or metrics; repeatable.")
]


class Split(StrEnum):
    """The official splits of an annotated data set."""

    train = "train"
    valid = "valid"
    test = "test"


def annotated(data: Path, video: str, question_id: int | None, split: Split) -> Sample:
    """The question of --data, --video and --question-id. Raises InputError where there is none, or more than one."""
    from attrib.data.perception_test import PerceptionTest

    return PerceptionTest(str(data), split.value).sample(video, question_id)


def load_plugins(paths: list[Path] | None) -> None:
    """Register the methods and metrics of each file."""
    for path in paths or ():
        registry.load_plugin(path)


def check_output(folder: Path) -> None:
    """Refuse an output directory that cannot be written, before minutes of work."""
    at = folder.absolute()
    try:
        while not at.exists():  # OSError: a name that is too long
            at = at.parent
        tempfile.TemporaryFile(dir=at).close()  # asking for permissions would not find every reason
    except OSError:
        raise InputError(f"output directory {folder}: {at} is not a directory that can be written to") from None


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
    """Within this context SIGTERM stops the work as Ctrl-C does: one line says what is `kept`; exit code 143 or 130."""

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
